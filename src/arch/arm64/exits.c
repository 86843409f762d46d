/* SPDX-License-Identifier: Apache-2.0 */
/* The exits that a guest makes all the time, from vectors.S to the answer: compiled for speed. */
#include <hv/partition.h>

#include "doorbell.h"
#include "gic.h"
#include "pool.h"
#include "psci.h"
#include "sysreg.h"
#include "traps.h"
#include "vgic.h"

#define PSCI_1_1   UINT64_C(0x00010001)
#define SMCCC_1_1  UINT64_C(0x00010001)

/* HVC and SMC. The commonest question is answered here, the rest in psci.c. */
void trap_smccc(struct cpu *cpu, uint64_t esr)
{
    if (ESR_EC(esr) == EC_SMC64) {
        sysreg_write(elr_el2, sysreg_read(elr_el2) + 4u);  /* a trapped SMC returns to itself (D1.3.3) */
    }
    if ((uint32_t)cpu->x[0] == PSCI_VERSION) {
        cpu->x[0] = PSCI_1_1;
    } else if ((uint32_t)cpu->x[0] == SMCCC_VERSION) {
        cpu->x[0] = SMCCC_1_1;
    } else {
        psci_call(cpu);
    }
}

/* MSR ICC_SGI1R_EL1 that the vectors did not answer themselves. */
void trap_sgi1r(struct cpu *cpu, uint64_t value)
{
    sysreg_write(elr_el2, sysreg_read(elr_el2) + 4u);
    vgic_write_sgi1r(cpu, value);
}

/* A physical interrupt of a `virtual` partition, or a kick. */
void trap_irq(struct cpu *cpu)
{
    if (HV_POOLS && cpu->pooled) {
        pool_interrupt(cpu);
    } else {
        (void)gic_take(cpu);
    }
    if (vcpu_must_halt(&cpu->vcpu)) {
        vcpu_wait(&cpu->vcpu);
    }
}

/* The hot path: an aligned word of the distributor's first page, from or to x0..x18. */
void trap_data_abort(struct cpu *cpu, uint64_t esr)
{
    uint64_t offset = fault_ipa(0) - layout.gic.dist.raw;
    uint64_t *reg = &cpu->x[bits(esr, 20, 16)];

    if ((esr & ISS_WORD_MASK) != ISS_WORD || (offset & ~UINT64_C(0xffc)) != 0) {
        if (!HV_CHANNELS || !doorbell_access(cpu, esr)) {
            data_abort(cpu, esr);
        }
        return;
    }
    sysreg_write(elr_el2, sysreg_read(elr_el2) + 4u);
    if ((esr & ISS_WNR) != 0) {
        vgic_dist_write_word(cpu, (uint32_t)offset, (uint32_t)*reg);
    } else {
        *reg = vgic_dist_read_word(cpu, (uint32_t)offset);
    }
}
