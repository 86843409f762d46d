# SPDX-License-Identifier: Apache-2.0
# `make` alone explains itself; CONFIG= or O= (or a target) builds. See `make help`.

# ---------------------------------------------------------------- what to build, and where to

ifneq ($(origin CONFIG)$(origin O),undefinedundefined)
.DEFAULT_GOAL := all
else
.DEFAULT_GOAL := help
endif

CONFIG ?= configs/demo
IMAGE  := $(notdir $(abspath $(CONFIG)))
O      ?= build/$(IMAGE)

override CONFIG := $(patsubst $(CURDIR)/%,%,$(abspath $(CONFIG)))
override O      := $(patsubst $(CURDIR)/%,%,$(abspath $(O)))
CACHE  ?= .cache
PYTHON := /usr/bin/python3
export PYTHONDONTWRITEBYTECODE := 1

MAKEFLAGS += --no-builtin-rules --no-builtin-variables
ifeq ($(filter -j%,$(MAKEFLAGS))$(filter --jobserver%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif
.DELETE_ON_ERROR:
.SUFFIXES:
SHELL := /bin/sh

ifeq ($(V),1)
Q :=
say = :
else
Q := @
say = printf '  %-7s %s\n'
endif

# ---------------------------------------------------------------- goals that build nothing

NO_BUILD := help setup fetch lint unit clean distclean print-%
ifneq ($(filter-out $(NO_BUILD),$(or $(MAKECMDGOALS),$(.DEFAULT_GOAL))),)
-include $(O)/.config
endif

# ---------------------------------------------------------------- compilers

# The architecture stands in .config; make reads this file anew once it has made that.
ARCH := $(if $(CONFIG_X86),x86,arm64)
MACHINE-arm64 := aarch64
MACHINE-x86   := x86_64
TRIPLE := $(MACHINE-$(ARCH))-linux-gnu
# A prefix is only needed where the compiler of this machine makes other code.
CROSS_COMPILE ?= $(if $(filter $(MACHINE-$(ARCH)),$(shell uname -m)),,$(TRIPLE)-)
# A tool named on the command line or in the environment wins; make's own defaults do not count.
tool = $(if $(filter default undefined,$(origin $(1))),$(2),$($(1)))
ifneq ($(LLVM),)
CC      := clang
LD      := ld.lld
OBJCOPY := llvm-objcopy
HOSTCC  := clang
else
CC      := $(call tool,CC,$(CROSS_COMPILE)gcc)
LD      := $(call tool,LD,$(CROSS_COMPILE)ld)
OBJCOPY := $(call tool,OBJCOPY,$(CROSS_COMPILE)objcopy)
HOSTCC  := $(call tool,HOSTCC,gcc)
endif
ifneq ($(findstring clang,$(CC)),)
TARGET_FLAG := --target=$(TRIPLE)
endif

WARN := -Wall -Wextra -Wconversion -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes -Wundef \
        -Wwrite-strings -Werror

# ---------------------------------------------------------------- targets for people

.PHONY: help all image run smoke trace test test-long bench setup fetch menuconfig defconfig savedefconfig olddefconfig \
        check show schedule report lint unit gen reject checker system clean distclean compile_commands FORCE

help:
	@echo 'Bulkhead: from a devicetree and a YAML file to isolated partitions.'
	@echo
	@echo '  make run             build configs/demo and start it under QEMU (Ctrl-a ? for help, Ctrl-b x ends);'
	@echo '                       CONFIG=configs/demo-x86: the same on x86-64'
	@echo '                       CONFIG=configs/drone: flight control, Linux, two payloads on one core; see its README.md'
	@echo '  make smoke           the same unattended: exit 0 when both guests answer'
	@echo '  make trace           run CONFIG, which has CONFIG_TRACE, until Ctrl-b x (or SECONDS=N); then draw what happened on'
	@echo '                       shared cores and hold it against the guarantees (CONFIG=configs/rtds)'
	@echo '  make test            all tests; parts: lint unit gen reject checker build system'
	@echo '  make test-long       what takes long: a million simulated sets of vcpus, more models of CPUs under Bochs'
	@echo '  make bench           exact instruction counts against the recorded baseline'
	@echo
	@echo '  make all             bulkhead.elf, .bin, .itb, plan.json, report.html into O   (also: image)'
	@echo '  make check           only check system.yaml, no build'
	@echo '  make show            draw the plan: memory, cores, interrupts   (also: schedule, of shared cores)'
	@echo '  make menuconfig      choose the code (also: defconfig savedefconfig olddefconfig)'
	@echo '  make setup fetch     packages; the demo'"'"'s Linux (both happen by themselves when needed)'
	@echo '  make clean           remove O;   make distclean: remove build/ and .cache/'
	@echo
	@echo '  CONFIG=FOLDER        defconfig + system.yaml, anywhere (default configs/demo)'
	@echo '  O=FOLDER             output, anywhere (default build/<name of CONFIG>)'
	@echo '  CROSS_COMPILE=PREFIX (default: by architecture)   LLVM=1 or CC=clang   V=1: show commands'
	@echo '  LINUX_KERNEL=FILE LINUX_INITRD=FILE   in place of Debian'"'"'s (for $${LINUX_KERNEL} in system.yaml)'

PACKED  := bulkhead.elf bulkhead.bin $(if $(filter arm64,$(ARCH)),bulkhead.itb)
all image: $(O)/image.stamp $(O)/compile_commands.json

# ---------------------------------------------------------------- set-up: packages, Linux

define setup_rule
$(CACHE)/setup-$(1).stamp: scripts/setup
	@mkdir -p $$(@D)
	@scripts/setup $(1)
	@touch $$@
endef
$(foreach group,build run test,$(eval $(call setup_rule,$(group))))
SETUP := $(CACHE)/setup-build.stamp

setup: $(CACHE)/setup-build.stamp $(CACHE)/setup-run.stamp $(CACHE)/setup-test.stamp

DEBIAN-arm64 := arm64
DEBIAN-x86   := amd64
KERNEL-arm64 := $(CACHE)/Image
KERNEL-x86   := $(CACHE)/amd64/vmlinuz
ifneq ($(origin LINUX_KERNEL)$(origin LINUX_INITRD),undefinedundefined)
FETCHED :=
FETCHED_ALL :=
else
FETCHED := $(CACHE)/fetch-$(DEBIAN-$(ARCH)).stamp
FETCHED_ALL := $(CACHE)/fetch-arm64.stamp $(CACHE)/fetch-amd64.stamp
endif
LINUX_KERNEL ?= $(abspath $(KERNEL-$(ARCH)))
LINUX_INITRD ?= $(dir $(LINUX_KERNEL))initrd.gz
# Not exported: the tests call make for other architectures.
WITH_LINUX = LINUX_KERNEL='$(LINUX_KERNEL)' LINUX_INITRD='$(LINUX_INITRD)'

$(CACHE)/fetch-%.stamp: scripts/fetch guests/linux/init $(wildcard guests/linux/*.[ch] guests/linux/*/*.h guests/common/arinc_ports.[ch] guests/flight/telemetry.h guests/linux/bin/* guests/linux/tests/*) | $(SETUP)
	@scripts/fetch --arch $* --cache $(CACHE)
	@touch $@
fetch: $(CACHE)/fetch-arm64.stamp $(CACHE)/fetch-amd64.stamp

# ---------------------------------------------------------------- Kconfig

AUTOCONF := $(O)/include/generated/autoconf.h

$(O)/.config: $(CONFIG)/defconfig Kconfig $(wildcard boards/*/Kconfig) scripts/kconfig | $(SETUP)
	@scripts/kconfig sync $(CONFIG) $(O)
$(CONFIG)/defconfig:
	@echo "make: error: $(CONFIG) is no configuration folder: it has no defconfig (see configs/demo)" >&2; exit 1
$(AUTOCONF): $(O)/.config
	@test -f $@ || { touch -d @0 $(O)/.config; scripts/kconfig sync $(CONFIG) $(O); }

menuconfig defconfig savedefconfig olddefconfig: | $(SETUP)
	@scripts/kconfig $@ $(CONFIG) $(O)

# ---------------------------------------------------------------- the hypervisor: core.o

PREFIX_MAP := -ffile-prefix-map=$(abspath $(O))=. -ffile-prefix-map=$(O)=. -ffile-prefix-map=$(CURDIR)=.

CFLAGS-arm64 := -fno-pic -fno-pie -mgeneral-regs-only -mstrict-align -mcmodel=tiny -march=armv8-a -mno-outline-atomics \
          -mbranch-protection=$(if $(CONFIG_POINTER_AUTHENTICATION),standard,$(if $(CONFIG_BRANCH_PROTECTION),bti,none))
# The code finds its data relative to itself, as firmware may start it anywhere; it is then moved to its place.
CFLAGS-x86 := -m64 -march=x86-64 -fpie -fvisibility=hidden -mcmodel=small -mno-red-zone -mgeneral-regs-only \
          -mskip-rax-setup -fcf-protection=none
CFLAGS := $(TARGET_FLAG) -std=c11 -Os -ffunction-sections -g $(PREFIX_MAP) -ffreestanding -fno-common $(CFLAGS-$(ARCH)) \
          -fomit-frame-pointer -fno-asynchronous-unwind-tables -fno-strict-aliasing \
          $(if $(CONFIG_STACK_PROTECTOR),-fstack-protector-strong -mstack-protector-guard=global,-fno-stack-protector) \
          $(WARN) -Wframe-larger-than=1024
SPEED := -O2
ifeq ($(TARGET_FLAG),)
SPEED += -fshrink-wrap -fno-align-functions -fno-align-jumps -fno-align-loops -fno-align-labels
CFLAGS += -fno-shrink-wrap -gno-record-gcc-switches --param=min-pagesize=0
else
CFLAGS += $(if $(CONFIG_X86),-fdirect-access-external-data)
endif
CPPFLAGS := -nostdinc -isystem $(shell $(CC) $(TARGET_FLAG) -print-file-name=include 2>/dev/null) \
            -Isrc/include -include $(AUTOCONF)

-include src/objects.mk
CORE_OBJS := $(addprefix $(O)/obj/,$(obj-y))
$(foreach object,$(CORE_OBJS),$(eval -include $(object:.o=.d)))

# Position-independent code keeps constants that hold addresses in sections which a loader writes to; nothing loads us.
READ_ONLY-x86 = $(OBJCOPY) --set-section-flags '.data.rel.ro*=alloc,load,readonly,data,contents' \
                --set-section-flags .padding=alloc,load,readonly,data,contents
READ_ONLY = $(or $(READ_ONLY-$(ARCH)),:)

# Every object depends on the command that makes it: another compiler or option rebuilds it.
$(O)/obj/command: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' "$$COMMAND" | cmp -s - $@ || printf '%s\n' "$$COMMAND" > $@
$(O)/obj/command: export COMMAND = $(CC) $(CFLAGS) $(CPPFLAGS) $(LD) $(READ_ONLY)
FORCE:

$(O)/obj/%.o: src/%.c $(AUTOCONF) $(O)/obj/command | $(SETUP)
	@mkdir -p $(@D); $(say) CC $<
	$(Q)$(CC) $(CFLAGS) $(if $(CONFIG_OPTIMIZE_SIZE),,$(if $(filter $*.o,$(hot-y)),$(SPEED))) $(CPPFLAGS) -MMD -MP -c -o $@ $<
$(O)/obj/%.o: src/%.S $(AUTOCONF) $(O)/obj/command | $(SETUP)
	@mkdir -p $(@D); $(say) AS $<
	$(Q)$(CC) $(filter-out -std=c11,$(CFLAGS)) $(CPPFLAGS) -D__ASSEMBLY__ -MMD -MP -c -o $@ $<

$(O)/core.o: $(CORE_OBJS) src/objects.mk $(O)/obj/command
	@$(say) LD $@
	$(Q)$(LD) -r -o $@ $(CORE_OBJS)
	$(Q)$(READ_ONLY) $@

# ---------------------------------------------------------------- guests of the tree

GUEST_CC      := $(CC) $(TARGET_FLAG)
GUEST_OBJCOPY := $(CROSS_COMPILE)objcopy
-include guests/guests.mk
guests-y := $(foreach guest,$(GUESTS),$(O)/guests/$(guest).bin $(O)/guests/$(guest).elf)

# ---------------------------------------------------------------- the generated part

YAML := $(CONFIG)/system.yaml
GENERATOR := scripts/bulkhead $(wildcard scripts/hv*/*.py)
NEEDS_LINUX := $(if $(shell grep -s 'LINUX_' $(YAML)),$(FETCHED))

-include $(O)/generate.dep
$(O)/generate.stamp: $(YAML) $(O)/core.o $(O)/.config $(GENERATOR) $(guests-y) $(NEEDS_LINUX) \
                     $(wildcard $(LINUX_KERNEL) $(LINUX_INITRD)) src/include/hv/layout.h
	@$(say) GEN '$(CONFIG)/system.yaml'
	$(Q)$(WITH_LINUX) scripts/bulkhead generate $(CONFIG) --core $(O)/core.o -O $(O) --kconfig $(O)/.config
	@if [ -f $(O)/generate.d ]; then \
	    sed -e '1s|^[^:]*:|$@:|' $(O)/generate.d > $(O)/generate.dep; fi
	@touch $@

GENERATED := layout.c tables.c images.S sizes.ld
$(addprefix $(O)/,$(GENERATED)): $(O)/generate.stamp ; @:

# Data only: neither hardening nor warnings about size apply, the rest is as for the core.
$(O)/obj/gen/%.o: $(O)/%.c $(O)/obj/command
	@mkdir -p $(@D); $(say) CC $<
	$(Q)$(CC) $(CFLAGS) -fno-pic -fno-pie $(CPPFLAGS) -MMD -MP -c -o $@ $<
# Touched when a file that images.S includes is newer, so that other changes do not copy images again.
$(O)/obj/gen/blobs.stamp: $(O)/generate.stamp
	@mkdir -p $(@D); blobs=$$(sed -n 's/.*\.incbin[ \t]*"\([^"]*\)".*/\1/p' $(O)/images.S | sort -u); \
	if [ ! -f $@ ] || [ -n "$$(find $$blobs -newer $@)" ]; then touch $@; fi
$(O)/obj/gen/images.o: $(O)/images.S $(O)/obj/gen/blobs.stamp $(O)/obj/command
	@mkdir -p $(@D); $(say) AS $<
	$(Q)$(CC) $(TARGET_FLAG) -c -I$(O) -o $@ $<
GEN_OBJS := $(addprefix $(O)/obj/gen/,layout.o tables.o images.o)
$(foreach object,$(GEN_OBJS),$(eval -include $(object:.o=.d)))

$(O)/bulkhead.unchecked.elf: $(O)/core.o $(GEN_OBJS) $(O)/sizes.ld src/arch/$(ARCH)/hv.ld
	@$(say) LD $@
	$(Q)$(LD) -nostdlib -static --build-id=none -z noexecstack -z max-page-size=4096 --fatal-warnings \
	    -L $(O) -T src/arch/$(ARCH)/hv.ld -Map $(O)/bulkhead.map -o $@ $(O)/core.o $(GEN_OBJS)
	$(Q)$(READ_ONLY) $@

# ---------------------------------------------------------------- the checker, and what it lets through

HOST_O ?= $(O)/host
HOSTCFLAGS := -std=c11 -O2 -g $(WARN) -D_GNU_SOURCE
-include src/check/check.mk

HVCHECK ?= $(HOST_O)/hvcheck
$(O)/image.stamp: $(O)/bulkhead.unchecked.elf $(HVCHECK) $(GENERATOR)
	@rm -rf $(O)/unchecked $(addprefix $(O)/,bulkhead.elf bulkhead.bin bulkhead.itb); mkdir -p $(O)/unchecked
	@$(say) IMAGE $(O)/bulkhead.elf
	$(Q)scripts/bulkhead image $(O)/bulkhead.unchecked.elf -O $(O)/unchecked
	@$(say) CHECK $(O)/bulkhead.elf
	$(Q)$(WITH_LINUX) $(HVCHECK) --quiet --json $(O)/check.json $(CONFIG) $(O)/unchecked/bulkhead.elf
	@cd $(O) && mv $(addprefix unchecked/,$(PACKED)) . && rm -rf unchecked
	@touch $@

$(O)/compile_commands.json: src/objects.mk $(O)/obj/command scripts/compile-commands
	@scripts/compile-commands '$(CURDIR)' '$(CC) $(CFLAGS) $(CPPFLAGS)' $(obj-y) > $@

# ---------------------------------------------------------------- looking, running, testing

check show schedule: $(guests-y) | $(SETUP) $(NEEDS_LINUX)
	@$(WITH_LINUX) scripts/bulkhead $@ $(CONFIG) -O $(O)

# Time is counted in instructions, so that what else this machine does delays nothing.
trace: all | $(CACHE)/setup-run.stamp
	@scripts/run $(CONFIG) $(O) --trace $(O)/trace.bin --counted $(if $(SECONDS),--seconds $(SECONDS))
	@scripts/bulkhead trace $(O)/trace.bin -O $(O) --json $(O)/trace.json --svg $(O)/trace.svg $(if $(LATE),--late $(LATE))
run: all | $(CACHE)/setup-run.stamp
	@scripts/run $(CONFIG) $(O)
smoke: all | $(CACHE)/setup-run.stamp
	@$(PYTHON) tests/system/smoke.py $(CONFIG) $(O)

test test-long unit gen reject checker system lint: | $(CACHE)/setup-build.stamp $(CACHE)/setup-run.stamp $(CACHE)/setup-test.stamp
test test-long gen reject checker system: | $(FETCHED_ALL)
test unit gen reject checker system lint:
	@tests/run $(if $(filter test,$@),all,$@)
test-long:
	@tests/run --long system

bench: | $(CACHE)/setup-run.stamp $(CACHE)/setup-build.stamp
	@$(PYTHON) bench/bench.py

clean:
	rm -rf $(O)
distclean:
	rm -rf build $(CACHE)

print-%:
	@echo '$($*)'
