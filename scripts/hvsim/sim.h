/* SPDX-License-Identifier: Apache-2.0 */
/* A host program that runs the hypervisor's scheduler through random sets of servers, against an oracle. */
#ifndef SIM_H
#define SIM_H

#include <hv/sched.h>

#define NEVER   SCHED_NEVER
#define US      UINT64_C(1000)        /* times are nanoseconds */
#define MS      UINT64_C(1000000)
#define S       UINT64_C(1000000000)

/* What a server does with its time. */
enum conduct { ALWAYS_READY, BURSTS, SLEEPER };

struct task {
    uint64_t     budget, period;
    uint32_t     core;              /* partitioned EDF */
    bool         extra;
    enum conduct conduct;
};

/* A set of servers and the machine under them. */
struct set {
    const char *name;               /* of a case, or NULL */
    uint32_t    count, cores;
    bool        global, windows;
    bool        lenient;            /* a server has its budget only if it is ready from the beginning of a period */
    uint64_t    overhead;           /* decisions are late by up to so much */
    uint64_t    frame;              /* windows */
    uint32_t    window_count, events;
    struct task task[SCHED_MAX_SERVERS];
    struct sched_window window[256];
};

/* Random numbers, from a seed that names one set. */
void     random_seed(uint64_t seed, uint64_t set);
uint64_t random_below(uint64_t bound);                   /* 0 .. bound - 1 */
uint64_t random_between(uint64_t low, uint64_t high);    /* both included */
uint64_t random_log(uint64_t low, uint64_t high);        /* as likely near 10 us as near 10 s */
bool     random_chance(uint32_t percent);

/* What sets are wanted. */
struct wish {
    uint32_t cores;                 /* at most */
    bool     only_global, only_partitioned, only_windows, all_extra;
    uint64_t overhead;              /* NEVER: some of everything */
};

/* sets.c: a random set that is schedulable, and the named ones. */
void make_set(struct set *set, const struct wish *wish);
bool make_case(struct set *set, uint32_t number);

/* True if each server gets its budget in each period, or at least (lenient) if it is ready from the beginning. */
bool schedulable(struct set *set);

/* How much has been looked at, over all sets: decisions; periods that had to have their budget. */
struct tally {
    uint64_t decisions, periods;
};

/* run.c: runs it. Returns NULL, or what went wrong and when, in words. */
const char *run_set(const struct set *set, struct tally *tally);

#endif
