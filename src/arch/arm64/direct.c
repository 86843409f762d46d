/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SGI that regains a `direct` core does not wake it from WFI if its guest has switched interrupt group 1 off, or
 * lets no priority pass. So WFI traps there, and EL2 waits with an interface that lets the SGI through.
 */
#include "direct.h"
#include "gic.h"
#include "sysreg.h"

void direct_wait(struct cpu *cpu)
{
    uint64_t group = sysreg_read(ICC_IGRPEN1_EL1), mask = sysreg_read(ICC_PMR_EL1), hcr = sysreg_read(hcr_el2);

    if ((group & 1u) == 0 || mask == 0) {  /* nothing of the guest's could end its WFI: only the SGI, of priority 0, shall */
        sysreg_write(ICC_PMR_EL1, GIC_GUEST_LOWEST);
        sysreg_write(ICC_IGRPEN1_EL1, 1);
    }
    sysreg_write(hcr_el2, hcr | HCR_IMO | HCR_FMO);  /* an interrupt that targets EL1 need not wake EL2 */
    isb();
    dsb_sy();
    if (!vcpu_must_halt(&cpu->vcpu)) {
        wfi();
    }
    sysreg_write(hcr_el2, hcr);
    sysreg_write(ICC_IGRPEN1_EL1, group);
    sysreg_write(ICC_PMR_EL1, mask);
    isb();
}
