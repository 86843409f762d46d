/* SPDX-License-Identifier: Apache-2.0 */
/* From one bit an interrupt to the fields of wider registers. */
#ifndef ARM64_VGIC_MASK_H
#define ARM64_VGIC_MASK_H

#include <hv/types.h>

/* Spreads a mask of one bit an interrupt to two or eight bits, for 16 or 4 interrupts. */
static inline uint32_t mask_pairs(uint32_t bits16)
{
    uint32_t mask = 0;

    for (; bits16 != 0; bits16 &= bits16 - 1u) {
        mask |= 3u << (2u * (uint32_t)__builtin_ctz(bits16));
    }
    return mask;
}

static inline uint32_t mask_bytes(uint32_t bits4)
{
    return (bits4 & 1u) * 0xffu | (bits4 >> 1 & 1u) * 0xff00u | (bits4 >> 2 & 1u) * 0xff0000u |
           (bits4 >> 3 & 1u) * 0xff000000u;
}

#endif
