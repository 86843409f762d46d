/* SPDX-License-Identifier: Apache-2.0 */
/* The time stamp counter, which all partitions share, read right before and after a store to a doorbell. */
#ifndef COUNT_H
#define COUNT_H

#include "guest.h"

/* The instructions of the measurement itself: those of vectors.S before it reads the counter, and a reading. */
#define AROUND   6u

static inline uint64_t now(void)
{
    return timer_now();
}

/* Rings; the count right before. */
static inline uint64_t count_and_ring(uint64_t doorbell)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc\n\tmovl %%eax, (%2)" : "=&a"(low), "=&d"(high) : "r"(doorbell) : "memory");
    return (uint64_t)high << 32 | low;
}

/* Rings; what the store takes. */
static inline uint64_t count_ring(uint64_t doorbell)
{
    uint32_t start, end, high;

    __asm__ volatile("rdtsc\n\tmovl %%eax, %0\n\tmovl %%eax, (%3)\n\trdtsc"
                     : "=&r"(start), "=&a"(end), "=&d"(high) : "r"(doorbell) : "memory");
    return end - start - 2u;
}

#endif
