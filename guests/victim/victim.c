/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The neighbour of an attacker: fills its memory with a pattern, verifies it without end, and measures
 * how late its timer comes. Anything foreign shows: a changed word, an interrupt that nobody ordered,
 * a late tick.
 */
#include "guest.h"

#define TICKS_A_SECOND   1000
#define CHUNK            0x10000     /* bytes verified between two looks at the clock */
#define VERIFIED_AT_MOST (UINT64_C(64) << 20)

static uint32_t tick_intid;
static uint64_t interval, next_tick, late_max;
static volatile uint32_t stray_count, stray_last;

void guest_irq(uint32_t intid)
{
    if (intid != tick_intid) {
        stray_count++;
        stray_last = intid;
        return;
    }
    uint64_t now = timer_now();
    if (now - next_tick > late_max) {
        late_max = now - next_tick;
    }
    next_tick += interval;
    if (next_tick < now) {
        next_tick = now + interval;   /* missed ticks are lateness, not work to catch up with */
    }
    timer_at(next_tick);
}

static uint64_t pattern(uint64_t address)
{
    return address * UINT64_C(0x9e3779b97f4a7c15) ^ UINT64_C(0x76696374696d2121);
}

static void fill(uint64_t from, uint64_t to)
{
    for (uint64_t at = from; at < to; at += 8) {
        *(volatile uint64_t *)at = pattern(at);
    }
}

/* The first word in [from, to) that is not what fill left there, or `to`. */
static uint64_t verify(uint64_t from, uint64_t to)
{
    for (uint64_t at = from; at < to; at += 8) {
        if (*(volatile uint64_t *)at != pattern(at)) {
            return at;
        }
    }
    return to;
}

static uint64_t page_up(uint64_t address)
{
    return (address + 0xfff) & ~UINT64_C(0xfff);
}

/* The largest piece of RAM without image and devicetree, both of which may stand anywhere in it. */
static struct fdt_range own_memory(void)
{
    struct fdt_range ram = {0, 0};
    fdt_memory(&ram, 1);
    uint64_t end = ram.base + ram.size, from = page_up((uint64_t)image_end);
    if (fdt_address() >= from && fdt_address() < end) {
        end = fdt_address() & ~UINT64_C(0xfff);
    }
    if (end - from > VERIFIED_AT_MOST) {
        from = end - VERIFIED_AT_MOST;
    }
    return (struct fdt_range){from, end - from};
}

static void report_strays(void)
{
    static uint32_t shown;
    if (stray_count != shown) {
        shown = stray_count;
        print("victim: STRAY interrupt %u, %u so far\n", stray_last, shown);
    }
}

/* Any SGI is foreign here: this guest sends none. */
static void listen(void)
{
    gic_init();
    for (uint32_t sgi = 0; sgi < 16; sgi++) {
        gic_enable(sgi);
    }
    tick_intid = timer_intid();
    gic_enable(tick_intid);
    interval = timer_hz() / TICKS_A_SECOND;
    next_tick = timer_now() + interval;
    timer_at(next_tick);
    irq_enable();
}

int main(uint64_t early)
{
    (void)early;
    struct fdt_range range = own_memory();
    uint64_t end = range.base + range.size, count = 0;
    fill(range.base, end);
    print("victim: watching %lu KiB at 0x%lx\n", range.size >> 10, range.base);
    listen();

    uint64_t next_report = timer_now() + timer_hz();
    for (uint64_t at = range.base;;) {
        uint64_t to = end - at > CHUNK ? at + CHUNK : end;
        uint64_t bad = verify(at, to);
        if (bad != to) {
            print("victim: CORRUPT at 0x%lx: 0x%lx, was 0x%lx\n", bad, *(volatile uint64_t *)bad, pattern(bad));
            fill(bad, bad + 8);
        }
        at = to == end ? range.base : to;
        report_strays();
        if (timer_now() >= next_report) {
            next_report += timer_hz();
            count++;
            print("victim: ok %lu max-late %lu ns\n", count, timer_ns(late_max));
            late_max = 0;
        }
    }
}
