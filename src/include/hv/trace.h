/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened on shared cores, for `bulkhead trace`: rings of events, in which the latest overwrite the
 * oldest. Each core of a pool has one that it alone writes to, each pool one that is written to under its lock.
 * A reader finds all of it behind the symbol `trace`; scripts/hvtrace/dump.py knows these structs.
 */
#ifndef HV_TRACE_H
#define HV_TRACE_H

#include <hv/features.h>
#include <hv/layout.h>
#include <hv/sched.h>
#include <hv/types.h>

#define TRACE_MAGIC    UINT64_C(0x4543415254485642) /* "BVHTRACE", little-endian */
#define TRACE_VERSION  1u
#define TRACE_RINGS    (LAYOUT_MAX_CPUS + LAYOUT_MAX_POOLS)
#define TRACE_EXTRA    0x10000u
#define TRACE_EVENTS   (HV_TRACE_BYTES / sizeof(struct trace_event))

enum trace_kind {
    TRACE_SWITCH = 1,  /* `cpu` has the core from now on; value: who had it, in 15:0; TRACE_EXTRA: idle time is given to it */
    TRACE_SPENT,       /* the budget of `cpu`, which ran, is used up */
    TRACE_REPLENISH,   /* a period of `cpu` has begun; value: its budget in counts, at most 2^32 - 1 */
    TRACE_WAKE,        /* `cpu` is ready; value: 1 if its own timer did it */
    TRACE_SLEEP,       /* `cpu` is not */
    TRACE_INTERRUPT,   /* came while `cpu` ran; value: INTID or vector */
};

/* cpu: entry in layout.cpus of a vcpu, or of a core when it idles. */
struct trace_event {
    uint64_t time;     /* arch_counter() */
    uint64_t what;     /* kind in 7:0, cpu in 31:16, value in 63:32 */
};
_Static_assert(sizeof(struct trace_event) == 16, "scripts/hvtrace/dump.py");

struct trace_ring {
    uint64_t count;    /* of events so far */
    uint64_t mask;     /* its length, a power of two, less 1 */
    struct trace_event *event;  /* NULL: nobody writes here */
};

/* ring: of the cores by their entry in layout.cpus, then of the pools. */
struct trace {
    uint64_t magic;
    uint32_t version, ring_count;
    uint64_t hz;       /* of arch_counter() */
    uint64_t checksum; /* layout_checksum: which image this is */
    uint64_t begin[LAYOUT_MAX_POOLS];  /* when all periods of a pool, and its first frame, began */
    struct trace_ring ring[TRACE_RINGS];
    struct trace_event event[TRACE_EVENTS];
};

extern struct trace trace;

/* Rings of one length for each core of a pool and each pool; before any event. */
void trace_init(uint64_t hz);

/* What the scheduler has noted of the pool's servers since last time. Under the pool's lock, as its calls are. */
void trace_noted(struct trace_ring *ring, uint32_t pool, struct sched *sched, uint64_t now);

static inline struct trace_ring *trace_of_core(uint32_t core)
{
    return &trace.ring[core];
}

static inline struct trace_ring *trace_of_pool(uint32_t pool)
{
    return &trace.ring[LAYOUT_MAX_CPUS + pool];
}

/* The count comes last: an event that it counts is whole. */
static inline __attribute__((always_inline)) void trace_put(struct trace_ring *ring, uint64_t time, enum trace_kind kind,
                                                            uint32_t cpu, uint32_t value)
{
    uint64_t count = ring->count;
    struct trace_event *event = &ring->event[count & ring->mask];

    event->time = time;
    event->what = (uint64_t)value << 32 | cpu << 16 | (uint32_t)kind;
    __atomic_store_n(&ring->count, count + 1u, __ATOMIC_RELEASE);
}

#endif
