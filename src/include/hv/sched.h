/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real-time scheduling of the vcpus of a pool. RTDS: each is a deferrable server with a budget in every
 * period, earliest deadline first, per core or over all cores of the pool; or ARINC 653: each core follows
 * a table of windows. Plain C with time as an argument and in any unit: the hypervisor, the unit tests and
 * the simulator compile the same file. The caller holds the pool's lock.
 */
#ifndef HV_SCHED_H
#define HV_SCHED_H

#include <hv/types.h>

#define SCHED_MAX_SERVERS  64u
#define SCHED_MAX_CORES    16u
#define SCHED_IDLE         UINT32_MAX  /* no server */
#define SCHED_ANY_CORE     UINT32_MAX  /* global EDF: all servers of a pool, or none */
#define SCHED_NEVER        UINT64_MAX
#define SCHED_WHOLE        (UINT64_C(1) << 24)  /* of a core */

/*
 * core: the server's, or SCHED_ANY_CORE. extra: it gets time that nobody with a budget wants. resume: the most that it
 * takes to go on with it after it was interrupted; who interrupts it pays for that.
 */
struct sched_params {
    uint64_t budget, period;
    uint32_t core;
    bool     extra;
    uint64_t resume;
};

struct sched_server {
    struct sched_params params;
    uint64_t deadline;       /* end of its period, when the budget is full again */
    uint64_t left;           /* of its budget */
    uint64_t debt;           /* what it has had beyond its budget, to be taken off the next */
    uint64_t bandwidth;      /* budget / period, in 1 / SCHED_WHOLE */
    uint64_t started;        /* running: from when on it has not been charged; asleep: since when */
    uint64_t alarm;          /* awake: its deadline; asleep: when it wakes by itself, or SCHED_NEVER */
    uint32_t on;             /* core that it runs on, or SCHED_IDLE */
    bool     awake, on_extra;
    bool     begun;          /* it was interrupted with budget left, and going on with it is paid for */
    uint8_t  queue_place, timer_place;  /* 1 + place in a heap, 0: in none; it always has its place among the timers */
} __attribute__((aligned(128)));  /* found by a shift */

/* A binary heap of servers. */
struct sched_heap {
    uint32_t count;
    uint8_t  item[SCHED_MAX_SERVERS];
};

/* Servers that share cores: those of one core, or all of a pool with global EDF. */
struct sched_group {
    struct sched_heap ready, extra;  /* by deadline: with budget; without, but given idle time */
    struct sched_heap timers;        /* all of them, by their alarms */
};

/* A window of ARINC 653: start and length in the caller's unit, from the frame's beginning. */
struct sched_window {
    uint64_t start, length;
    uint32_t core, server;
};

/* The windows of all cores, sorted by core, then by start; those of core n are first[n] to first[n + 1] - 1. */
struct sched_frame {
    const struct sched_window *window;  /* NULL: RTDS */
    uint64_t begin, length;             /* of the first major frame; of each */
    uint32_t first[SCHED_MAX_CORES + 1u];
    uint32_t holder[SCHED_MAX_CORES];   /* whose window it was when the core decided last, or SCHED_IDLE */
};

struct sched {
    uint32_t core_count, server_count;
    bool     global;
    uint32_t running[SCHED_MAX_CORES];  /* server, or SCHED_IDLE */
    uint64_t due[SCHED_MAX_CORES];      /* when the core has to decide again at the latest */
    uint64_t kick;                      /* other cores that have to decide at once, by the last decision, one bit each */
    /* For traces (HV_TRACE), a bit each; the caller clears them: whose period began, who woke by timer, whose budget ended. */
    uint64_t refilled, woken, spent;
    struct sched_server server[SCHED_MAX_SERVERS];
    struct sched_group group[SCHED_MAX_CORES];
    struct sched_frame frame;
};

/* An empty scheduler for `core_count` cores, all idle. */
void sched_init(struct sched *sched, uint32_t core_count);

/*
 * One more server, asleep; they are numbered in the order of calls. Its periods begin at `now`. In each it may use
 * its budget; what it has had beyond, as a decision came late, comes off the next. Having slept, it keeps of its
 * budget what the rest of the period is worth, (deadline - now) x budget / period, or all but the time asleep,
 * whichever is more. If budget / period add up to at most 1 on a core, a server that is awake has had what it may
 * use when its period ends, and never waits longer than 2 x (period - budget). A budget has to hold two switches as
 * well: the one to its server, and the one back to whom that interrupts.
 */
void sched_add(struct sched *sched, const struct sched_params *params, uint64_t now);

/*
 * Before a server wakes: each core follows its windows in major frames, the first of which begins at `now`;
 * budgets and periods mean nothing then. The windows stay where they are, sorted by core, then by start, and do
 * not overlap.
 */
void sched_windows(struct sched *sched, const struct sched_window *windows, uint32_t count, uint64_t length, uint64_t now);

/* Ready from now on. Returns the cores that have to decide at once, one bit each. Waking twice is no harm. */
uint64_t sched_wake(struct sched *sched, uint32_t server, uint64_t now);

/*
 * Who runs on `core` from now on: a server, or SCHED_IDLE. What ran there until now is charged.
 * due[core]: when the core has to decide again at the latest, always after `now`; kick: other cores that have to
 * decide at once. Every core decides once to begin with. Time never runs backwards from call to call.
 */
uint32_t sched_decide(struct sched *sched, uint32_t core, uint64_t now);

/*
 * What runs on `core` is not ready until sched_wake() or wake_at, whichever comes first, and the core decides as
 * above. It stays awake if wake_at is not after `now`.
 */
uint32_t sched_sleep(struct sched *sched, uint32_t core, uint64_t now, uint64_t wake_at);

/* ---- ARINC 653's share of these, for sched_rtds.c only ---- */

uint64_t sched_windows_wake(struct sched *sched, uint32_t server);
uint64_t sched_windows_sleep(struct sched *sched, uint32_t core, uint64_t wake_at);
uint32_t sched_windows_decide(struct sched *sched, uint32_t core, uint64_t now);

#endif
