/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The neighbour of an attacker: fills its memory with a pattern, verifies it without end, and measures
 * how late its timer comes. Anything foreign shows: a changed word, an interrupt that nobody ordered,
 * a late tick.
 */
#include "guest.h"

#define TICKS_A_SECOND   1000
#define CHUNK            0x10000     /* bytes verified between two looks at the clock */
#define PAGE             UINT64_C(4096)
#define VERIFIED_AT_MOST (UINT64_C(64) << 20)

static uint32_t tick_irq;
static uint64_t interval, next_tick, late_max;
static volatile uint32_t stray_count, stray_last;

void guest_irq(uint32_t irq)
{
    if (irq != tick_irq) {
        stray_count++;
        stray_last = irq;
        return;
    }
    uint64_t now = timer_now();
    if (now > next_tick && now - next_tick > late_max) {    /* a timer that counts may be early by a rounding */
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

/* The longest piece of RAM, at most so much, without image and what was handed over: these stand anywhere. */
static struct range own_memory(void)
{
    struct range ram = {0, 0}, best = {0, 0};
    machine_memory(&ram, 1);
    uint64_t from = ram.base, end = ram.base + ram.size;
    for (uint64_t page = from; page <= end; page += PAGE) {
        if (page != end && !machine_keeps(page)) {
            continue;
        }
        if (page - from > best.size) {
            best = (struct range){from, page - from};
        }
        from = page + PAGE;
    }
    if (best.size > VERIFIED_AT_MOST) {
        best.base += best.size - VERIFIED_AT_MOST;
        best.size = VERIFIED_AT_MOST;
    }
    return best;
}

static void report_strays(void)
{
    static uint32_t shown;
    if (stray_count != shown) {
        shown = stray_count;
        print("victim: STRAY interrupt %u, %u so far\n", stray_last, shown);
    }
}

static void listen(void)
{
    line_init();
    listen_to_neighbours();         /* this guest sends itself nothing */
    tick_irq = timer_irq();
    line_on(tick_irq);
    interval = timer_hz() / TICKS_A_SECOND;
    next_tick = timer_now() + interval;
    timer_at(next_tick);
    irq_enable();
}

int main(uint64_t early)
{
    (void)early;
    struct range range = own_memory();
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
