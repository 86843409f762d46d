/* SPDX-License-Identifier: Apache-2.0 */
/* The time-stamp counter's frequency, and the page through which guests learn it. */
#ifndef X86_CLOCK_H
#define X86_CLOCK_H

#include <hv/layout.h>
#include <hv/types.h>

/* The first core, once: from here on time is measured. */
void clock_init(void);

/* The counter's frequency; waits until it has been measured. */
uint64_t clock_hz(void);

/*
 * KVM's MSR_KVM_SYSTEM_TIME_NEW (Linux Documentation/virt/kvm/x86/msr.rst): bits 63:2 guest address, bit 0
 * on. Writes the page's one record, which never changes; an address outside the partition's RAM has no effect.
 */
void clock_page(const struct layout_partition *config, uint64_t value);

#endif
