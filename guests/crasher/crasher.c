/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Never lives long: a few milliseconds after its start it faults, resets itself, or hangs until its watchdog ends it. Only
 * in the first seconds after the board's own start it is good, and computes: so that others can be seen with and without.
 */
#include "guest.h"

#define LONGEST_US  4000u
#define GOOD_S      10u

static uint32_t unused_irq;

void guest_irq(uint32_t irq)
{
    (void)irq;
}

/* The first address behind its RAM, where nothing is. */
static uint64_t beyond(void)
{
    struct range ranges[4];
    uint32_t count = machine_memory(ranges, ARRAY_COUNT(ranges));
    return ranges[count - 1].base + ranges[count - 1].size;
}

int main(uint64_t early)
{
    uint64_t seed = timer_now() * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407), end;
    bool dog = watchdog_open(&unused_irq);
    (void)early;
    watchdog_refresh();
    while (board_now() < GOOD_S * timer_hz()) {
        watchdog_refresh();
        for (uint64_t until = timer_now() + timer_hz() / 1000u; timer_now() < until;) {
        }
    }
    end = timer_now() + (seed >> 33) % LONGEST_US * timer_hz() / 1000000u;
    while (timer_now() < end) {
    }
    if ((seed >> 60) < 2 && dog) {
        for (;;) {
            __asm__ volatile("" ::: "memory");
        }
    }
    if ((seed >> 60) < 4) {
        power_reset();
    }
    mmio_write32(beyond(), 1);
    for (;;) {
    }
}
