/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a set of servers under the scheduler and judges every step by a model of its own, which knows the
 * rules and nothing of heaps:
 *  - a server that is awake has its budget in each period, less what it forfeits by sleeping, and no gap is
 *    longer than 2 x (period - budget); with sets that only pass a test for servers which are ready from the
 *    beginning of a period this holds for these;
 *  - whoever is given a core has the earliest deadline of those with budget that wait; without any, idle time
 *    goes to one that may have it, and to nobody only if there is none;
 *  - with punctual decisions this holds at every moment for all cores of a pool at once.
 */
#include "sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* A server as the oracle sees it, and what it is going to do. */
struct actor {
    bool     slept;                 /* in this period, or woke in it */
    bool     awake, entitled;       /* to all that is left to it in this period, if it stays awake */
    uint64_t end, left, debt;       /* of the period; of the budget; had beyond it */
    uint64_t work, wakes;           /* until it sleeps, of core time; when something wakes it */
    uint64_t timer;                 /* when it wakes by itself */
    uint64_t asleep_since;
    uint64_t rest_since;            /* it has not run since then, NEVER: it has, or may not complain */
};

struct core {
    uint32_t runs;
    bool     free_time;             /* given without budget */
    uint64_t decides;
};

static struct sched sched;
static const struct set *set;
static struct actor actors[SCHED_MAX_SERVERS];
static struct core cores[SCHED_MAX_CORES];
static uint64_t now;
static struct tally *tally;
static char message[400];

static bool failed(void)
{
    return message[0] != '\0';
}

static __attribute__((format(printf, 1, 2))) void fail(const char *format, ...)
{
    va_list list;
    int used;

    if (failed()) {
        return;
    }
    used = snprintf(message, sizeof(message), "at %" PRIu64 " ns: ", now);
    va_start(list, format);
    (void)vsnprintf(message + used, sizeof(message) - (size_t)used, format, list);
    va_end(list);
}

static uint64_t lateness(void)
{
    return set->overhead != 0 ? random_below(set->overhead + 1u) : 0;
}

static uint32_t core_of(uint32_t server)
{
    for (uint32_t core = 0; core < set->cores; core++) {
        if (cores[core].runs == server) {
            return core;
        }
    }
    return SCHED_IDLE;
}

static void kick(uint64_t bits)
{
    for (uint32_t core = 0; core < set->cores; core++) {
        uint64_t at = now + lateness();

        if ((bits >> core & 1u) != 0 && at < cores[core].decides) {
            cores[core].decides = at;
        }
    }
    if (bits >> set->cores != 0) {
        fail("a core is kicked that is not there");
    }
}

/* ---------------------------------------------------------------- what servers do */

/* How long it is busy, and how long it then rests: in all proportions to budget and period. */
static uint64_t some_work(const struct task *task)
{
    switch (random_below(4)) {
    case 0:
        return task->budget;
    case 1:
        return random_between(1, task->budget);
    case 2:
        return random_log(1, 4 * task->period);
    default:
        return random_between(1, 3 * task->budget);
    }
}

static uint64_t some_rest(uint32_t server)
{
    const struct task *task = &set->task[server];
    uint64_t to_end = set->windows ? random_log(1, set->frame) : actors[server].end - now;

    switch (random_below(5)) {
    case 0:
        return to_end;                                       /* wakes with its period */
    case 1:
        return to_end > task->budget ? to_end - random_below(task->budget + 1u) : to_end;  /* or right before */
    case 2:
        return random_log(1, 5 * task->period);
    case 3:
        return random_between(1, task->period);
    default:
        return 1;
    }
}

/* Of what is left, what the rest of the period is worth; or all but the time asleep. */
static void forfeit(uint32_t server)
{
    struct actor *actor = &actors[server];
    const struct task *task = &set->task[server];
    uint64_t slept = now - actor->asleep_since, share = (task->budget << 24) / task->period;
    uint64_t worth = (actor->end - now) * share >> 24, kept = actor->left > slept ? actor->left - slept : 0;

    kept = kept > worth ? kept : worth;
    actor->left = kept < actor->left ? kept : actor->left;
    actor->slept = true;
}

static void be_awake(uint32_t server)
{
    struct actor *actor = &actors[server];

    if (!actor->awake) {
        actor->awake = true;
        actor->work = set->task[server].conduct == ALWAYS_READY ? NEVER : some_work(&set->task[server]);
        actor->rest_since = set->lenient ? NEVER : now;
        actor->timer = NEVER;
        if (!set->windows) {
            forfeit(server);
        }
    }
    actor->wakes = NEVER;
}

/* ---------------------------------------------------------------- the oracle */

static void pay(struct actor *actor, uint64_t time)
{
    if (time > actor->left) {
        actor->debt += time - actor->left;
        actor->left = 0;
    } else {
        actor->left -= time;
    }
}

/* Time passes: whoever runs uses it. No period and no budget ends on the way. */
static void pass(uint64_t to)
{
    for (uint32_t i = 0; i < set->cores; i++) {
        struct actor *actor;

        if (cores[i].runs == SCHED_IDLE) {
            continue;
        }
        actor = &actors[cores[i].runs];
        if (!cores[i].free_time && !set->windows) {
            pay(actor, to - now);
        }
        if (actor->awake && actor->work != NEVER) {
            actor->work -= actor->work < to - now ? actor->work : to - now;
        }
    }
    now = to;
}

/* Its period is over: it has had what it was entitled to, or somebody has to say so. */
static void end_period(uint32_t server)
{
    struct actor *actor = &actors[server];
    const struct task *task = &set->task[server];
    uint32_t core = core_of(server);

    tally->periods += actor->entitled ? 1u : 0;
    if (actor->awake && actor->entitled && actor->left > (actor->slept ? 8u * set->count * set->overhead : 0)) {
        fail("server %u was ready, and in its period until %" PRIu64 " ns lacks %" PRIu64 " of %" PRIu64 " ns", server,
             actor->end, actor->left, task->budget);
    }
    if (!actor->entitled && core == SCHED_IDLE) {
        actor->rest_since = actor->awake ? now : NEVER;
    }
    actor->left = task->budget - (actor->debt < task->budget ? actor->debt : task->budget);
    actor->debt = 0;
    actor->slept = false;
    actor->end += task->period;
    actor->entitled = actor->awake || !set->lenient;
    if (core != SCHED_IDLE && actor->left != 0) {
        cores[core].free_time = false;
    }
}

static void check_gap(uint32_t server)
{
    const struct task *task = &set->task[server];
    uint64_t since = actors[server].rest_since, rounding = 2u + (task->period >> 23);  /* in what sleepers keep */
    uint64_t bound = 2u * (task->period - task->budget) + rounding + 8u * set->overhead * (set->count + set->cores);

    if (since != NEVER && now - since > bound) {
        fail("server %u was ready, and waited %" PRIu64 " ns; 2 x (period - budget) is %" PRIu64 " ns", server, now - since,
             2u * (task->period - task->budget));
    }
}

static bool in_group(uint32_t server, uint32_t core)
{
    return set->global || set->task[server].core == core;
}

/* The earliest deadline of those in the core's group that have budget and no core; extra: one has none, but may run. */
static uint64_t best_waiting(uint32_t core, bool *extra)
{
    uint64_t best = NEVER, running = 0;

    for (uint32_t i = 0; i < set->cores; i++) {
        running |= cores[i].runs != SCHED_IDLE ? UINT64_C(1) << cores[i].runs : 0;
    }
    *extra = false;
    for (uint32_t i = 0; i < set->count; i++) {
        if (!actors[i].awake || (running >> i & 1u) != 0 || !in_group(i, core)) {
            continue;
        }
        if (actors[i].left == 0) {
            *extra = *extra || set->task[i].extra;
        } else if (actors[i].end < best) {
            best = actors[i].end;
        }
    }
    return best;
}

/* What runs on the core is right, whatever the other cores do. */
static void check_core(uint32_t core)
{
    uint32_t server = cores[core].runs;
    bool extra;
    uint64_t best = best_waiting(core, &extra);

    if (server == SCHED_IDLE) {
        if (best != NEVER || extra) {
            fail("core %u idles, and somebody waits", core);
        }
    } else if (!actors[server].awake) {
        fail("core %u runs server %u, which sleeps", core, server);
    } else if (actors[server].left == 0) {
        if (best != NEVER || !set->task[server].extra) {
            fail("core %u runs server %u, whose budget is spent", core, server);
        }
    } else if (best < actors[server].end) {
        fail("core %u runs server %u with deadline %" PRIu64 ", and one with %" PRIu64 " waits", core, server,
             actors[server].end, best);
    }
}

/* Whose window it is, by looking at all of them. */
static uint32_t holder(uint32_t core, uint64_t *end)
{
    uint64_t phase = now % set->frame, begin = now - phase;

    *end = NEVER;
    for (uint32_t i = 0; i < set->window_count; i++) {
        const struct sched_window *window = &set->window[i];
        uint64_t start = window->start >= phase ? window->start : window->start + set->frame;

        if (window->core == core && phase >= window->start && phase < window->start + window->length) {
            *end = begin + window->start + window->length;
            return window->server;
        }
        if (window->core == core && begin + start < *end) {
            *end = begin + start;
        }
    }
    return SCHED_IDLE;
}

static void check_window(uint32_t core)
{
    uint64_t end;
    uint32_t wanted = holder(core, &end);

    wanted = wanted != SCHED_IDLE && actors[wanted].awake ? wanted : SCHED_IDLE;
    if (cores[core].runs != wanted) {
        fail("core %u runs server %d in a window of server %d", core, (int)cores[core].runs, (int)wanted);
    }
    if (cores[core].decides > end) {
        fail("core %u decides after the window's end", core);
    }
}

/* ---------------------------------------------------------------- a run */

/* The scheduler has decided for a core. */
static void given(uint32_t core, uint32_t server)
{
    uint32_t before = cores[core].runs;
    uint64_t next = sched.due[core];

    tally->decisions++;
    if (next <= now) {
        fail("core %u is to decide again at %" PRIu64 " ns, which is not in the future", core, next);
    }
    if (server != SCHED_IDLE && (server >= set->count || (core_of(server) != SCHED_IDLE && core_of(server) != core))) {
        fail("core %u is given server %u, which runs or is not there", core, server);
    }
    if (failed()) {
        return;
    }
    if (before != SCHED_IDLE && before != server) {
        actors[before].rest_since = actors[before].awake && actors[before].entitled ? now : NEVER;
    }
    if (server != SCHED_IDLE && before != server) {
        if (!set->windows) {
            check_gap(server);
        }
        actors[server].rest_since = NEVER;
    }
    cores[core].runs = server;
    cores[core].free_time = server != SCHED_IDLE && actors[server].left == 0;
    cores[core].decides = next != NEVER ? next + lateness() : NEVER;
    if (set->windows) {
        return;
    }
    check_core(core);
    if (server != SCHED_IDLE && next > (cores[core].free_time ? actors[server].end : now + actors[server].left)) {
        fail("core %u runs server %u and is to decide only at %" PRIu64 " ns", core, server, next);
    }
    kick(sched.kick);
}

static void decide(uint32_t core)
{
    given(core, sched_decide(&sched, core, now));
}

/* What runs on the core goes to sleep. */
static void go_to_sleep(uint32_t core)
{
    uint32_t server = cores[core].runs;
    struct actor *actor = &actors[server];
    uint64_t rest = set->task[server].conduct == SLEEPER ? 3u * some_rest(server) : some_rest(server);
    bool by_timer = random_chance(50);

    actor->awake = false;
    actor->timer = by_timer ? now + rest : random_chance(20) ? now + 2u * rest : NEVER;
    actor->wakes = by_timer && random_chance(80) ? NEVER : now + rest;
    actor->asleep_since = now;
    actor->slept = true;
    actor->entitled = !set->lenient || (actor->entitled && actor->left == 0);
    given(core, sched_sleep(&sched, core, now, actor->timer));
}

static void fall_asleep(uint32_t core)
{
    struct actor *actor = &actors[cores[core].runs];

    if (set->overhead != 0 && actor->slept) {
        actor->work = some_work(&set->task[cores[core].runs]);  /* each sleep costs others a late decision: once in a period */
        return;
    }
    go_to_sleep(core);
}

/* All cores that are due decide, and those that they disturb. More rounds than this are one too many. */
static void settle(void)
{
    uint32_t rounds = 0;

    for (bool again = true; again && !failed();) {
        again = false;
        for (uint32_t core = 0; core < set->cores && !failed(); core++) {
            if (cores[core].decides <= now) {
                again = true;
                decide(core);
            }
        }
        if (++rounds > 20u + 4u * SCHED_MAX_CORES) {
            fail("decisions without end");
        }
    }
    for (uint32_t core = 0; core < set->cores && set->overhead == 0 && !failed(); core++) {
        if (set->windows) {
            check_window(core);
        } else {
            check_core(core);
        }
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When something happens next, in the model or on a core. */
static uint64_t next_event(void)
{
    uint64_t next = NEVER;

    for (uint32_t i = 0; i < set->count; i++) {
        next = earlier(next, actors[i].awake ? NEVER : earlier(actors[i].wakes, actors[i].timer));
        next = set->windows ? next : earlier(next, actors[i].end);
    }
    for (uint32_t i = 0; i < set->cores; i++) {
        const struct actor *actor = cores[i].runs != SCHED_IDLE ? &actors[cores[i].runs] : NULL;

        next = earlier(next, cores[i].decides);
        if (actor != NULL && actor->awake && actor->work != NEVER) {
            next = earlier(next, now + actor->work);
        }
        if (actor != NULL && !set->windows && !cores[i].free_time && actor->left != 0) {
            next = earlier(next, now + actor->left);
        }
    }
    return next;
}

/* What nobody asked for: cores that decide without a reason, servers that are woken twice or fall asleep too soon. */
static void disturb(void)
{
    uint32_t server = (uint32_t)random_below(set->count), core = (uint32_t)random_below(set->cores), runs = cores[core].runs;

    switch (random_below(16)) {
    case 0:
        cores[core].decides = earlier(cores[core].decides, now);
        break;
    case 1:
        if (actors[server].awake) {
            kick(sched_wake(&sched, server, now));
        }
        break;
    case 2:
        if (runs != SCHED_IDLE && set->task[runs].conduct != ALWAYS_READY && actors[runs].awake) {
            fall_asleep(core);
        }
        break;
    default:
        break;
    }
}

static void step(void)
{
    uint64_t to = next_event();

    if (to == NEVER) {
        to = now + set->task[0].period;
        cores[0].decides = to;
    }
    pass(to);
    for (uint32_t i = 0; i < set->count; i++) {
        struct actor *actor = &actors[i];

        if (!set->windows && actor->end <= now) {
            end_period(i);
        }
        if (!actor->awake && actor->wakes <= now) {
            be_awake(i);
            kick(sched_wake(&sched, i, now));
        } else if (!actor->awake && actor->timer <= now) {
            be_awake(i);
        }
    }
    for (uint32_t i = 0; i < set->cores && !failed(); i++) {
        if (cores[i].runs != SCHED_IDLE && actors[cores[i].runs].work == 0) {
            fall_asleep(i);
        }
    }
    disturb();
    settle();
}

static void begin(void)
{
    now = 0;
    sched_init(&sched, set->cores);
    if (set->windows) {
        sched_windows(&sched, set->window, set->window_count, set->frame, 0);
    }
    for (uint32_t i = 0; i < set->cores; i++) {
        cores[i] = (struct core){ SCHED_IDLE, false, 0 };
    }
    for (uint32_t i = 0; i < set->count; i++) {
        const struct task *task = &set->task[i];
        struct sched_params params = { task->budget, task->period, set->global ? SCHED_ANY_CORE : task->core, task->extra, 0 };

        sched_add(&sched, &params, 0);
        actors[i] = (struct actor){ .end = task->period, .left = task->budget, .timer = NEVER, .wakes = NEVER, .entitled = !set->lenient };
    }
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->task[i].conduct == ALWAYS_READY || random_chance(70)) {
            actors[i].entitled = true;
            actors[i].awake = false;
            be_awake(i);
            kick(sched_wake(&sched, i, 0));
        } else {
            actors[i].wakes = random_below(2u * set->task[i].period);
        }
    }
    settle();
}

const char *run_set(const struct set *what, struct tally *counted)
{
    set = what;
    tally = counted;
    message[0] = '\0';
    begin();
    for (uint32_t i = 0; i < set->events && !failed(); i++) {
        step();
    }
    return failed() ? message : NULL;
}
