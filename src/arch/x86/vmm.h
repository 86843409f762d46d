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

/* Into the guest with the registers of struct cpu, for the first time; head.S jumps there. */
_Noreturn void guest_enter(void);

#endif
