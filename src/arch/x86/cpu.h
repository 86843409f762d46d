/* SPDX-License-Identifier: Apache-2.0 */
/* What a core keeps at the top of its stack: the guest's registers first, where the entry code puts them. */
#ifndef X86_CPU_H
#define X86_CPU_H

#define CPU_VMCB  0x80   /* offsets that assembly uses; asserted below */
#define CPU_NMI   0x88
#define CPU_APIC_IDS   0x90
#define CPU_APIC_BASE  0x98
#define CPU_HOME  0xf8
#define CPU_FIRED 0x110
#define CPU_SIZE  0x200

#ifndef __ASSEMBLER__

#include <hv/layout.h>
#include <hv/partition.h>
#include <hv/pool.h>
#include <hv/types.h>

enum reg { RAX = 0, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 };

/* What vcpu->context says of how a vcpu starts: by SIPI in real mode, else its value is ebx (PVH). */
#define START_BY_SIPI  UINT64_MAX

struct cpu {
    uint64_t reg[16];        /* in the order of instruction encodings. rsp, and rax on SVM, live in the VMCB */
    void    *vmcb;           /* SVM: VMCB. VMX: unused */
    uint32_t nmi;            /* VMX: an NMI came while the hypervisor ran; set by the handler */
    uint32_t started;        /* the core has come up, atomic */
    const uint64_t *apic_ids;  /* the partition's set of APIC IDs */
    uint64_t apic_base;      /* what the guest reads from IA32_APIC_BASE */
    struct vcpu vcpu;
    uint32_t guest_nmi;      /* an NMI waits for the guest, atomic */
    uint32_t guest_init;     /* an INIT waits for the guest, atomic */
    bool     nmi_blocked;    /* the guest has not returned from its NMI */
    uint64_t entry_time;     /* for vmm/: free */

    struct shared *shared;   /* of a vcpu of a pool; else NULL */
    uint64_t sp;             /* of a thread that does not run */
    struct cpu *home;        /* of a pool's threads: the core that it is on, or was on last; a core's own is itself */
    uint64_t decide_at;      /* a pool's core: counter; when the scheduler has to be asked at the latest */
    uint64_t armed_at;       /* what its timer is set to */
    uint32_t fired;          /* POOL_FIRED_*: interrupts that it has taken and not looked after */
    uint8_t  last_of[LAYOUT_MAX_PARTITIONS];  /* 1 + the vcpu of each partition that it has run last */
    struct pool_thread thread;
};

_Static_assert(offsetof(struct cpu, vmcb) == CPU_VMCB, "assembly");
_Static_assert(offsetof(struct cpu, nmi) == CPU_NMI, "assembly");
_Static_assert(offsetof(struct cpu, apic_ids) == CPU_APIC_IDS, "assembly");
_Static_assert(offsetof(struct cpu, apic_base) == CPU_APIC_BASE, "assembly");
_Static_assert(offsetof(struct cpu, home) == CPU_HOME, "assembly");
_Static_assert(offsetof(struct cpu, fired) == CPU_FIRED, "assembly");
_Static_assert(sizeof(struct cpu) <= CPU_SIZE, "head.S puts it at the top of the stack");

static inline struct cpu *cpu_at(uint32_t cpu)
{
    return (struct cpu *)(uintptr_t)(layout.cpus[cpu].stack_top - CPU_SIZE);
}

static inline struct cpu *cpu_of(struct vcpu *vcpu)
{
    return cpu_at(vcpu->cpu);
}

/* The thread that executes: each stack is a page, with its struct cpu at the top. */
static inline struct cpu *cpu_here(void)
{
    uintptr_t sp;

    __asm__ volatile("mov %%rsp, %0" : "=r"(sp));
    return (struct cpu *)((sp | (HV_PAGE_SIZE - 1u)) + 1u - CPU_SIZE);
}

#else
/* The guest's registers, at rsp. Those of the short paths (rax and, where it is saved, rsi stand apart), and the rest. */
    .macro  load_short
    mov     0x08(%rsp), %rcx
    mov     0x10(%rsp), %rdx
    mov     0x18(%rsp), %rbx
    mov     0x30(%rsp), %rsi
    mov     0x38(%rsp), %rdi
    mov     0x40(%rsp), %r8
    mov     0x48(%rsp), %r9
    mov     0x50(%rsp), %r10
    mov     0x58(%rsp), %r11
    .endm
    .macro  load_rest
    mov     0x28(%rsp), %rbp
    mov     0x60(%rsp), %r12
    mov     0x68(%rsp), %r13
    mov     0x70(%rsp), %r14
    mov     0x78(%rsp), %r15
    .endm
    .macro  save_short
    mov     %rcx, 0x08(%rsp)
    mov     %rdx, 0x10(%rsp)
    mov     %rbx, 0x18(%rsp)
    mov     %rdi, 0x38(%rsp)
    mov     %r8, 0x40(%rsp)
    mov     %r9, 0x48(%rsp)
    mov     %r10, 0x50(%rsp)
    mov     %r11, 0x58(%rsp)
    .endm
    .macro  save_rest
    mov     %rbp, 0x28(%rsp)
    mov     %r12, 0x60(%rsp)
    mov     %r13, 0x68(%rsp)
    mov     %r14, 0x70(%rsp)
    mov     %r15, 0x78(%rsp)
    .endm
#endif
#endif
