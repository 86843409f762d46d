/* SPDX-License-Identifier: Apache-2.0 */
/* Time as the scheduler and the watchdogs count it, and interrupts that no device raises. */
#include <hv/arch.h>
#include <hv/features.h>

#include "gic.h"
#include "pool.h"
#include "sysreg.h"

uint64_t arch_counts(uint64_t ns)
{
    uint64_t hz = sysreg_read(cntfrq_el0);

    return ns / UINT64_C(1000000000) * hz + ns % UINT64_C(1000000000) * hz / UINT64_C(1000000000);
}

void arch_alarm_at(uint64_t at)
{
    if (HV_POOLS && cpu_here()->pooled) {
        pool_alarm(at);
        return;
    }
    sysreg_write(cnthp_cval_el2, at);
    sysreg_write(cnthp_ctl_el2, at != UINT64_MAX ? 1 : 0);
    isb();
}

uint64_t arch_guest_pc(const struct vcpu *vcpu)
{
    (void)vcpu;
    return sysreg_read(elr_el2);
}

void arch_set_pending(uint32_t intid, bool pending)
{
    mmio_write32(layout.gic.dist.raw + (pending ? GICD_ISPENDR : GICD_ICPENDR) + intid / 32u * 4u, 1u << (intid % 32u));
}
