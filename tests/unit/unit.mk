# SPDX-License-Identifier: Apache-2.0
# Host unit tests. Every test_*.c says in comments of one line which sources it tests (`tests: core/print.c`);
# a source is compiled once and linked into each program that names it. `make -f tests/unit/unit.mk unit`
# from the top of the tree builds and runs everything (so does `make unit`); UNIT_O is where it goes.

.SUFFIXES:
UNIT_O      ?= build/unit
UNIT_CC     ?= gcc
UNIT_CFLAGS := -std=gnu11 -O1 -g -Wall -Wextra -Wconversion -Wshadow -Wvla -Wmissing-prototypes -Wno-clobbered -Werror \
               -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -fno-pie \
               --coverage -fprofile-update=atomic -Isrc/include -Isrc -Itests/unit
UNIT_TESTS  := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))

# Paths that `tests:` gives are relative to src/; fakes stand beside the tests (../tests/unit/fake.c), guests' code in
# ../guests.
unit_sources = $(patsubst src/../%,%,$(addprefix src/,$(shell sed -n 's/.*tests: *\([^*]*\)\*.*/\1/p' tests/unit/$(1).c)))
unit_objects = $(patsubst %.c,$(UNIT_O)/obj/%.o,tests/unit/$(1).c $(call unit_sources,$(1)))

.PHONY: unit unit-programs
unit: unit-programs
	@tests/unit/run.py --built
unit-programs: $(addprefix $(UNIT_O)/,$(UNIT_TESTS))

define unit_program
$(UNIT_O)/$(1): $(call unit_objects,$(1)) tests/unit/$(1).c
	@$(UNIT_CC) $(UNIT_CFLAGS) -no-pie -pthread -o $$@ $$(filter %.o,$$^) -lcmocka -lfdt
endef
$(foreach test,$(UNIT_TESTS),$(eval $(call unit_program,$(test))))

# Code that touches the machine meets a fake one. The board's firmware is always the test's. What x86 does with
# plain memory runs as it is, on a host that is one.
UNUSED := -Wno-unused-variable -Wno-unused-but-set-variable
$(UNIT_O)/obj/src/arch/arm64/%.o $(UNIT_O)/obj/src/drivers/%.o: HOST := -include tests/unit/host.h $(UNUSED)
$(UNIT_O)/obj/src/arch/x86/%.o: HOST := -include tests/unit/host_x86.h -Isrc/arch/x86 -Isrc/arch/x86/svm
$(UNIT_O)/obj/src/arch/x86/vmx/%.o: HOST := -include tests/unit/host_vmx.h -Isrc/arch/x86 -Isrc/arch/x86/vmx $(UNUSED) \
                                            -Wno-uninitialized -Wno-maybe-uninitialized
$(UNIT_O)/obj/src/arch/x86/memory.o: HOST :=
HEALTH := -DCONFIG_HEALTH -DCONFIG_WATCHDOG -DCONFIG_MONITOR
$(UNIT_O)/obj/src/core/health.o $(UNIT_O)/obj/src/core/watchdog.o $(UNIT_O)/obj/src/core/monitor.o: HOST := $(HEALTH)
$(UNIT_O)/obj/src/arch/x86/state.o: HOST := -include tests/unit/host_x86.h $(UNUSED) -Wno-unused-parameter
$(UNIT_O)/obj/src/core/sched_rtds.o $(UNIT_O)/obj/src/core/sched_arinc.o $(UNIT_O)/obj/src/core/pool.o $(UNIT_O)/obj/src/core/trace.o \
$(UNIT_O)/obj/tests/unit/test_trace.o: HOST := -DCONFIG_POOLS -DCONFIG_ARINC653 -DCONFIG_TRACE -DCONFIG_TRACE_KIB=16
$(UNIT_O)/obj/tests/unit/%.o: HOST := -Isrc/arch/x86 -Isrc/arch/x86/svm
$(UNIT_O)/obj/tests/unit/test_x86_vmx.o: HOST := -include tests/unit/host_vmx_access.h -Isrc/arch/x86 -Isrc/arch/x86/vmx
$(UNIT_O)/obj/tests/unit/test_arinc_ports.o: HOST := -Iguests/common
$(UNIT_O)/obj/src/arch/arm64/psci.o: UNIT_CFLAGS += -Dfirmware_call=firmware_call_by_smc

# A changed object starts counting afresh: old counts do not fit it.
$(UNIT_O)/obj/%.o: %.c tests/unit/unit.mk
	@mkdir -p $(@D); rm -f $(@:.o=.gcda)
	@$(UNIT_CC) $(UNIT_CFLAGS) $(HOST) -MMD -MP -c -o $@ $<

-include $(shell find $(UNIT_O)/obj -name '*.d' 2>/dev/null)
