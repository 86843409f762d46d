/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of channels, which guests reach past the caches. */
#include <hv/channel.h>

#include "sysreg.h"

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
