/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a CPU vendor's virtualisation does for the rest: svm/ or vmx/, one of which is linked. The short
 * pieces that exits use all the time stand in that folder's vendor.h as inline functions: vmm_rax(),
 * vmm_skip(), vmm_cr4().
 */
#ifndef X86_VMM_H
#define X86_VMM_H

#include "cpu.h"

/* NULL, or why this CPU cannot run the layout. */
const char *vmm_refusal(void);

/* Turns it on for this core; called once on each. */
void vmm_init(struct cpu *cpu);

/*
 * The state of a vcpu that starts, all of it and the caches of translations: PVH (Xen docs/misc/pvh.pandoc:
 * 32-bit flat, paging off, at vcpu.entry with ebx = vcpu.context) or after SIPI (real mode at vcpu.entry).
 */
void vmm_reset(struct cpu *cpu);

/* The mode in which the guest executes, for finding and decoding its instruction. */
struct vmm_mode {
    uint64_t cr0, cr3, cr4, efer;
    uint64_t rip;         /* linear */
    bool     code64;
};
void vmm_mode(const struct cpu *cpu, struct vmm_mode *mode);

/* A register by its number in instructions; rsp too. On slow paths only: all registers are saved. */
uint64_t vmm_reg(const struct cpu *cpu, uint32_t reg);
void vmm_set_reg(struct cpu *cpu, uint32_t reg, uint64_t value);

uint64_t vmm_rip(const struct cpu *cpu);
void vmm_set_efer(struct cpu *cpu, uint64_t efer);
uint64_t vmm_efer(const struct cpu *cpu);

/* The guest takes an exception at its next instruction; error: its code for those that have one. */
void vmm_inject(struct cpu *cpu, uint32_t vector, uint32_t error);

/* The guest takes an NMI as soon as it can. */
void vmm_inject_nmi(struct cpu *cpu);

/* Sleeps until an NMI comes; returns at once if one is waiting. */
void vmm_wait_nmi(void);

/* Takes interrupts that wait in this core's local APIC, with the handler of the hypervisor's own table. */
void vmm_take_interrupts(void);

/* ---- cores of pools ---- */

/* What vmm_init() does for a vcpu of a pool: once, on the core that it begins on. */
struct shared;
struct shared *vmm_shared(uint32_t cpu);
void vmm_share(struct cpu *cpu);

/* After vmm_reset(): external interrupts, HLT, XSETBV and CR8 are the hypervisor's. */
void vmm_share_reset(struct cpu *cpu);

/* The state that VMCB or VMCS hold leaves the core, and comes to it; flush: its translations there are stale. */
void vmm_switch_out(struct cpu *cpu);
void vmm_switch_in(struct cpu *cpu, bool flush);

bool vmm_interrupts_on(const struct cpu *cpu);
void vmm_end_shadow(struct cpu *cpu);

/* Gives the guest an interrupt. False: it cannot take it yet, and there is an exit as soon as it can. */
bool vmm_interrupt(struct cpu *cpu, uint32_t vector);

/* What CR8 reads. */
void vmm_set_priority(struct cpu *cpu, uint32_t priority);

/* This core opens itself for its interrupts: those that wait; until one has come. */
void vmm_pool_take(void);
void vmm_pool_idle(void);

/* Turns virtualisation on for a core of a pool; from the second on its interrupts wait for the two above. */
void vmm_pool_on(struct cpu *cpu);
void vmm_pool_begin(void);

/* Into the guest of a pool; the thread's first instructions jump there. */
_Noreturn void pool_enter(void);

/* Into the guest with the registers of struct cpu, for the first time; head.S jumps there. */
_Noreturn void guest_enter(void);

#endif
