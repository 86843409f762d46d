/* SPDX-License-Identifier: Apache-2.0 */
/* The timer of a pool's core: that of its local APIC, set in counts of the time-stamp counter. */
#ifndef X86_TIMER_H
#define X86_TIMER_H

#include <hv/types.h>

/* On each core of a pool, before its interrupts are let through: its local APIC has nothing else to do. */
void timer_init(void);

/* It fires at `at`, or earlier if that is far off; UINT64_MAX: not at all. */
void timer_set(uint64_t at);

#endif
