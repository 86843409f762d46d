/* SPDX-License-Identifier: Apache-2.0 */
/* SVM: the virtual machine control block (APM 2, appendix B) and what exits read and write of it. */
#ifndef X86_SVM_VENDOR_H
#define X86_SVM_VENDOR_H

#define VMCB_EXIT_CODE  0x70
#define VMCB_EXIT_INFO_1  0x78
#define VMCB_NEXT_RIP   0xc8
#define VMCB_RIP        0x578
#define VMCB_RAX        0x5f8
#define EXIT_CPUID      0x72
#define EXIT_MSR        0x7c
#define EXIT_VMMCALL    0x81

#ifndef __ASSEMBLER__

#include "cpu.h"

struct vmcb_segment {
    uint16_t selector, attributes;  /* attributes: bytes 5 and 6 of a descriptor, packed (APM 2 15.5.1) */
    uint32_t limit;
    uint64_t base;
};

struct vmcb {
    uint32_t intercept_cr, intercept_dr, intercept_exception, intercept_1, intercept_2;
    uint8_t  reserved_14[0x40 - 0x14];
    uint64_t iopm, msrpm, tsc_offset;
    uint32_t asid, tlb_control;
    uint64_t interrupt_control, interrupt_shadow;
    uint64_t exit_code, exit_info_1, exit_info_2, exit_int_info;
    uint64_t nested_control;
    uint8_t  reserved_98[0xa8 - 0x98];
    uint64_t event_injection;
    uint64_t nested_cr3, virtualization;
    uint64_t clean, next_rip;
    uint8_t  reserved_d0[0x400 - 0xd0];
    struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    uint8_t  reserved_4a0[0x4cb - 0x4a0];
    uint8_t  cpl;
    uint32_t reserved_4cc;
    uint64_t efer;
    uint8_t  reserved_4d8[0x548 - 0x4d8];
    uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
    uint8_t  reserved_580[0x5d8 - 0x580];
    uint64_t rsp;
    uint8_t  reserved_5e0[0x5f8 - 0x5e0];
    uint64_t rax, star, lstar, cstar, sfmask, kernel_gs_base, sysenter_cs, sysenter_esp, sysenter_eip, cr2;
    uint8_t  reserved_648[0x668 - 0x648];
    uint64_t pat, debug_control;
};
_Static_assert(offsetof(struct vmcb, exit_code) == VMCB_EXIT_CODE, "VMCB");
_Static_assert(offsetof(struct vmcb, exit_info_1) == VMCB_EXIT_INFO_1, "VMCB");
_Static_assert(offsetof(struct vmcb, event_injection) == 0xa8, "VMCB");
_Static_assert(offsetof(struct vmcb, next_rip) == VMCB_NEXT_RIP, "VMCB");
_Static_assert(offsetof(struct vmcb, es) == 0x400, "VMCB");
_Static_assert(offsetof(struct vmcb, efer) == 0x4d0, "VMCB");
_Static_assert(offsetof(struct vmcb, rip) == VMCB_RIP, "VMCB");
_Static_assert(offsetof(struct vmcb, rax) == VMCB_RAX, "VMCB");
_Static_assert(offsetof(struct vmcb, pat) == 0x668, "VMCB");

/* Every exit that is not short; called by run.S. */
void svm_exit(struct cpu *cpu);

/* Every exit of a vcpu of a pool; called by shared_run.S. */
void svm_pool_exit(struct cpu *cpu);

/* Before the guest of a pool is entered: its turn ends at `at` (counter) at the latest. Here the timer is enough. */
static inline void vmm_limit(uint64_t at)
{
    (void)at;
}

static inline uint64_t *vmm_rax(struct cpu *cpu)
{
    return &((struct vmcb *)cpu->vmcb)->rax;
}

/* Past the instruction that exited. A CPU without next-RIP leaves 0 there: then its plain length counts. */
static inline void vmm_skip(struct cpu *cpu, uint32_t length)
{
    struct vmcb *vmcb = cpu->vmcb;

    vmcb->rip = vmcb->next_rip != 0 ? vmcb->next_rip : vmcb->rip + length;
}

static inline uint64_t vmm_cr4(const struct cpu *cpu)
{
    return ((const struct vmcb *)cpu->vmcb)->cr4;
}

#endif
#endif
