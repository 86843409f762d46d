/* SPDX-License-Identifier: Apache-2.0 */
/* Random sets of servers that are schedulable, and the ones that other schedulers are known to fail with. */
#include "sim.h"

#include <math.h>
#include <string.h>

/* ---------------------------------------------------------------- random numbers */

static uint64_t state;

/* splitmix64 (Steele, Lea and Flood 2014) */
static uint64_t random_next(void)
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void random_seed(uint64_t seed, uint64_t set)
{
    state = seed;
    state = random_next() + set;
    (void)random_next();
}

uint64_t random_below(uint64_t bound)
{
    return (uint64_t)((unsigned __int128)random_next() * bound >> 64);
}

uint64_t random_between(uint64_t low, uint64_t high)
{
    return low + random_below(high - low + 1u);
}

bool random_chance(uint32_t percent)
{
    return random_below(100) < percent;
}

static double random_fraction(void)
{
    return (double)(random_next() >> 11) * 0x1p-53;
}

uint64_t random_log(uint64_t low, uint64_t high)
{
    return (uint64_t)((double)low * exp(random_fraction() * log((double)high / (double)low)));
}

/* ---------------------------------------------------------------- schedulable? */

/* What lateness costs each budget at most: at both ends, once more if it sleeps, and what runs late before it. */
static uint64_t with_overhead(const struct set *set, const struct task *task)
{
    return task->budget + set->overhead * (set->global ? 5u + set->cores : 5u);
}

/* The most that a server can take of a window of length t that ends with one of its periods. */
static uint64_t demand(const struct set *set, const struct task *task, uint64_t t)
{
    uint64_t budget = with_overhead(set, task), rest = t % task->period;

    return t / task->period * budget + (rest < budget ? rest : budget);
}

/* With decisions that are late, once more for each server: it may wake right before its deadline. */
static double utilisation(const struct set *set, uint32_t core)
{
    double sum = 0, late = 0, shortest = (double)NEVER;

    for (uint32_t i = 0; i < set->count; i++) {
        const struct task *task = &set->task[i];

        if (set->global || task->core == core) {
            sum += (double)with_overhead(set, task) / (double)task->period;
            late += (double)(with_overhead(set, task) - task->budget);
            shortest = fmin(shortest, (double)task->period);
        }
    }
    return sum + late / shortest;
}

/* Harmonic periods: the sum over the longest of them is exact. */
static bool fits_exactly(const struct set *set, uint32_t core)
{
    uint64_t longest = 0, sum = 0;

    for (uint32_t i = 0; i < set->count; i++) {
        longest = set->task[i].core == core && set->task[i].period > longest ? set->task[i].period : longest;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->task[i].core == core) {
            if (longest % set->task[i].period != 0) {
                return false;
            }
            sum += longest / set->task[i].period * with_overhead(set, &set->task[i]);
        }
    }
    return sum <= longest;
}

/* Bertogna, Cirinei and Lipari's test of global EDF, with what deferrable servers can take of a window. */
static bool interference_fits(const struct set *set, const struct task *task)
{
    uint64_t budget = with_overhead(set, task), sum = 0, room;

    if (budget > task->period) {
        return false;
    }
    room = task->period - budget + 1u;
    for (uint32_t i = 0; i < set->count; i++) {
        uint64_t other = &set->task[i] == task ? 0 : demand(set, &set->task[i], task->period);

        sum += other < room ? other : room;
    }
    return sum < set->cores * room;
}

/* Goossens, Funk and Baruah's: it holds for whatever asks for no more than its utilisation in any interval. */
static bool density_fits(const struct set *set)
{
    double used = utilisation(set, 0), most = 0;

    for (uint32_t i = 0; i < set->count; i++) {
        most = fmax(most, (double)with_overhead(set, &set->task[i]) / (double)set->task[i].period);
    }
    return most <= 1.0 && used <= (double)set->cores - ((double)set->cores - 1.0) * most - 1e-9;
}

bool schedulable(struct set *set)
{
    set->lenient = false;
    if (set->global && (set->count > set->cores || set->overhead != 0) && !density_fits(set)) {
        set->lenient = true;
        for (uint32_t i = 0; i < set->count; i++) {
            if (!interference_fits(set, &set->task[i])) {
                return false;
            }
        }
    }
    for (uint32_t core = 0; core < set->cores && !set->global; core++) {
        if (utilisation(set, core) > 1.0 - 1e-9 && (set->overhead != 0 || !fits_exactly(set, core))) {
            return false;
        }
    }
    return true;
}

/* ---------------------------------------------------------------- random sets */

static void choose_periods(struct set *set)
{
    static const uint32_t factor[] = { 1, 2, 4, 5, 8, 10, 20, 40 };
    static const uint32_t spread[] = { 2, 10, 100, 1000 };
    uint64_t base = random_log(100 * US, 1 * S), most = base * spread[random_below(ARRAY_COUNT(spread))];
    bool harmonic = random_chance(30), doubled = random_chance(50);

    most = most < 10 * S ? most : 10 * S;
    for (uint32_t i = 0; i < set->count; i++) {
        uint64_t times = doubled ? UINT64_C(1) << random_below(5) : factor[random_below(ARRAY_COUNT(factor))];

        set->task[i].period = harmonic ? base * times : random_log(base, most);
        if (!harmonic && random_chance(50)) {
            set->task[i].period -= set->task[i].period % (10 * US);
        }
    }
}

/* Shares of `total` for the servers of a core, all divisions alike (Bini and Buttazzo's UUniFast). */
static void choose_budgets(struct set *set, uint32_t core, double total)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < set->count; i++) {
        left += set->task[i].core == core ? 1u : 0;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        struct task *task = &set->task[i];
        double next;
        uint64_t budget;

        if (task->core != core) {
            continue;
        }
        next = --left != 0 ? total * pow(random_fraction(), 1.0 / left) : 0;
        budget = (uint64_t)((total - next) * (double)task->period);
        task->budget = budget < 10 * US ? 10 * US : budget > task->period ? task->period : budget;
        total = next;
    }
}

static void choose_conduct(struct set *set, const struct wish *wish)
{
    bool steady = random_chance(30), extra = random_chance(30), none = random_chance(30);

    for (uint32_t i = 0; i < set->count; i++) {
        set->task[i].conduct = steady || random_chance(40) ? ALWAYS_READY : random_chance(70) ? BURSTS : SLEEPER;
        set->task[i].extra = wish->all_extra || extra || (!none && random_chance(50));
    }
}

/* Less of everything until the test passes; at last there is nothing left to refuse. */
static void shrink(struct set *set)
{
    for (uint32_t round = 0; !schedulable(set); round++) {
        bool changed = false;

        for (uint32_t i = 0; i < set->count; i++) {
            uint64_t less = set->task[i].budget - set->task[i].budget / 8u;

            if (less >= 10 * US && less < set->task[i].budget) {
                set->task[i].budget = less;
                changed = true;
            }
        }
        if (!changed || round % 8u == 7u) {
            if (set->count == 1u) {
                set->overhead = 0;
            }
            set->count -= set->count > 1u ? (set->count + 7u) / 8u : 0;
        }
    }
}

static void choose_windows(struct set *set)
{
    uint32_t per_core = 1u + (uint32_t)random_below(256u / set->cores);

    set->frame = random_log(1 * MS, 1 * S);
    for (uint32_t i = 0; i < set->count; i++) {
        set->task[i].budget = set->task[i].period / 4u;
    }
    for (uint32_t core = 0; core < set->cores; core++) {
        uint64_t at = random_chance(50) ? 0 : random_below(set->frame / 4u), rest;

        for (uint32_t i = 0; i < per_core && at < set->frame; i++) {
            struct sched_window *window = &set->window[set->window_count];

            rest = set->frame - at;
            window->start = at;
            window->length = random_chance(10) ? rest : random_between(1, rest < 20 * MS ? rest : 20 * MS);
            window->core = core;
            /* A server has windows on one core only, here: on two at once it would be a mistake. */
            window->server = (uint32_t)random_below(1u + (set->count - 1u - core) / set->cores) * set->cores + core;
            if (core >= set->count) {
                break;
            }
            set->window_count++;
            at += window->length + (random_chance(60) ? 0 : random_below(rest));
        }
    }
}

void make_set(struct set *set, const struct wish *wish)
{
    uint32_t most = random_chance(60) ? 8u : random_chance(60) ? 20u : SCHED_MAX_SERVERS;

    memset(set, 0, sizeof(*set));
    set->windows = wish->only_windows || (!wish->only_global && !wish->only_partitioned && random_chance(10));
    set->global = !set->windows && (wish->only_global || (!wish->only_partitioned && random_chance(50)));
    set->cores = (uint32_t)random_between(1, wish->cores);
    set->count = (uint32_t)random_between(1, most);
    set->events = random_chance(2) ? 6000 : 300;
    for (uint32_t i = 0; i < set->count; i++) {
        set->task[i].core = set->global ? 0 : (uint32_t)random_below(set->cores);
    }
    choose_periods(set);
    choose_conduct(set, wish);
    if (set->windows) {
        choose_windows(set);
        return;
    }
    set->overhead = wish->overhead != NEVER ? wish->overhead : random_chance(60) ? 0 : random_log(10, 2 * US);
    for (uint32_t core = 0; core < (set->global ? 1u : set->cores); core++) {
        double full = set->global ? (double)set->cores : 1.0;

        choose_budgets(set, core, random_chance(50) ? full : full * (0.3 + 0.7 * random_fraction()));
    }
    shrink(set);
}

/* ---------------------------------------------------------------- named cases */

bool make_case(struct set *set, uint32_t number)
{
    static const struct set cases[] = {
        { .name = "2 ms and 10 ms with extra time", .count = 2, .cores = 1,
          .task = { { 200 * US, 2 * MS, 0, true, ALWAYS_READY }, { 2 * MS, 10 * MS, 0, true, ALWAYS_READY } } },
        { .name = "2 ms and 10 ms, one with extra time", .count = 2, .cores = 1,
          .task = { { 200 * US, 2 * MS, 0, false, ALWAYS_READY }, { 2 * MS, 10 * MS, 0, true, ALWAYS_READY } } },
        { .name = "2 ms and 10 ms with extra time, both sleep", .count = 2, .cores = 1,
          .task = { { 200 * US, 2 * MS, 0, true, BURSTS }, { 2 * MS, 10 * MS, 0, true, BURSTS } } },
        { .name = "2 ms and 10 ms with extra time, the long one sleeps", .count = 2, .cores = 1,
          .task = { { 200 * US, 2 * MS, 0, true, ALWAYS_READY }, { 2 * MS, 10 * MS, 0, true, SLEEPER } } },
        { .name = "budgets of 10 us", .count = 4, .cores = 1,
          .task = { { 10 * US, 100 * US, 0, false, ALWAYS_READY }, { 10 * US, 150 * US, 0, false, ALWAYS_READY },
                    { 20 * US, 200 * US, 0, false, BURSTS }, { 30 * US, 1 * MS, 0, true, ALWAYS_READY } } },
        { .name = "budgets under 50 us beside seconds", .count = 3, .cores = 1,
          .task = { { 40 * US, 1 * MS, 0, false, ALWAYS_READY }, { 1 * S, 4 * S, 0, true, ALWAYS_READY },
                    { 2 * S, 10 * S, 0, true, ALWAYS_READY } } },
        { .name = "a core to the last nanosecond", .count = 4, .cores = 1,
          .task = { { 1 * MS, 4 * MS, 0, true, ALWAYS_READY }, { 2 * MS, 8 * MS, 0, true, ALWAYS_READY },
                    { 4 * MS, 16 * MS, 0, true, ALWAYS_READY }, { 8 * MS, 32 * MS, 0, true, ALWAYS_READY } } },
        { .name = "Dhall's light ones and a heavy one, global", .count = 3, .cores = 2, .global = true,
          .task = { { 100 * US, 10 * MS, 0, false, ALWAYS_READY }, { 100 * US, 10 * MS, 0, false, ALWAYS_READY },
                    { 9 * MS, 10100 * US, 0, true, ALWAYS_READY } } },
        { .name = "all alike, global", .count = 6, .cores = 4, .global = true,
          .task = { { 2 * MS, 10 * MS, 0, true, BURSTS }, { 2 * MS, 10 * MS, 0, true, BURSTS },
                    { 2 * MS, 10 * MS, 0, true, BURSTS }, { 2 * MS, 10 * MS, 0, true, ALWAYS_READY },
                    { 2 * MS, 10 * MS, 0, true, ALWAYS_READY }, { 2 * MS, 10 * MS, 0, true, SLEEPER } } },
    };

    if (number >= ARRAY_COUNT(cases)) {
        return false;
    }
    *set = cases[number];
    set->events = 20000;
    return true;
}
