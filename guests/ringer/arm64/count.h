/* SPDX-License-Identifier: Apache-2.0 */
/* The counter that all partitions share, read right before and after a store to a doorbell. */
#ifndef COUNT_H
#define COUNT_H

#include "guest.h"

/* The instructions of the measurement itself: the vector's first, and a reading of the counter. */
#define AROUND   2u

static inline uint64_t now(void)
{
    uint64_t value;
    __asm__ volatile("isb\n\tmrs %0, cntpct_el0" : "=r"(value) :: "memory");
    return value;
}

/* Rings; the count right before. */
static inline uint64_t count_and_ring(uint64_t doorbell)
{
    uint64_t start;

    __asm__ volatile("isb\n\tmrs %0, cntpct_el0\n\tstr %w1, [%1]" : "=&r"(start) : "r"(doorbell) : "memory");
    return start;
}

/* Rings; what the store takes. */
static inline uint64_t count_ring(uint64_t doorbell)
{
    uint64_t start, end;

    __asm__ volatile("isb\n\tmrs %0, cntpct_el0\n\tstr %w2, [%2]\n\tmrs %1, cntpct_el0"
                     : "=&r"(start), "=&r"(end) : "r"(doorbell) : "memory");
    return end - start - 1u;
}

#endif
