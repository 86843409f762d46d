/* SPDX-License-Identifier: Apache-2.0 */
/* VMX: vcpus of pools (vmm.h): what a switch moves, interrupts for the guest, and exits that only they make. */
#include <hv/arch.h>

#include "exits.h"
#include "pool.h"
#include "vmcs.h"
#include "vmm.h"
#include "x86.h"

/* Exit reasons (SDM 3, appendix C). */
#define REASON_INTERRUPT  1u
#define REASON_WINDOW     7u
#define REASON_HLT        12u
#define REASON_CR         28u
#define REASON_TIMER      52u

#define MISC_TIMER_SHIFT  0x1fu      /* the preemption timer counts once in 2^n of the clock's */
#define RFLAGS_IF         (UINT64_C(1) << 9)
#define CR_NUMBER         0xfu       /* of a qualification (SDM 3 table 28-3) */
#define CR_KIND           0x30u
#define CR_WRITE          0x00u
#define CR_READ           0x10u
#define ONE_CONTEXT       UINT64_C(1)  /* INVVPID (SDM 3 31.3) */

extern const uint8_t vmx_pool_landing[];

/* MSRs that neither VMCS nor pool.c moves. */
static const uint32_t moved[] = { 0xc0000081u, 0xc0000082u, 0xc0000083u, 0xc0000084u /* STAR to SFMASK */,
                                  0xc0000102u /* KERNEL_GS */ };

_Static_assert(ARRAY_COUNT(moved) == ARRAY_COUNT(((struct shared *)0)->vendor), "struct shared");

struct shared *vmm_shared(uint32_t cpu)
{
    return (struct shared *)(uintptr_t)layout.cpus[cpu].vmm.raw;
}

void vmm_pool_on(struct cpu *cpu)
{
    vmx_turn_on(layout.cpus[cpu->vcpu.cpu].vmm.raw);
}

void vmm_share(struct cpu *cpu)
{
    vmx_begin(cpu, vmx_pool_landing);
    vmcs_write(VMCS_PIN, vmx_controls(PIN_CONTROLS | PIN_INTERRUPT | PIN_TIMER, MSR_VMX_PIN));
}

void vmm_share_reset(struct cpu *cpu)
{
    (void)cpu;
    vmcs_write(VMCS_PROCESSOR, vmx_controls(PROCESSOR_CONTROLS | PROCESSOR_HLT | PROCESSOR_CR8_LOAD | PROCESSOR_CR8_STORE,
                                            MSR_VMX_PROCESSOR));
}

/* A VMCS may be in one core's keeping only; it stays there if the vcpu does. */
static bool moves(const struct cpu *cpu)
{
    const struct layout_cpu *slot = &layout.cpus[cpu->vcpu.cpu];

    return layout.pools[slot->pool - 1u].servers[slot->place].core == LAYOUT_ANY_CORE;
}

void vmm_switch_out(struct cpu *cpu)
{
    uint64_t vmcs = layout.cpus[cpu->vcpu.cpu].vmm.raw + HV_PAGE_SIZE;

    for (uint32_t i = 0; i < ARRAY_COUNT(moved); i++) {
        cpu->shared->vendor[i] = rdmsr(moved[i]);
    }
    if (moves(cpu)) {
        __asm__ volatile("vmclear %0" : : "m"(vmcs) : "cc", "memory");
    }
}

void vmm_switch_in(struct cpu *cpu, bool flush)
{
    uint64_t vmcs = layout.cpus[cpu->vcpu.cpu].vmm.raw + HV_PAGE_SIZE;
    struct { uint64_t context, address; } vpid = { cpu->vcpu.config->asid, 0 };

    __asm__ volatile("vmptrld %0" : : "m"(vmcs) : "cc", "memory");
    for (uint32_t i = 0; i < ARRAY_COUNT(moved); i++) {
        wrmsr(moved[i], cpu->shared->vendor[i]);
    }
    if (flush) {
        __asm__ volatile("invvpid %0, %1" : : "m"(vpid), "r"(ONE_CONTEXT) : "cc", "memory");
    }
}

/*
 * The preemption timer beside the local APIC's: an emulator that holds interrupts back from a guest that is entered with
 * them off (Bochs 2.7) would let it keep the core.
 */
void vmm_limit(uint64_t at)
{
    uint64_t now, left;

    if ((vmcs_read(VMCS_PIN) & PIN_TIMER) == 0) {
        return;
    }
    now = arch_counter();
    left = at > now ? (at - now) >> (rdmsr(MSR_VMX_MISC) & MISC_TIMER_SHIFT) : 0;
    vmcs_write(VMCS_TIMER, left < UINT32_MAX ? left : UINT32_MAX);
}

/* ---------------------------------------------------------------- interrupts for the guest */

bool vmm_interrupts_on(const struct cpu *cpu)
{
    (void)cpu;
    return (vmcs_read(VMCS_RFLAGS) & RFLAGS_IF) != 0;
}

static bool interruptible(const struct cpu *cpu)
{
    return vmm_interrupts_on(cpu) && (vmcs_read(VMCS_INTERRUPTIBILITY) & BLOCKED_ONE_INSTRUCTION) == 0 &&
           (vmcs_read(VMCS_ENTRY_EVENT) & EVENT_VALID) == 0;
}

void vmm_end_shadow(struct cpu *cpu)
{
    (void)cpu;  /* vmm_skip() has */
}

bool vmm_interrupt(struct cpu *cpu, uint32_t vector)
{
    if (interruptible(cpu)) {
        vmx_deliver(EVENT_VALID | vector, 0);
        return true;
    }
    vmcs_write(VMCS_PROCESSOR, vmcs_read(VMCS_PROCESSOR) | PROCESSOR_WINDOW);
    return false;
}

void vmm_set_priority(struct cpu *cpu, uint32_t priority)
{
    (void)cpu;  /* reading CR8 is an exit */
    (void)priority;
}

/* ---------------------------------------------------------------- exits */

static void exit_cr8(struct cpu *cpu, uint64_t info)
{
    uint32_t reg = info >> 8 & 15u;

    if ((info & CR_KIND) == CR_READ) {
        vmm_set_reg(cpu, reg, cpu->shared->vapic.priority >> 4);
    } else if ((info & CR_KIND) != CR_WRITE || !pool_priority(cpu, vmm_reg(cpu, reg))) {
        vmm_inject(cpu, VECTOR_GP, 0);
        return;
    }
    vmm_skip(cpu, 0);
}

static void exit_cr(struct cpu *cpu)
{
    uint64_t info = vmcs_read(VMCS_QUALIFICATION);

    if ((info & CR_NUMBER) == 8u) {
        exit_cr8(cpu, info);
    } else {
        vmx_exit(cpu, REASON_CR);
    }
}

void vmx_pool_exit(struct cpu *cpu, uint32_t reason)
{
    switch (reason) {
    case REASON_INTERRUPT:
    case REASON_TIMER:
        vmm_pool_take();
        break;
    case REASON_WINDOW:
        vmcs_write(VMCS_PROCESSOR, vmcs_read(VMCS_PROCESSOR) & ~(uint64_t)PROCESSOR_WINDOW);
        break;
    case REASON_HLT:
        pool_halt(cpu);
        break;
    case REASON_RDMSR:
    case REASON_WRMSR:
        pool_msr(cpu, reason == REASON_WRMSR);
        break;
    case REASON_CPUID:
        pool_cpuid(cpu);
        break;
    case REASON_VMCALL:
        exit_hypercall(cpu);
        break;
    case REASON_CR:
        exit_cr(cpu);
        break;
    default:
        vmx_exit(cpu, reason);
    }
    pool_leave(cpu);
}
