/* SPDX-License-Identifier: Apache-2.0 */
/* WFI where it traps, which is not on every board. */
#include <hv/partition.h>

#include "direct.h"
#include "pool.h"
#include "sysreg.h"
#include "traps.h"

/*
 * WFI of a vcpu of a pool, or of a `direct` one that may be wanted back; on other cores it does not trap. The vectors
 * send instructions that nobody knows here, too.
 */
void trap_wait(struct cpu *cpu, uint64_t esr)
{
    if (ESR_EC(esr) != EC_WFX) {
        trap_slow(cpu, esr);
        return;
    }
    sysreg_write(elr_el2, sysreg_read(elr_el2) + ((esr & ESR_IL) != 0 ? 4u : 2u));
    if (HV_POOLS && cpu->pooled) {
        pool_wfi(cpu);
    } else if (HV_HEALTH) {
        direct_wait(cpu);
    }
    if (vcpu_must_halt(&cpu->vcpu)) {
        vcpu_wait(&cpu->vcpu);
    }
}
