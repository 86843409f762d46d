/* SPDX-License-Identifier: Apache-2.0 */
/* Between the scheduler, which knows numbers and times only, and the threads of vcpus; see hv/pool.h. */
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/features.h>
#include <hv/pool.h>
#include <hv/sched.h>
#include <hv/trace.h>

struct pool {
    uint32_t lock;
    uint32_t running[SCHED_MAX_CORES];  /* entry in layout.cpus of the thread that each core was given last */
    struct sched sched;
};

static struct pool pools[LAYOUT_MAX_POOLS];
static struct sched_window windows[LAYOUT_MAX_WINDOWS];  /* all pools', in counts */

static void pool_lock(struct pool *pool)
{
    while (__atomic_exchange_n(&pool->lock, 1u, __ATOMIC_ACQUIRE) != 0) {
    }
}

static void pool_unlock(struct pool *pool)
{
    __atomic_store_n(&pool->lock, 0u, __ATOMIC_RELEASE);
}

static uint32_t pool_of(uint32_t cpu)
{
    return layout.cpus[cpu].pool - 1u;
}

/* Cores of a set have something to decide. */
static void kick_cores(uint32_t index, uint64_t set)
{
    for (; set != 0; set &= set - 1u) {
        arch_kick(layout.pools[index].cpus[__builtin_ctzll(set)]);
    }
}

/* A budget is the guest's own time: what the switch to it and the one back take comes on top. */
static struct sched_params params_of(const struct layout_server *server)
{
    uint64_t period = arch_counts(server->period_ns), budget = arch_counts(server->budget_ns + UINT64_C(2) * server->switch_ns);

    return (struct sched_params){ budget < period ? budget : period, period, server->core, server->extra != 0,
                                  arch_counts(server->switch_ns) };
}

static void add_servers(uint32_t index, uint64_t now)
{
    const struct layout_pool *config = &layout.pools[index];
    struct sched *sched = &pools[index].sched;

    for (uint32_t i = 0; i < config->server_count; i++) {
        struct sched_params params = params_of(&config->servers[i]);

        sched_add(sched, &params, now + i * params.resume);  /* periods that divide each other do not end together */
        arch_thread_init(config->servers[i].cpu);
        (void)sched_wake(sched, i, now);
        if (HV_TRACE) {
            trace_put(trace_of_pool(index), now, TRACE_WAKE, config->servers[i].cpu, 0);
        }
    }
    for (uint32_t i = 0; i < config->cpu_count; i++) {
        pools[index].running[i] = config->cpus[i];
    }
}

/* Windows that touch in nanoseconds do so in counts: both ends are converted. Returns the first free place. */
static uint32_t add_windows(uint32_t index, uint32_t place, uint64_t now)
{
    const struct layout_pool *config = &layout.pools[index];

    if (config->window_count > LAYOUT_MAX_WINDOWS - place) {
        panic("pool %s: more windows than there is room for", config->name);
    }
    for (uint32_t i = 0; i < config->window_count; i++) {
        const struct layout_window *window = &config->windows[i];
        uint64_t start = arch_counts(window->start_ns), end = arch_counts(window->start_ns + window->length_ns);

        windows[place + i] = (struct sched_window){ start, end - start, window->core, window->server };
    }
    sched_windows(&pools[index].sched, &windows[place], config->window_count, arch_counts(config->frame_ns), now);
    return place + config->window_count;
}

void pool_init(void)
{
    uint64_t now = arch_counter();
    uint32_t place = 0;

    if (HV_TRACE) {
        trace_init(arch_counts(UINT64_C(1000000000)));
    }
    for (uint32_t i = 0; i < layout.pool_count; i++) {
        sched_init(&pools[i].sched, layout.pools[i].cpu_count);
        if (HV_TRACE) {
            trace.begin[i] = now;
        }
        if (HV_ARINC653 && layout.pools[i].scheduler == LAYOUT_ARINC653) {
            place = add_windows(i, place, now);
        }
        add_servers(i, now);
    }
}

/* For the trace: what a decision has found and changed; `cpu` has the core from now on. */
static void trace_decision(uint32_t index, uint32_t place, uint64_t now, uint32_t server, uint32_t cpu)
{
    struct sched *sched = &pools[index].sched;
    struct trace_ring *ring = trace_of_core(layout.pools[index].cpus[place]);
    uint32_t before = pools[index].running[place];

    if ((sched->woken | sched->refilled | sched->spent) != 0) {
        trace_noted(ring, index, sched, now);
    }
    if (cpu != before) {
        bool extra = server != SCHED_IDLE && sched->server[server].on_extra;

        trace_put(ring, now, TRACE_SWITCH, cpu, before | (extra ? TRACE_EXTRA : 0));
    }
}

/* The scheduler has decided: the thread that this core has to run from now on. The lock is open afterwards. */
static inline uint32_t carry_out(uint32_t core, uint32_t index, uint64_t now, uint32_t server)
{
    struct pool *pool = &pools[index];
    uint32_t place = layout.cpus[core].place, cpu = server == SCHED_IDLE ? core : layout.pools[index].servers[server].cpu;
    uint64_t next = pool->sched.due[place], kick = pool->sched.kick;

    if (HV_TRACE) {
        trace_decision(index, place, now, server, cpu);
    }
    pool->running[place] = cpu;
    pool_unlock(pool);
    arch_decide_at(next);
    kick_cores(index, kick);
    return cpu;
}

static inline uint32_t decide(uint32_t core, uint32_t index)
{
    struct pool *pool = &pools[index];
    uint64_t now;

    pool_lock(pool);
    now = arch_counter();
    return carry_out(core, index, now, sched_decide(&pool->sched, layout.cpus[core].place, now));
}

void pool_schedule(const struct vcpu *vcpu, uint32_t core)
{
    uint32_t next = decide(core, pool_of(core));

    if (next != vcpu->cpu) {
        arch_to_next(core, next);
    }
}

void pool_main(uint32_t core)
{
    uint32_t index = pool_of(core), place = layout.cpus[core].place;

    for (;;) {
        uint32_t cpu = pools[index].running[place];

        if (cpu != core) {
            arch_to_vcpu(core, cpu);
        } else if (decide(core, index) == core) {
            arch_idle();
        }
    }
}

bool pool_block(struct vcpu *vcpu, uint32_t core, uint64_t wake_at)
{
    uint32_t index = pool_of(core), next;
    struct pool *pool = &pools[index];
    uint64_t now;

    pool_lock(pool);
    /* Whoever brings work says so before it takes the lock to wake: it is seen here, or wakes what sleeps. */
    if (arch_has_work(vcpu)) {
        pool_unlock(pool);
        return false;
    }
    now = arch_counter();
    next = sched_sleep(&pool->sched, layout.cpus[core].place, now, wake_at);
    if (HV_TRACE && !pool->sched.server[layout.cpus[vcpu->cpu].place].awake) {
        trace_put(trace_of_pool(index), now, TRACE_SLEEP, vcpu->cpu, 0);
    }
    next = carry_out(core, index, now, next);
    if (next != vcpu->cpu) {
        arch_to_next(core, next);
    }
    return true;
}

void pool_wake(uint32_t cpu)
{
    uint32_t index = pool_of(cpu);
    struct pool *pool = &pools[index];
    uint32_t server = layout.cpus[cpu].place;
    uint64_t now, kick;

    pool_lock(pool);
    now = arch_counter();
    if (HV_TRACE && !pool->sched.server[server].awake) {
        trace_put(trace_of_pool(index), now, TRACE_WAKE, cpu, 0);
    }
    kick = sched_wake(&pool->sched, server, now);
    if (HV_TRACE) {
        trace_noted(trace_of_pool(index), index, &pool->sched, now);
    }
    for (uint32_t i = 0; i < layout.pools[index].cpu_count; i++) {
        if (pool->running[i] == cpu) {
            kick |= UINT64_C(1) << i;  /* it looks at its requests */
        }
    }
    pool_unlock(pool);
    kick_cores(index, kick);
}
