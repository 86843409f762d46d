/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's access to a doorbell's page. Whatever stores there rings. Loads of 8 bytes give the board's count, which
 * all partitions share and processes cannot read elsewhere; others give 0. A process that has been given the page must
 * not be able to bring down its operating system.
 */
#ifndef ARM64_DOORBELL_H
#define ARM64_DOORBELL_H

#include <hv/types.h>

#include "cpu.h"
#include "gic.h"
#include "sysreg.h"
#include "traps.h"

/* The doorbell whose page an address is in, or NULL. */
static inline const struct layout_doorbell *doorbell_at(const struct cpu *cpu, uint64_t ipa)
{
    const struct layout_partition *config = cpu->vcpu.config;

    for (uint32_t i = 0; i < config->doorbell_count; i++) {
        if (ipa - config->doorbells[i].page.raw < HV_PAGE_SIZE) {
            return &config->doorbells[i];
        }
    }
    return NULL;
}

/* The receivers' interrupts become pending in the distributor, whatever their cores do. */
static inline void doorbell_ring(const struct layout_doorbell *bell)
{
    __asm__ volatile("dmb sy" : : : "memory");  /* what was stored before the ring is there before the interrupt */
    for (uint32_t i = 0; i < bell->intid_count; i++) {
        uint32_t intid = bell->intids[i];

        mmio_write32(layout.gic.dist.raw + GICD_ISPENDR + intid / 32u * 4u, 1u << (intid % 32u));
    }
}

/* Kept out of the way of those who ring. */
static HV_COLD uint64_t doorbell_load(uint64_t esr)
{
    return bits(esr, 23, 22) == 3u ? sysreg_read(cntpct_el0) : 0;
}

/* False: the access is to no doorbell. `esr` is that of a data abort. */
static inline bool doorbell_access(struct cpu *cpu, uint64_t esr)
{
    const struct layout_doorbell *bell = doorbell_at(cpu, fault_ipa(0));
    uint32_t reg = (uint32_t)bits(esr, 20, 16);

    if (bell == NULL || (esr & ISS_S1PTW) != 0) {
        return false;
    }
    if ((esr & ISS_WNR) != 0) {
        doorbell_ring(bell);
    } else if ((esr & ISS_ISV) != 0 && reg != 31u) {
        cpu->x[reg] = doorbell_load(esr);
    }
    sysreg_write(elr_el2, sysreg_read(elr_el2) + ((esr & ESR_IL) != 0 ? 4u : 2u));
    return true;
}

#endif
