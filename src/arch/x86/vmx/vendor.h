/* SPDX-License-Identifier: Apache-2.0 */
/* VMX: what the short exits read and write of the virtual-machine control structure (SDM 3, chapter 25). */
#ifndef X86_VMX_VENDOR_H
#define X86_VMX_VENDOR_H

/* Fields (SDM 3, appendix B) and exit reasons (appendix C) that run.S knows, too. */
#define VMCS_EXIT_REASON    0x4402
#define REASON_CPUID        10
#define REASON_VMCALL       18
#define REASON_RDMSR        31
#define REASON_WRMSR        32

/* Not the CPU's, whose reasons have 16 bits: run.S was about to enter the guest. */
#define REASON_KICKED       0x10000   /* an NMI has come */
#define REASON_NOT_ENTERED  0x10001   /* VMRESUME failed */

#ifndef __ASSEMBLER__

#include "access.h"
#include "cpu.h"

#define VMCS_EXIT_LENGTH       0x440cu
#define VMCS_INTERRUPTIBILITY  0x4824u
#define VMCS_CR4               0x6804u
#define VMCS_RIP               0x681eu

#define BLOCKED_ONE_INSTRUCTION  3u  /* of the interruptibility state: by STI, by MOV SS (SDM 3 table 25-3) */

/* Every exit that is not short; called by run.S. reason: the CPU's or one of those above. */
void vmx_exit(struct cpu *cpu, uint32_t reason);

/* Every exit of a vcpu of a pool; called by shared_run.S. */
void vmx_pool_exit(struct cpu *cpu, uint32_t reason);

/* Before the guest of a pool is entered: its turn ends at `at` (counter) at the latest. */
void vmm_limit(uint64_t at);

static inline uint64_t *vmm_rax(struct cpu *cpu)
{
    return &cpu->reg[RAX];
}

/* An instruction has been carried out: whatever was held back for its length is no more. */
static inline void vmx_advance(uint64_t length)
{
    uint64_t blocked = vmcs_read(VMCS_INTERRUPTIBILITY);

    vmcs_write(VMCS_RIP, vmcs_read(VMCS_RIP) + length);
    if ((blocked & BLOCKED_ONE_INSTRUCTION) != 0) {
        vmcs_write(VMCS_INTERRUPTIBILITY, blocked & ~(uint64_t)BLOCKED_ONE_INSTRUCTION);
    }
}

/* Past the instruction that exited. The CPU knows its length, with prefixes. */
static inline void vmm_skip(struct cpu *cpu, uint32_t length)
{
    (void)cpu;
    (void)length;
    vmx_advance(vmcs_read(VMCS_EXIT_LENGTH));
}

/* The bits that a guest owns; the others are the hypervisor's. */
static inline uint64_t vmm_cr4(const struct cpu *cpu)
{
    (void)cpu;
    return vmcs_read(VMCS_CR4);
}

#endif
#endif
