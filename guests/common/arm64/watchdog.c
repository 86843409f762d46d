/* SPDX-License-Identifier: Apache-2.0 */
/* Arm's generic watchdog (BSA, DEN 0094): refresh and control frame, as binding watchdog/arm,sbsa-gwdt names them. */
#include "guest.h"

#define WRR  0x000
#define WCS  0x000
#define WOR  0x008

static struct range control, refresh;

bool watchdog_open(uint32_t *irq)
{
    int node = fdt_compatible("arm,sbsa-gwdt", FDT_NONE);
    if (node == FDT_NONE || !fdt_reg(node, 0, &control) || !fdt_reg(node, 1, &refresh)) {
        return false;
    }
    *irq = fdt_interrupt(node, 0);
    return true;
}

uint64_t watchdog_half(void)
{
    return mmio_read32(control.base + WOR);
}

uint32_t watchdog_status(void)
{
    return mmio_read32(control.base + WCS);
}

void watchdog_refresh(void)
{
    if (refresh.base != 0) {
        mmio_write32(refresh.base + WRR, 0);
    }
}

void watchdog_set_half(uint64_t counts)
{
    mmio_write32(control.base + WOR, counts < UINT32_MAX ? (uint32_t)counts : UINT32_MAX);
}
