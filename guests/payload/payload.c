/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A payload of a drone, for shared cores: picture after picture of work that takes the time that it gets, and now and
 * then a line that says how far it has come. Command line:
 *   passes=   how often a picture is smoothed (default 4)
 *   every=    milliseconds from one picture's beginning to the next; 0, the default: at once
 */
#include "guest.h"

#define SIDE            64u
#define SECONDS_A_LINE  5u

static uint8_t picture[2][SIDE][SIDE];
static uint32_t tick_irq;
static volatile bool woken;

void guest_irq(uint32_t irq)
{
    if (irq == tick_irq) {
        timer_off();
        woken = true;
    } else if (irq == console.intid) {
        console_irq();
    }
}

/* Each point becomes the mean of itself and its neighbours. */
static void smooth(uint8_t from[SIDE][SIDE], uint8_t to[SIDE][SIDE])
{
    for (uint32_t y = 1; y + 1 < SIDE; y++) {
        for (uint32_t x = 1; x + 1 < SIDE; x++) {
            to[y][x] = (uint8_t)((from[y][x] * 4u + from[y - 1][x] + from[y + 1][x] + from[y][x - 1] + from[y][x + 1]) / 8u);
        }
    }
}

/* What the sensor would give. */
static void expose(uint32_t frame)
{
    for (uint32_t y = 0; y < SIDE; y++) {
        for (uint32_t x = 0; x < SIDE; x++) {
            picture[0][y][x] = (uint8_t)((x ^ y) * 3u + frame);
        }
    }
}

static uint32_t brightness(void)
{
    uint32_t sum = 0;

    for (uint32_t y = 0; y < SIDE; y++) {
        for (uint32_t x = 0; x < SIDE; x++) {
            sum += picture[0][y][x];
        }
    }
    return sum / (SIDE * SIDE);
}

static void sleep_until(uint64_t when)
{
    if (timer_now() >= when) {
        return;
    }
    woken = false;
    timer_at(when);
    irq_disable();
    while (!woken) {
        idle();
        irq_enable();
        irq_disable();
    }
    irq_enable();
}

int main(uint64_t early)
{
    static char line[16];
    uint64_t passes = machine_argument("passes=", 4), every = machine_argument("every=", 0) * timer_hz() / 1000u;
    uint64_t next, line_at, worked = 0;
    uint32_t count = 0, all = 0;

    (void)early;
    tick_irq = timer_irq();
    line_init();
    line_on(tick_irq);
    if (console.intid != 0) {
        line_on(console.intid);
        uart_rx_irq(&console);
    }
    print("payload: pictures of %u x %u, smoothed %lu times\n", SIDE, SIDE, passes);
    next = timer_now();
    line_at = next + timer_hz();
    for (;;) {
        uint64_t begin = timer_now();

        expose(all);
        for (uint64_t i = 0; i < passes; i++) {
            smooth(picture[i & 1u], picture[~i & 1u]);
        }
        worked += timer_now() - begin;
        count++;
        all++;
        if (timer_now() >= line_at) {
            print("payload: picture %u, %lu us each, brightness %u\n", all, timer_ns(worked / count) / 1000u, brightness());
            line_at = timer_now() + SECONDS_A_LINE * timer_hz();
            count = 0;
            worked = 0;
        }
        (void)console_line(line, sizeof(line));
        next = every == 0 || next + every < timer_now() ? timer_now() : next + every;
        sleep_until(next);
    }
}
