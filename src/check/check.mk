# SPDX-License-Identifier: Apache-2.0
# The checker, a host program. The top Makefile includes this file; HOST_O, HOSTCC and HOSTCFLAGS are its.

check-src := $(addprefix src/check/,main.c world.c report.c util.c elf.c devtree.c board.c spec.c walk.c \
	rule_layout.c rule_registers.c rule_tables.c rule_memory.c rule_devices.c rule_el2.c rule_cpus.c \
	rule_interrupts.c rule_facts.c rule_images.c rule_guest_tree.c)
check-obj := $(check-src:src/check/%.c=$(HOST_O)/check/%.o)

$(HOST_O)/check/%.o: src/check/%.c src/check/check.h src/include/hv/layout.h src/check/check.mk
	@mkdir -p $(@D); $(say) HOSTCC $<
	$(Q)$(HOSTCC) $(HOSTCFLAGS) -Isrc/include -Isrc/check -c -o $@ $<
$(HOST_O)/hvcheck: $(check-obj)
	@$(say) HOSTLD $@
	$(Q)$(HOSTCC) $(HOSTLDFLAGS) -o $@ $(check-obj) -lelf -lfdt -lyaml
