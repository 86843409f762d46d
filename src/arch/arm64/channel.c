/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of channels, which guests reach past the caches, and how their interrupts are triggered. */
#include <hv/channel.h>

#include "gic.h"
#include "sysreg.h"
#include "vgic.h"

/* The loader maps it as a device: what the firmware left in caches is dropped, and zeros go to memory. */
void arch_zero_shared(pa_t base, uint64_t size)
{
    uint64_t end = base.raw + size;

    for (uint64_t at = base.raw; at < end; at += HV_CACHE_LINE) {
        __asm__ volatile("dc civac, %0" : : "r"(at) : "memory");
    }
    dsb_sy();
    for (uint64_t at = base.raw; at < end; at += 16u) {
        __asm__ volatile("stp xzr, xzr, [%0]" : : "r"(at) : "memory");
    }
}

static void reset_bell(const struct layout_partition *config, uint32_t intid)
{
    uint32_t edge = 2u << (2u * (intid % 16u));

    if ((config->spi[intid / 32u] >> (intid % 32u) & 1u) != 0) {
        vgic_change_config(GICD_ICFGR + intid / 16u * 4u, edge, edge);
    }
}

void vgic_reset_bells(const struct layout_partition *config)
{
    for (uint32_t p = 0; p < layout.partition_count; p++) {
        const struct layout_partition *other = &layout.partitions[p];

        for (uint32_t b = 0; b < other->doorbell_count; b++) {
            for (uint32_t i = 0; i < other->doorbells[b].intid_count; i++) {
                reset_bell(config, other->doorbells[b].intids[i]);
            }
        }
    }
}
