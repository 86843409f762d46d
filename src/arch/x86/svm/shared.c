/* SPDX-License-Identifier: Apache-2.0 */
/* SVM: vcpus of pools (vmm.h): what a switch moves, interrupts for the guest, and exits that only they make. */
#include "exits.h"
#include "insn.h"
#include "pool.h"
#include "svm.h"
#include "vendor.h"
#include "vmm.h"
#include "x86.h"

/* Intercepts beside those of every guest (APM 2, table B-1). */
#define INTERCEPT_INTR    (1u << 0)
#define INTERCEPT_HLT     (1u << 24)
#define INTERCEPT_XSETBV  (1u << 13)  /* of the second word */
#define INTERCEPT_CR8     (1u << 24)  /* writes */

/* Exit codes (APM 2, appendix C). */
#define EXIT_CR8     0x18u
#define EXIT_INTR    0x60u
#define EXIT_HLT     0x78u
#define EXIT_XSETBV  0x8du

/* Of vmcb.interrupt_control (APM 2 15.21.1). */
#define V_TPR        UINT64_C(0xff)
#define V_IRQ        (UINT64_C(1) << 8)
#define V_PRIORITY   (UINT64_C(15) << 16)
#define V_IGNORE_TPR (UINT64_C(1) << 20)
#define V_MASKING    (UINT64_C(1) << 24)
#define V_VECTOR_SHIFT  32u

#define SHADOW       UINT64_C(1)     /* of vmcb.interrupt_shadow: behind STI or MOV SS */
#define RFLAGS_IF    (UINT64_C(1) << 9)
#define FLUSH_ASID   3u              /* vmcb.tlb_control */
#define HAS_FLUSH_ASID  (1u << 6)    /* edx of CPUID_SVM */
#define XSETBV_LENGTH   3u

struct shared *vmm_shared(uint32_t cpu)
{
    return (struct shared *)(uintptr_t)(layout.cpus[cpu].vmm.raw + HV_PAGE_SIZE);
}

void vmm_pool_on(struct cpu *cpu)
{
    vmm_init(cpu);
}

void vmm_share(struct cpu *cpu)
{
    cpu->vmcb = (void *)(uintptr_t)layout.cpus[cpu->vcpu.cpu].vmm.raw;
}

void vmm_share_reset(struct cpu *cpu)
{
    struct vmcb *vmcb = cpu->vmcb;

    vmcb->intercept_1 |= INTERCEPT_INTR | INTERCEPT_HLT;
    vmcb->intercept_2 |= INTERCEPT_XSETBV;
    vmcb->intercept_cr |= INTERCEPT_CR8;
    vmcb->interrupt_control = V_MASKING;
}

void vmm_switch_out(struct cpu *cpu)
{
    __asm__ volatile("vmsave %0" : : "a"(cpu->vmcb) : "memory");
}

void vmm_switch_in(struct cpu *cpu, bool flush)
{
    struct vmcb *vmcb = cpu->vmcb;

    if (flush) {
        vmcb->tlb_control = (cpuid(CPUID_SVM, 0).reg[3] & HAS_FLUSH_ASID) != 0 ? FLUSH_ASID : TLB_FLUSH_ALL;
    }
    __asm__ volatile("vmload %0" : : "a"(vmcb) : "memory");
}

/* ---------------------------------------------------------------- interrupts for the guest */

bool vmm_interrupts_on(const struct cpu *cpu)
{
    return (((const struct vmcb *)cpu->vmcb)->rflags & RFLAGS_IF) != 0;
}

void vmm_end_shadow(struct cpu *cpu)
{
    ((struct vmcb *)cpu->vmcb)->interrupt_shadow &= ~SHADOW;
}

/*
 * As a virtual interrupt: the guest takes it once its IF and shadow allow it, with no further exit. Not as an injected
 * event: QEMU's emulation (target/i386, 10.0) may deliver such a one twice, with IF off.
 */
bool vmm_interrupt(struct cpu *cpu, uint32_t vector)
{
    struct vmcb *vmcb = cpu->vmcb;

    vmcb->interrupt_control = (vmcb->interrupt_control & (V_TPR | V_MASKING)) | V_IRQ | V_PRIORITY | V_IGNORE_TPR |
                              (uint64_t)vector << V_VECTOR_SHIFT;
    return true;
}

/* What the guest has not taken waits again: the next entry may be for another, or for another vector first. */
static void take_back(struct cpu *cpu, struct vmcb *vmcb)
{
    if ((vmcb->interrupt_control & V_IRQ) != 0) {
        vapic_give_back(&cpu->shared->vapic, (uint32_t)(vmcb->interrupt_control >> V_VECTOR_SHIFT) & 0xffu);
        vmcb->interrupt_control &= ~V_IRQ;
    }
}

void vmm_set_priority(struct cpu *cpu, uint32_t priority)
{
    struct vmcb *vmcb = cpu->vmcb;

    vmcb->interrupt_control = (vmcb->interrupt_control & ~V_TPR) | priority >> 4;
}

/* ---------------------------------------------------------------- exits */

/* MOV to CR8 as 44 0F 22 /0 or, from outside of long mode too, with LOCK in the place of REX (APM 3). 0: it is neither. */
static uint32_t decode_cr8(const uint8_t *bytes, uint32_t count, uint32_t *reg)
{
    uint32_t at = 0, rex = 0;

    while (at < count && (bytes[at] == 0xf0u || (bytes[at] & 0xf0u) == 0x40u)) {
        rex = (bytes[at] & 0xf0u) == 0x40u ? bytes[at] : rex;
        at++;
    }
    if (count - at < 3u || bytes[at] != 0x0fu || bytes[at + 1u] != 0x22u) {
        return 0;
    }
    *reg = (bytes[at + 2u] & 7u) | (rex & 1u) << 3;
    return at + 3u;
}

static void exit_cr8(struct cpu *cpu)
{
    uint8_t bytes[INSN_MAX] = { 0 };
    uint32_t reg = 0, length;
    bool code64;

    length = decode_cr8(bytes, insn_fetch(cpu, bytes, &code64), &reg);
    if (length == 0 || !pool_priority(cpu, vmm_reg(cpu, reg))) {
        vmm_inject(cpu, VECTOR_GP, 0);
    } else {
        vmm_skip(cpu, length);
    }
}

static void exit_xsetbv(struct cpu *cpu)
{
    uint64_t value = cpu->reg[RDX] << 32 | (uint32_t)*vmm_rax(cpu);

    if ((uint32_t)cpu->reg[RCX] != 0 || !pool_xcr0(value)) {
        vmm_inject(cpu, VECTOR_GP, 0);
        return;
    }
    __asm__ volatile("xsetbv" : : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(0u));
    vmm_skip(cpu, XSETBV_LENGTH);
}

static __attribute__((noinline)) void exit_other(struct cpu *cpu, struct vmcb *vmcb)
{
    switch (vmcb->exit_code) {
    case EXIT_HLT:
        pool_halt(cpu);
        break;
    case EXIT_MSR:
        pool_msr(cpu, vmcb->exit_info_1 != 0);
        break;
    case EXIT_CPUID:
        pool_cpuid(cpu);
        break;
    case EXIT_VMMCALL:
        exit_hypercall(cpu);
        break;
    case EXIT_CR8:
        exit_cr8(cpu);
        break;
    case EXIT_XSETBV:
        exit_xsetbv(cpu);
        break;
    default:
        svm_exit(cpu);
    }
}

/* Every exit of a vcpu of a pool: the end of its turn first. */
void svm_pool_exit(struct cpu *cpu)
{
    struct vmcb *vmcb = cpu->vmcb;

    svm_begin_exit(vmcb);
    take_back(cpu, vmcb);
    if (vmcb->exit_code == EXIT_INTR) {
        vmm_pool_take();
    } else {
        exit_other(cpu, vmcb);
    }
    pool_leave(cpu);
}
