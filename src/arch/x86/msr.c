/* SPDX-License-Identifier: Apache-2.0 */
/* Model-specific registers that a guest cannot have for itself: a few are emulated, the generator lists the rest. */
#include <hv/arch.h>
#include <hv/console.h>

#include "apic.h"
#include "clock.h"
#include "exits.h"
#include "vmm.h"
#include "x86.h"

#define EFER_GUEST  (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)

static const struct layout_msr *policy_of(uint32_t msr)
{
    for (uint32_t i = 0; i < layout.pc.msr_count; i++) {
        if (msr >= layout.pc.msrs[i].first && msr <= layout.pc.msrs[i].last) {
            return &layout.pc.msrs[i];
        }
    }
    return NULL;
}

bool msr_read(struct cpu *cpu, uint32_t msr, uint64_t *value)
{
    const struct layout_msr *policy;

    if (msr == MSR_APIC_BASE) {
        *value = cpu->apic_base;
        return true;
    }
    if (msr == MSR_EFER) {
        *value = vmm_efer(cpu);
        return true;
    }
    policy = policy_of(msr);
    if (policy == NULL || policy->read != LAYOUT_MSR_VALUE) {
        return false;
    }
    *value = policy->value;
    return true;
}

/* LME does not change while paging is on (APM 2 3.1.7); LMA is the CPU's to set. */
static bool efer_write(struct cpu *cpu, uint64_t value)
{
    struct vmm_mode mode;
    uint64_t old = vmm_efer(cpu);

    vmm_mode(cpu, &mode);
    if ((value & ~EFER_GUEST) != 0 || ((mode.cr0 & CR0_PG) != 0 && ((old ^ value) & EFER_LME) != 0)) {
        return false;
    }
    vmm_set_efer(cpu, (value & ~EFER_LMA) | (old & EFER_LMA));
    return true;
}

bool msr_write(struct cpu *cpu, uint32_t msr, uint64_t value)
{
    const struct layout_msr *policy;

    switch (msr) {
    case MSR_X2APIC_ICR:
        return icr_write(cpu, value);
    case MSR_EFER:
        return efer_write(cpu, value);
    case MSR_APIC_BASE:
        return value == cpu->apic_base;
    case MSR_KVM_SYSTEM_TIME:
        clock_page(cpu->vcpu.config, value);
        return true;
    default:
        policy = policy_of(msr);
        return policy != NULL && policy->write == LAYOUT_MSR_IGNORE;
    }
}
