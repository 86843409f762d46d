/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vcpus that share a core: what the rest of the architecture calls. Interrupts of such a core are the
 * hypervisor's; they wait until it opens itself for them (vmm_take_interrupts, vmm_idle), or end a guest's turn.
 */
#ifndef X86_POOL_H
#define X86_POOL_H

#include <hv/features.h>
#include <hv/types.h>

#include "cpu.h"
#include "shared.h"
#include "vapic.h"

/* XSAVE's standard form up to PKRU, which ends at 2696 (SDM 1 13.4, 13.5): what guests may turn on. */
#define POOL_STATE_SIZE  2752u
#define POOL_XCR0        UINT64_C(0x2ff)  /* x87, SSE, AVX, MPX, AVX-512, PKRU */

/* A vcpu's state that is in the core's registers while it runs, and neither in struct cpu nor in the VMCB or VMCS. */
struct shared {
    uint8_t  state[POOL_STATE_SIZE] __attribute__((aligned(64)));
    struct vapic vapic;
    uint64_t xcr0, debug[4], dr6, cr2, tsc_aux, spec_ctrl;
    uint64_t vendor[5];      /* VMX: what the VMCS does not hold */
    bool     begun;          /* its VMCB or VMCS has been set up */
};
_Static_assert(sizeof(struct shared) <= HV_PAGE_SIZE, "it takes one page of layout_cpu.vmm");

/* True for a vcpu of a pool. */
static inline bool is_shared(const struct cpu *cpu)
{
    return HV_POOLS && cpu->shared != NULL;
}

/* True for a partition whose vcpus are of a pool. */
static inline bool is_pooled(const struct layout_partition *config)
{
    return HV_POOLS && layout.cpus[config->vcpus[0].cpu].pool != 0;
}

/* A core of a pool, in the place of what others do for their vcpu. */
void pool_core_init(uint32_t core);

/* arch_kick() for a core or a vcpu of a pool. */
void pool_kick(uint32_t cpu);

/* arch_vcpu_reset() and arch_wait() for a vcpu of a pool. */
void pool_reset(struct cpu *cpu);
void pool_wait(struct vcpu *vcpu, bool sleep);

/* Sleeps until it has work, at most until `at`; whoever is due runs meanwhile. */
void pool_pause(struct cpu *cpu, uint64_t at);

/* An interrupt for a vcpu of a pool comes, from any core. */
void pool_request(struct cpu *cpu, uint32_t vector, bool level);

/* ---- exits, as svm/ and vmx/ hand them on ---- */

void pool_cpuid(struct cpu *cpu);
void pool_msr(struct cpu *cpu, bool write);
void pool_halt(struct cpu *cpu);
bool pool_priority(struct cpu *cpu, uint64_t value);  /* MOV to CR8; false: #GP(0) */

/* XSETBV: false for what guests of a pool may not turn on, or the CPU not accept. */
bool pool_xcr0(uint64_t value);

/*
 * The end of each exit, after vmm_pool_take() if it was for an interrupt: whoever is due runs; then events and
 * interrupts for this guest.
 */
void pool_leave(struct cpu *cpu);

#endif
