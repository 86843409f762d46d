/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

#define CNTV_CTL_ENABLE  1u

/* The timer node's interrupts: secure, physical, virtual, hypervisor's (in this order by its binding). */
uint32_t timer_irq(void)
{
    int node = fdt_compatible("arm,armv8-timer", FDT_NONE);
    uint32_t intid = node == FDT_NONE ? 0 : fdt_interrupt(node, 2);
    return intid != 0 ? intid : 27;
}

void timer_at(uint64_t when)
{
    WRITE_SYSREG(cntv_cval_el0, when);
    WRITE_SYSREG(cntv_ctl_el0, CNTV_CTL_ENABLE);
    isb();
}

void timer_off(void)
{
    WRITE_SYSREG(cntv_ctl_el0, 0);
    isb();
}
