/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long its own restart takes, from the instruction that ends one life to the first of the next, in ticks of the
 * board's counter. What must outlive memory stands in the match register of a PL031 that is its own. For bench.py.
 */
#include "guest.h"

#define MATCH  0x04   /* RTCMR (DDI 0224 3.3.2) */

void guest_irq(uint32_t irq)
{
    (void)irq;
}

/* Of three lives the first resets itself, the second faults; bits 1:0 say which has just ended. */
int main(uint64_t early)
{
    struct range rtc;
    int node = fdt_compatible("arm,pl031", FDT_NONE);

    if (node == FDT_NONE || !fdt_reg(node, 0, &rtc)) {
        print("reborn: needs a PL031\n");
        return 1;
    }
    uint32_t last = mmio_read32(rtc.base + MATCH);
    uint32_t took = ((uint32_t)early & ~3u) - (last & ~3u);
    if ((last & 3u) != 0) {
        print("probe: %s %u\n", (last & 3u) == 1 ? "reset" : "fault", took);
    }
    if ((last & 3u) == 0) {
        mmio_write32(rtc.base + MATCH, ((uint32_t)board_now() & ~3u) | 1u);
        power_reset();
    }
    if ((last & 3u) == 1) {
        mmio_write32(rtc.base + MATCH, ((uint32_t)board_now() & ~3u) | 2u);
        mmio_write32(0x10, 1);
    }
    print("probe: done\n");
    return 0;
}
