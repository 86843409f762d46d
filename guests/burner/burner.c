/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures what a vcpu on a shared core gets. It looks at the counter without end, so each time that it did not
 * run shows as a stop; afterwards it judges the list of stops against its guarantee, `budget` in each `period`:
 *
 *   - no stop is longer than 2 x (period - budget), or than `stop=`;
 *   - in every window of up to WINDOW_PERIODS periods it ran as long as such a guarantee gives at the least
 *     (the supply bound function of periodic resources, Shin and Lee 2003);
 *   - if it never sleeps: there is a phase so that it ran for its budget in every single period.
 *
 * Command line, all times in microseconds unless they say otherwise:
 *   budget= period=     the guarantee
 *   stop=               the longest stop, if another than 2 x (period - budget) is promised
 *   nap=1               burns and sleeps for random times instead of burning all the time
 *   seed=               of these
 *   after= run=         milliseconds: when it begins, how long it looks
 *   tolerance=          nanoseconds that each period may give less, and each stop may last longer
 *   noise=              nanoseconds: a shorter stop counts as having run
 *   edges=              notes so many stops by the board's clock and prints them, to be compared with others'
 *   restart=1           restarts its partition at once, over and over
 *   load=1              only burns, for others to measure against
 *   pace=               only wakes that often: a machine under `-icount` with several cores gives each one turns that end
 *                       with the next timer of any, so that a stop by such a turn is short
 */
#include "guest.h"

#define STOPS           60000u
#define WINDOW_PERIODS  8u
#define ASLEEP          0         /* stop.to of an entry that says since when it sleeps */

struct stop { uint64_t from, to; };

static struct stop stops[STOPS];
static uint32_t stop_count;
static bool overflow;

static uint64_t budget, period, longest_allowed, tolerance, noise, after, run;
static bool naps;
static uint64_t random_state;
static uint32_t tick_irq;
static volatile bool woken;

void guest_irq(uint32_t irq)
{
    if (irq == tick_irq) {
        timer_off();
        woken = true;
    }
}

/* ------------------------------------------------------------------ what it was told */

static uint64_t ticks(uint64_t ns)
{
    uint64_t hz = timer_hz();
    return ns / 1000000000u * hz + ns % 1000000000u * hz / 1000000000u;
}

static void read_arguments(void)
{
    budget = ticks(machine_argument("budget=", 1000) * 1000);
    period = ticks(machine_argument("period=", 10000) * 1000);
    longest_allowed = ticks(machine_argument("stop=", 0) * 1000);
    if (longest_allowed == 0) {
        longest_allowed = 2 * (period - budget);
    }
    tolerance = ticks(machine_argument("tolerance=", 2000));
    noise = ticks(machine_argument("noise=", 100));
    after = ticks(machine_argument("after=", 50) * 1000000);
    run = ticks(machine_argument("run=", 300) * 1000000);
    naps = machine_argument("nap=", 0) != 0;
    random_state = machine_argument("seed=", 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

static uint64_t random_below(uint64_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 11) % (limit + 1);
}

/* ------------------------------------------------------------------ measuring */

static void note(uint64_t from, uint64_t to)
{
    if (stop_count < STOPS) {
        stops[stop_count++] = (struct stop){from, to};
    } else {
        overflow = true;
    }
}

/* Runs from `last` on until `until`; returns the last look at the counter. */
static uint64_t burn(uint64_t last, uint64_t until)
{
    while (last < until) {
        uint64_t now = timer_now();
        if (now - last > noise) {
            note(last, now);
        }
        last = now;
    }
    return last;
}

/* Returns when it began to wait, by the board's clock; its timer was set before that. */
static uint64_t sleep_until(uint64_t wake)
{
    uint64_t began = board_now();
    woken = false;
    timer_at(wake);
    while (!woken) {
        irq_disable();
        if (!woken) {
            began = board_now();
            idle();
        }
        irq_enable();
    }
    return began;
}

/* Returns when it runs again. From `wake` on it would have liked to. */
static uint64_t nap(uint64_t last, uint64_t wake)
{
    note(last, ASLEEP);
    (void)sleep_until(wake);
    uint64_t now = timer_now();
    note(wake > last ? wake : last, now);
    return now;
}

static void measure(void)
{
    uint64_t begin = after, end = after + run, now = timer_now();
    while (now < begin) {
        now = timer_now();
    }
    if (!naps) {
        burn(now, end);
        return;
    }
    while (now < end) {
        now = burn(now, now + random_below(budget + budget / 2));
        uint64_t kind = random_below(3);
        now = nap(now, now + random_below(kind == 0 ? budget / 4 : kind == 1 ? period : 2 * period));
    }
}

/* ------------------------------------------------------------------ judging */

static uint64_t length_of(const struct stop *stop)
{
    return stop->to - stop->from;
}

static uint64_t longest_stop(void)
{
    uint64_t longest = 0;
    for (uint32_t i = 0; i < stop_count; i++) {
        if (stops[i].to != ASLEEP && length_of(&stops[i]) > longest) {
            longest = length_of(&stops[i]);
        }
    }
    return longest;
}

/* The least that `budget` in every `period` gives in a window, wherever the window lies. */
static uint64_t least_in(uint64_t window)
{
    uint64_t rest = period - budget, whole, tail;
    if (window < rest) {
        return 0;
    }
    whole = (window - rest) / period;
    tail = window - whole * period;
    return whole * budget + (tail > 2 * rest ? tail - 2 * rest : 0);
}

/* Windows from the start of one stop to the end of a later one, awake all the while. What is missing at worst. */
static uint64_t worst_window(uint64_t *at)
{
    uint64_t worst = 0;
    for (uint32_t i = 0; i < stop_count; i++) {
        uint64_t stopped = 0;
        for (uint32_t j = i; j < stop_count && stops[j].to != ASLEEP; j++) {
            uint64_t window = stops[j].to - stops[i].from, got, least, allowed;
            if (window > WINDOW_PERIODS * period) {
                break;
            }
            stopped += length_of(&stops[j]);
            got = window - stopped;
            least = least_in(window);
            allowed = (window / period + 2) * tolerance;
            if (got + allowed < least && least - got - allowed > worst) {
                worst = least - got - allowed;
                *at = stops[i].from;
            }
        }
    }
    return worst;
}

/* The least that it ran in a period, if periods begin at `phase`; gives up below `enough`. */
static uint64_t least_of_periods(uint64_t phase, uint64_t enough)
{
    uint64_t least = period;
    uint32_t next = 0;
    for (uint64_t begin = phase; begin + period <= after + run; begin += period) {
        uint64_t stopped = 0;
        while (next < stop_count && stops[next].to <= begin) {
            next++;
        }
        for (uint32_t i = next; i < stop_count && stops[i].from < begin + period; i++) {
            uint64_t from = stops[i].from > begin ? stops[i].from : begin;
            uint64_t to = stops[i].to < begin + period ? stops[i].to : begin + period;
            stopped += to - from;
        }
        if (period - stopped < least) {
            least = period - stopped;
        }
        if (least <= enough) {
            break;
        }
    }
    return least;
}

/* Periods begin where nobody tells the guest: at the end of some stop, if it is taken modulo the period. */
static uint64_t best_least(void)
{
    uint64_t best = 0;
    for (uint32_t i = 0; i < stop_count && best + tolerance < budget; i++) {
        uint64_t phase = after + (stops[i].to - after) % period;
        uint64_t least = least_of_periods(phase, best);
        best = least > best ? least : best;
    }
    return stop_count == 0 ? period : best;
}

static void judge(void)
{
    uint64_t longest = longest_stop(), at = 0, missing = worst_window(&at), least = naps ? 0 : best_least();
    bool kept = !overflow && longest <= longest_allowed + tolerance && missing == 0 &&
                (naps || least + tolerance >= budget) && (!naps || stop_count > 20);
    print("burner: longest stop %lu of %lu ns, ", timer_ns(longest), timer_ns(longest_allowed));
    if (missing != 0) {
        print("a window at %lu us misses %lu ns, ", timer_ns(at) / 1000, timer_ns(missing));
    }
    if (!naps) {
        print("least in a period %lu of %lu ns, ", timer_ns(least), timer_ns(budget));
    }
    print("%u stops%s: %s\n", stop_count, overflow ? ", more than it can note" : "", kept ? "KEPT" : "BROKEN");
}

/* From 50 ms on. It sleeps after each `nap=` microseconds for as long, or burns. */
static void edges(uint32_t wanted)
{
    uint64_t length = ticks(machine_argument("nap=", 0) * 1000), last = board_now(), until = last + length;
    while (timer_now() < after) {
        last = board_now();
    }
    while (stop_count < wanted) {
        uint64_t now = board_now();
        if (now - last > noise) {
            note(last, now);
        }
        last = now;
        if (length != 0 && now > until) {
            note(sleep_until(timer_now() + length), ASLEEP);
            last = board_now();
            note(last - 1, last);
            until = last + length;
        }
    }
    for (uint32_t i = 0; i < stop_count; i++) {
        print("edge %lu %lu\n", stops[i].from, stops[i].to);
    }
    print("edges: done\n");
}

static void pace(uint64_t interval)
{
    for (uint64_t next = timer_now() + interval;; next += interval) {
        (void)sleep_until(next);
    }
}

int main(uint64_t early)
{
    (void)early;
    if (machine_argument("restart=", 0) != 0) {
        power_reset();
    }
    read_arguments();
    line_init();
    tick_irq = timer_irq();
    line_on(tick_irq);
    irq_enable();
    if (machine_argument("pace=", 0) != 0) {
        pace(ticks(machine_argument("pace=", 0) * 1000));
    }
    if (machine_argument("edges=", 0) != 0) {
        edges((uint32_t)machine_argument("edges=", 0));
    }
    print("burner: %lu of %lu us%s\n", timer_ns(budget) / 1000, timer_ns(period) / 1000, naps ? ", sleeping now and then" : "");
    if (machine_argument("load=", 0) == 0) {
        measure();
        judge();
    }
    for (;;) {
        (void)timer_now();          /* the others may not be done */
    }
}
