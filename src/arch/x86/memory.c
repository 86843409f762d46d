/* SPDX-License-Identifier: Apache-2.0 */
/* Memory by the block (hv/arch.h). */
#include <hv/arch.h>

/* Targets and sizes are multiples of 16; caches are coherent with everything. */
void arch_copy(uint64_t target, const uint8_t *source, uint64_t size)
{
    uint64_t count = size / 8u;

    __asm__ volatile("rep movsq" : "+D"(target), "+S"(source), "+c"(count) : : "memory");
}

void arch_zero(uint64_t target, uint64_t size)
{
    uint64_t count = size / 8u;

    __asm__ volatile("rep stosq" : "+D"(target), "+c"(count) : "a"(UINT64_C(0)) : "memory");
}

uint64_t arch_sum(const uint64_t *start, const uint64_t *end)
{
    uint64_t a0 = 0, a1 = 0, b0 = 0, b1 = 0;

    for (; start < end; start += 16) {
#pragma GCC unroll 8
        for (uint32_t i = 0; i < 16; i += 2) {
            a0 += start[i];
            a1 += start[i + 1u];
        }
        b0 += a0;
        b1 += a1;
    }
    return a0 ^ (a1 << 16 | a1 >> 48) ^ (b0 << 32 | b0 >> 32) ^ (b1 << 48 | b1 >> 16);
}
