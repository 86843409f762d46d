# SPDX-License-Identifier: Apache-2.0
# Bare-metal guests: $(O)/guests/NAME.bin (flat) and NAME.elf. `make guests` builds all.
# Included by the top Makefile, or used alone: make -f guests/guests.mk O=build [ARCH=x86] [LLVM=1] guests

ARCH ?= $(if $(filter y,$(CONFIG_X86)),x86,arm64)
O ?= build

ifeq ($(ARCH),x86)
CROSS_COMPILE ?= x86_64-linux-gnu-
GUEST_TRIPLE := x86_64-linux-gnu
GUEST_LINK_BASE := 0x100000
GUEST_ARCH_FLAGS := -m64 -march=x86-64 -mno-red-zone -mgeneral-regs-only -mcmodel=small -fno-pic -fno-pie \
	-fcf-protection=none
GUEST_ARCH_LDFLAGS := -static -no-pie
else
CROSS_COMPILE ?= aarch64-linux-gnu-
GUEST_TRIPLE := aarch64-linux-gnu
GUEST_LINK_BASE := 0x40080000
GUEST_ARCH_FLAGS := -march=armv8-a -mgeneral-regs-only -mstrict-align -fpie -fvisibility=hidden
GUEST_ARCH_LDFLAGS := -static-pie -Wl,--no-dynamic-linker
endif
ifneq ($(LLVM),)
GUEST_CC ?= clang --target=$(GUEST_TRIPLE)
endif
GUEST_CC ?= $(CROSS_COMPILE)gcc
GUEST_OBJCOPY ?= $(CROSS_COMPILE)objcopy

GUESTS := hello probe burner victim memtest devtest attacker health crasher reborn talk flight payload ringer \
	$(if $(filter x86,$(ARCH)),cards)
GUEST_DIR := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
GUEST_OUT := $(O)/guests

GUEST_FLAGS := $(GUEST_ARCH_FLAGS) -ffreestanding \
	-fno-stack-protector -fno-asynchronous-unwind-tables -ffunction-sections -g \
	-DGUEST_LINK_BASE=$(GUEST_LINK_BASE) -I$(GUEST_DIR)/common -I$(GUEST_DIR)/common/$(ARCH) \
	-ffile-prefix-map=$(abspath $(GUEST_DIR))=guests -fdebug-prefix-map=$(CURDIR)=.
GUEST_CFLAGS := $(GUEST_FLAGS) -std=gnu11 -Os -Wall -Wextra -Wconversion -Wshadow -Wvla -Wmissing-prototypes \
	-Werror -fno-builtin
GUEST_LDFLAGS := -nostdlib $(GUEST_ARCH_LDFLAGS) -Wl,--build-id=none -Wl,-z,noexecstack \
	-Wl,--gc-sections -Wl,-z,norelro -Wl,--no-warn-rwx-segments \
	-Wl,--defsym=GUEST_LINK_BASE=$(GUEST_LINK_BASE)
GUEST_LD := $(GUEST_DIR)/common/$(ARCH)/guest.ld

# A guest's file takes the place of the common one of that name; each folder may have one for the architecture.
guest_folder_src = $(wildcard $(GUEST_DIR)/$(1)/*.c $(GUEST_DIR)/$(1)/$(ARCH)/*.c $(GUEST_DIR)/$(1)/$(ARCH)/*.S)
guest_common_src := $(call guest_folder_src,common)
guest_own_src = $(call guest_folder_src,$(1))
guest_sources = $(guest_own_src) \
	$(filter-out $(patsubst $(GUEST_DIR)/$(1)/%,$(GUEST_DIR)/common/%,$(guest_own_src)),$(guest_common_src))
guest_objects = $(patsubst $(GUEST_DIR)/%,$(GUEST_OUT)/obj/%.o,$(call guest_sources,$(1)))

.PHONY: guests guests-force
guests: $(GUESTS:%=$(GUEST_OUT)/%.bin)

say ?= :

# As for the core: another compiler or option rebuilds every object.
$(GUEST_OUT)/obj/command: guests-force
	@mkdir -p $(@D)
	@printf '%s\n' '$(GUEST_CC) $(GUEST_CFLAGS) $(GUEST_LDFLAGS)' | cmp -s - $@ || \
	 printf '%s\n' '$(GUEST_CC) $(GUEST_CFLAGS) $(GUEST_LDFLAGS)' > $@
guests-force:

$(GUEST_OUT)/obj/%.c.o: $(GUEST_DIR)/%.c $(GUEST_OUT)/obj/command
	@mkdir -p $(@D); $(say) CC $<
	$(Q)$(GUEST_CC) $(GUEST_CFLAGS) -I$(<D)/$(ARCH) -MMD -MP -c $< -o $@

$(GUEST_OUT)/obj/%.S.o: $(GUEST_DIR)/%.S $(GUEST_OUT)/obj/command
	@mkdir -p $(@D); $(say) AS $<
	$(Q)$(GUEST_CC) $(GUEST_FLAGS) -MMD -MP -c $< -o $@

define guest_rules
$(GUEST_OUT)/$(1).elf: $(call guest_objects,$(1)) $(GUEST_LD)
	@$(say) LD $$@
	$(Q)$(GUEST_CC) $(GUEST_LDFLAGS) -T $(GUEST_LD) -o $$@ $(call guest_objects,$(1))
-include $(patsubst %.o,%.d,$(call guest_objects,$(1)))
endef
$(foreach guest,$(GUESTS),$(eval $(call guest_rules,$(guest))))

$(GUEST_OUT)/%.bin: $(GUEST_OUT)/%.elf
	$(Q)$(GUEST_OBJCOPY) -O binary $< $@
