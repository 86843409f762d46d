# SPDX-License-Identifier: Apache-2.0
# The checker, a host program. The top Makefile includes this file; HOST_O, HOSTCC and HOSTCFLAGS are its.

check-src := $(sort $(wildcard src/check/*.c))
check-obj := $(check-src:src/check/%.c=$(HOST_O)/check/%.o)

$(HOST_O)/check/%.o: src/check/%.c src/check/check.h src/include/hv/layout.h src/check/check.mk
	@mkdir -p $(@D); $(say) HOSTCC $<
	$(Q)$(HOSTCC) $(HOSTCFLAGS) -Isrc/include -Isrc/check -c -o $@ $<
$(HOST_O)/hvcheck: $(check-obj)
	@$(say) HOSTLD $@
	$(Q)$(HOSTCC) $(HOSTLDFLAGS) -o $@ $(check-obj) -lelf -lfdt -lyaml
