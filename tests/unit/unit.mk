# SPDX-License-Identifier: Apache-2.0
# Host unit tests. Every test_*.c says in comments of one line which sources it tests (`tests: core/print.c`), and
# what of Kconfig they are built with (`with: POOLS CHANNELS`; nothing otherwise). A source is compiled once for each
# set of these and linked into each program that names it. `make -f tests/unit/unit.mk unit` from the top of the
# tree builds and runs everything (so does `make unit`); UNIT_O is where it goes.

.SUFFIXES:
UNIT_O      ?= build/unit
UNIT_CC     ?= gcc
UNIT_CFLAGS := -std=gnu11 -O1 -g -Wall -Wextra -Wconversion -Wshadow -Wvla -Wmissing-prototypes -Wno-clobbered -Werror \
               -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -fno-pie \
               --coverage -fprofile-update=atomic -Isrc/include -Isrc -Itests/unit
UNIT_TESTS  := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))

# Paths that `tests:` gives are relative to src/; fakes stand beside the tests (../tests/unit/fake.c), guests' code in
# ../guests.
unit_said    = $(shell sed -n 's|^/\* $(2): *\([^*]*\)\*/$$|\1|p' tests/unit/$(1).c)
unit_sources = $(patsubst src/../%,%,$(addprefix src/,$(call unit_said,$(1),tests)))
empty       :=
unit_folder  = $(UNIT_O)/obj$(subst $(empty) $(empty),,$(addprefix -,$(call unit_said,$(1),with)))
unit_objects = $(patsubst %.c,$(2)/%.o,tests/unit/$(1).c $(call unit_sources,$(1)))

.PHONY: unit unit-programs
unit: unit-programs
	@tests/unit/run.py --built
unit-programs: $(addprefix $(UNIT_O)/,$(UNIT_TESTS))

define unit_program
FOLDERS += $(2)
$(UNIT_O)/$(1): $(call unit_objects,$(1),$(2)) tests/unit/$(1).c
	@$(UNIT_CC) $(UNIT_CFLAGS) -no-pie -pthread -o $$@ $$(filter %.o,$$^) -lcmocka -lfdt
endef
$(foreach test,$(UNIT_TESTS),$(eval $(call unit_program,$(test),$(call unit_folder,$(test)))))

# Code that touches the machine meets a fake one. The board's firmware is always the test's. What x86 does with
# plain memory runs as it is, on a host that is one. A changed object starts counting afresh: old counts do not fit it.
UNUSED := -Wno-unused-variable -Wno-unused-but-set-variable
define unit_rules
$(1)/%.o: HOST :=
$(1)/src/arch/arm64/%.o $(1)/src/drivers/%.o: HOST := -include tests/unit/host.h $(UNUSED)
$(1)/src/arch/x86/%.o: HOST := -include tests/unit/host_x86.h -Isrc/arch/x86 -Isrc/arch/x86/svm
$(1)/src/arch/x86/vmx/%.o: HOST := -include tests/unit/host_vmx.h -Isrc/arch/x86 -Isrc/arch/x86/vmx $(UNUSED) \
                                   -Wno-uninitialized -Wno-maybe-uninitialized
$(1)/src/arch/x86/memory.o: HOST :=
$(addprefix $(1)/src/arch/x86/,state.o pool.o svm/shared.o): HOST := -include tests/unit/host_x86.h -Isrc/arch/x86 \
                                   -Isrc/arch/x86/svm $(UNUSED) -Wno-unused-parameter -Wno-uninitialized -Wno-maybe-uninitialized
$(1)/tests/unit/%.o: HOST := -Isrc/arch/x86 -Isrc/arch/x86/svm
$(1)/tests/unit/test_x86_vmx.o: HOST := -include tests/unit/host_vmx_access.h -Isrc/arch/x86 -Isrc/arch/x86/vmx
$(1)/tests/unit/test_arinc_ports.o: HOST := -Iguests/common
$(1)/src/arch/arm64/psci.o: UNIT_CFLAGS += -Dfirmware_call=firmware_call_by_smc
$(1)/%.o: %.c tests/unit/unit.mk
	@mkdir -p $$(@D); rm -f $$(@:.o=.gcda)
	@$$(UNIT_CC) $$(UNIT_CFLAGS) $$(HOST) $(2) -DCONFIG_TRACE_KIB=16 -MMD -MP -c -o $$@ $$<
endef
$(foreach folder,$(sort $(FOLDERS)),$(eval $(call unit_rules,$(folder),\
    $(addprefix -DCONFIG_,$(subst -, ,$(folder:$(UNIT_O)/obj%=%))))))

-include $(shell find $(UNIT_O) -name '*.d' 2>/dev/null)
