/* SPDX-License-Identifier: Apache-2.0 */
/* Vcpus that share a core: what the rest of the architecture calls. */
#ifndef ARM64_POOL_H
#define ARM64_POOL_H

#include <hv/features.h>
#include <hv/types.h>

#include "cpu.h"

/* A core of a pool, after the part of cpu_init() that every core has. */
void pool_core_init(uint32_t cpu);

/* Interrupts of a pool's core while a vcpu runs there; the core may be another's afterwards. */
void pool_interrupt(struct cpu *cpu);

/* Private interrupts have been let through, or held back, on the core of the vcpu that runs. */
void pool_note_ppis(const struct cpu *cpu, uint32_t mask, bool on);

/* arch_wait() for a vcpu of a pool. */
void pool_wait(struct cpu *cpu, bool sleep);

/* The partition's interrupts have been reset: what was kept for its vcpus is over. */
void pool_forget(const struct layout_partition *config);

/* Physical interrupts that came while the vcpu did not run go into free list registers. */
void pool_refill(struct cpu *cpu);

/* WFI of a guest, and PSCI CPU_SUSPEND. */
void pool_wfi(struct cpu *cpu);

/* arch_alarm() on a pool's core, whose timer also wakes the scheduler. at: counter, UINT64_MAX: off. */
void pool_alarm(uint64_t at);

/* Where context_begin goes first. */
void pool_thread(struct cpu *cpu);

#endif
