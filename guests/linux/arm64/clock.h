/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock of the board, by whose counts partitions tell the age of messages (guests/common/arinc_ports.h). A process
 * can read the counter of its own partition only, which began at about 0 when that one started. How far the board's is
 * ahead, a doorbell's page says; it stays so until the partition starts again.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include "../channel.h"

struct board_clock {
    uint64_t ahead;
};

static inline uint64_t clock_own(void)
{
    uint64_t count;

    __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(count) :: "memory");
    return count;
}

static inline uint64_t clock_hz(void)
{
    uint64_t hz;

    __asm__("mrs %0, cntfrq_el0" : "=r"(hz));
    return hz;
}

/* Of several readings the closest counts: the process may be kept waiting in between. */
static inline void clock_compare(struct board_clock *clock, const volatile uint64_t *board)
{
    uint64_t closest = UINT64_MAX;

    for (int i = 0; i < 8; i++) {
        uint64_t before = clock_own(), count = *board, between = clock_own() - before;

        if (between < closest) {
            closest = between;
            clock->ahead = count - before - between / 2;
        }
    }
}

/* False: no channel of this partition has a doorbell. */
static inline int clock_open(struct board_clock *clock)
{
    char name[CHANNEL_NAME];
    struct channel_place place;

    clock->ahead = 0;
    for (int i = 0; channel_at(i, name, &place); i++) {
        void *bell = place.bell != 0 ? channel_window(place.bell, 4096, 0) : NULL;

        if (bell != NULL) {
            clock_compare(clock, bell);
            (void)munmap(bell, 4096);
            return 1;
        }
    }
    return 0;
}

static inline uint64_t clock_now(const struct board_clock *clock)
{
    return clock_own() + clock->ahead;
}

#endif
