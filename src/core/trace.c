/* SPDX-License-Identifier: Apache-2.0 */
/* The rings of hv/trace.h. */
#include <hv/trace.h>

HV_LATE struct trace trace;

static bool has_ring(uint32_t ring)
{
    return ring < LAYOUT_MAX_CPUS ? ring < layout.cpu_count && layout.cpus[ring].pool != 0
                                  : ring - LAYOUT_MAX_CPUS < layout.pool_count;
}

/* The largest power of two of which there is room for `count`. */
static uint64_t ring_length(uint32_t count)
{
    uint64_t length = 1u;

    while (2u * length * count <= TRACE_EVENTS) {
        length *= 2u;
    }
    return length;
}

static void put_set(struct trace_ring *ring, uint32_t pool, uint64_t *set, uint64_t now, enum trace_kind kind)
{
    for (; *set != 0; *set &= *set - 1u) {
        trace_put(ring, now, kind, layout.pools[pool].servers[__builtin_ctzll(*set)].cpu, kind == TRACE_WAKE ? 1u : 0);
    }
}

void trace_noted(struct trace_ring *ring, uint32_t pool, struct sched *sched, uint64_t now)
{
    put_set(ring, pool, &sched->woken, now, TRACE_WAKE);
    for (; sched->refilled != 0; sched->refilled &= sched->refilled - 1u) {
        uint32_t server = (uint32_t)__builtin_ctzll(sched->refilled);
        uint64_t left = sched->server[server].left;

        trace_put(ring, now, TRACE_REPLENISH, layout.pools[pool].servers[server].cpu,
                  left < UINT32_MAX ? (uint32_t)left : UINT32_MAX);
    }
    put_set(ring, pool, &sched->spent, now, TRACE_SPENT);
}

void trace_init(uint64_t hz)
{
    uint32_t count = 0;
    uint64_t length;

    for (uint32_t i = 0; i < TRACE_RINGS; i++) {
        count += has_ring(i) ? 1u : 0u;
    }
    length = ring_length(count);
    count = 0;
    for (uint32_t i = 0; i < TRACE_RINGS; i++) {
        if (has_ring(i)) {
            trace.ring[i] = (struct trace_ring){ 0, length - 1u, &trace.event[length * count] };
            count++;
        }
    }
    trace.hz = hz;
    trace.checksum = layout_checksum;
    trace.ring_count = TRACE_RINGS;
    trace.version = TRACE_VERSION;
    trace.magic = TRACE_MAGIC;
}
