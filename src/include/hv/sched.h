/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real-time scheduling of the vcpus of a pool, RTDS: each is a deferrable server with a budget in every
 * period, earliest deadline first, per core or over all cores of the pool. Plain C with time as an argument:
 * the hypervisor, the unit tests and the simulator compile the same file. The caller holds the pool's lock.
 */
#ifndef HV_SCHED_H
#define HV_SCHED_H

#include <hv/types.h>

#define SCHED_MAX_SERVERS  64u
#define SCHED_MAX_CORES    16u
#define SCHED_IDLE         UINT32_MAX  /* no server */
#define SCHED_ANY_CORE     UINT32_MAX
#define SCHED_NEVER        UINT64_MAX

/* budget, period: in the caller's unit of time. core: the server's, or SCHED_ANY_CORE. extra: gets idle time. */
struct sched_params {
    uint64_t budget, period;
    uint32_t core;
    bool     extra;
};

struct sched;

/* An empty scheduler for `core_count` cores, all idle. */
void sched_init(struct sched *sched, uint32_t core_count);

/* One more server, asleep; they are numbered in the order of calls. */
void sched_add(struct sched *sched, const struct sched_params *params, uint64_t now);

/* Ready from now on. Returns the cores that have to decide at once, one bit each. Waking twice is no harm. */
uint64_t sched_wake(struct sched *sched, uint32_t server, uint64_t now);

/* Not ready until sched_wake() or wake_at, whichever comes first. Its core then decides. */
void sched_sleep(struct sched *sched, uint32_t server, uint64_t now, uint64_t wake_at);

/*
 * Who runs on `core` from now on: a server, or SCHED_IDLE. What ran there until now is charged.
 * next: when the core has to decide again at the latest; kick: other cores that have to decide at once.
 */
uint32_t sched_decide(struct sched *sched, uint32_t core, uint64_t now, uint64_t *next, uint64_t *kick);

#endif
