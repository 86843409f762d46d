/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock of the board, by whose counts partitions tell the age of messages (guests/common/arinc_ports.h): the time
 * stamp counter, which is the same for all partitions.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>
#include <stdio.h>

struct board_clock {
    char none;
};

static inline int clock_open(struct board_clock *clock)
{
    (void)clock;
    return 1;
}

static inline uint64_t clock_now(const struct board_clock *clock)
{
    uint32_t low, high;

    (void)clock;
    __asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) :: "memory");
    return (uint64_t)high << 32 | low;
}

/* As the kernel has it, to a kHz. */
static inline uint64_t clock_hz(void)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];
    double mhz = 0;

    while (file != NULL && mhz == 0 && fgets(line, sizeof(line), file) != NULL) {
        (void)sscanf(line, "cpu MHz : %lf", &mhz);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return (uint64_t)(mhz * 1e6);
}

#endif
