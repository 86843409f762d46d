/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about cores that are shared: pools, their servers and windows, as system.yaml has them, and no core asked for too much. */
#include "check.h"

#include <string.h>

static const struct spec_pool *spec_pool_of(const struct world *world, const char *name)
{
    for (size_t i = 0; name != NULL && i < world->spec.pool_count; i++) {
        if (strcmp(world->spec.pools[i].name, name) == 0) {
            return &world->spec.pools[i];
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- pools and their cores */

static void prove_pool(const struct world *world, struct proof *proof, const struct pool *pool)
{
    const struct spec_pool *spec = spec_pool_of(world, pool->name);
    uint32_t wanted;

    proof->checked++;
    if (spec == NULL) {
        violate(proof, "%s has no pool '%s'", world->spec.file, pool->name);
        return;
    }
    wanted = spec->arinc653 ? LAYOUT_ARINC653 : LAYOUT_RTDS;
    if (pool->raw.scheduler != wanted || pool->raw.frame_ns != spec->frame_ns) {
        violate(proof,
                "pool %s: scheduler %" PRIu32 ", frame %" PRIu64 " ns; %s:%" PRIu32 " says scheduler %" PRIu32
                ", frame %" PRIu64 " ns",
                pool->name, pool->raw.scheduler, pool->raw.frame_ns, world->spec.file, spec->line, wanted,
                spec->frame_ns);
    }
    if (pool->raw.cpu_count != spec->cpu_count) {
        violate(proof, "pool %s has %" PRIu32 " cores, %s:%" PRIu32 " gives it %zu", pool->name, pool->raw.cpu_count,
                world->spec.file, spec->line, spec->cpu_count);
        return;
    }
    for (uint32_t i = 0; i < pool->raw.cpu_count; i++) {
        uint32_t number = spec->cpus[i];

        if (number >= world->board.cpu_count || pool->cpus[i] >= world->layout.cpu_count ||
            world->cpus[pool->cpus[i]].mpidr != world->board.cpus[number].mpidr) {
            violate(proof, "core %" PRIu32 " of pool %s is not the board's CPU %" PRIu32 ", which %s:%" PRIu32 " names", i,
                    pool->name, number, world->spec.file, spec->line);
        }
    }
}

static void prove_given(const struct world *world, struct proof *proof)
{
    for (uint32_t i = 0; i < world->pool_count; i++) {
        prove_pool(world, proof, &world->pools[i]);
        for (uint32_t n = 0; n < i; n++) {
            if (strcmp(world->pools[n].name, world->pools[i].name) == 0) {
                violate(proof, "two pools are called %s", world->pools[i].name);
            }
        }
    }
    if (world->pool_count != world->spec.pool_count) {
        violate(proof, "the layout has %" PRIu32 " pools, %s has %zu", world->pool_count, world->spec.file,
                world->spec.pool_count);
    }
}

/* Each core of a pool says so, with its place, and each that says so is one. */
static void prove_cores(const struct world *world, struct proof *proof)
{
    for (uint32_t i = 0; i < world->layout.cpu_count; i++) {
        const struct layout_cpu *cpu = &world->cpus[i];
        uint32_t uses = 0;

        proof->checked++;
        for (uint32_t p = 0; p < world->pool_count; p++) {
            const struct pool *pool = &world->pools[p];

            for (uint32_t n = 0; n < pool->raw.cpu_count; n++) {
                if (pool->cpus[n] != i) {
                    continue;
                }
                uses++;
                if (cpu->pool != p + 1 || cpu->place != n) {
                    violate(proof, "CPU %" PRIu32 " is core %" PRIu32 " of pool %s, but says core %u of pool %u", i, n,
                            pool->name, cpu->place, cpu->pool);
                }
            }
        }
        if (uses != (cpu->pool != 0 ? 1u : 0u)) {
            violate(proof, "CPU %" PRIu32 " is named by %" PRIu32 " pools, its entry says pool %u", i, uses, cpu->pool);
        }
    }
}

/* ---------------------------------------------------------------- servers */

/* Slot and server name each other; the slot stands for one vcpu, and for one core's registers. */
static void prove_slot(const struct world *world, struct proof *proof, const struct pool *pool, uint32_t place)
{
    const struct layout_server *server = &pool->servers[place];
    const struct layout_cpu *slot, *home;

    if (server->cpu < world->layout.cpu_count || server->cpu >= world->entry_count) {
        violate(proof, "server %" PRIu32 " of pool %s has entry %" PRIu32 ", which is no slot", place, pool->name,
                server->cpu);
        return;
    }
    slot = &world->cpus[server->cpu];
    if (slot->pool != 1 + (uint32_t)(pool - world->pools) || slot->place != place) {
        violate(proof, "server %" PRIu32 " of pool %s and slot %" PRIu32 " do not name each other", place, pool->name,
                server->cpu - world->layout.cpu_count);
    }
    if (slot->partition >= world->part_count || slot->vcpu >= world->parts[slot->partition].raw.vcpu_count ||
        world->parts[slot->partition].vcpus[slot->vcpu].cpu != server->cpu) {
        violate(proof, "slot %" PRIu32 " is for vcpu %u of partition %u, which does not say so",
                server->cpu - world->layout.cpu_count, slot->vcpu, slot->partition);
    }
    if (server->core != LAYOUT_ANY_CORE && server->core >= pool->raw.cpu_count) {
        violate(proof, "server %" PRIu32 " of pool %s runs on core %" PRIu32 ", the pool has %" PRIu32, place, pool->name,
                server->core, pool->raw.cpu_count);
        return;
    }
    home = &world->cpus[pool->cpus[server->core == LAYOUT_ANY_CORE ? 0 : server->core] % world->entry_count];
    /* x86: its pages are its own, which hv-core-pages proves. */
    if (slot->mpidr != home->mpidr || (!is_x86(world) && slot->redist.raw != home->redist.raw)) {
        violate(proof, "slot %" PRIu32 " has core 0x%" PRIx64 " and redistributor 0x%" PRIx64 ", its core 0x%" PRIx64
                       " has 0x%" PRIx64,
                server->cpu - world->layout.cpu_count, slot->mpidr, slot->redist.raw, home->mpidr, home->redist.raw);
    }
}

static void prove_share(const struct world *world, struct proof *proof, const struct pool *pool, uint32_t place)
{
    const struct layout_server *server = &pool->servers[place];
    const struct layout_cpu *slot = &world->cpus[server->cpu % world->entry_count];
    const struct spec_pool *spec = spec_pool_of(world, pool->name);
    const struct spec_partition *part = slot->partition < world->part_count ? world->parts[slot->partition].spec : NULL;
    bool extra, any;

    if (part == NULL || spec == NULL) {
        return;
    }
    if (part->pool == NULL || strcmp(part->pool, pool->name) != 0) {
        violate(proof, "partition %s runs in pool %s, %s:%" PRIu32 " says %s", part->name, pool->name, world->spec.file,
                part->line, part->pool != NULL ? part->pool : "that it has cores of its own");
        return;
    }
    if (spec->arinc653) {
        return;
    }
    extra = part->has_extra ? part->extra : spec->extra;
    if (server->budget_ns != part->budget_ns || server->period_ns != part->period_ns || server->extra != extra) {
        violate(proof,
                "vcpu %u of %s has %" PRIu64 " ns of %" PRIu64 " ns%s, %s:%" PRIu32 " gives it %" PRIu64 " ns of %" PRIu64
                " ns%s",
                slot->vcpu, part->name, server->budget_ns, server->period_ns, server->extra != 0 ? " and extra time" : "",
                world->spec.file, part->line, part->budget_ns, part->period_ns, extra ? " and extra time" : "");
    }
    any = server->core == LAYOUT_ANY_CORE;
    if (any != spec->global || (part->has_core && (any || server->core >= spec->cpu_count ||
                                                   spec->cpus[server->core] != part->core))) {
        violate(proof, "vcpu %u of %s runs on %s, against %s:%" PRIu32, slot->vcpu, part->name,
                any ? "any core" : "another core", world->spec.file, part->line);
    }
}

static void prove_servers(const struct world *world, struct proof *proof)
{
    uint32_t count = 0;

    for (uint32_t p = 0; p < world->pool_count; p++) {
        const struct pool *pool = &world->pools[p];

        for (uint32_t i = 0; i < pool->raw.server_count; i++) {
            proof->checked++;
            prove_slot(world, proof, pool, i);
            prove_share(world, proof, pool, i);
        }
        count += pool->raw.server_count;
    }
    if (count != world->layout.slot_count) {
        violate(proof, "the pools have %" PRIu32 " servers, the layout %" PRIu32 " slots", count, world->layout.slot_count);
    }
    for (uint32_t i = 0; i < world->part_count; i++) {
        const struct part *part = &world->parts[i];
        bool shared = part->spec != NULL && part->spec->pool != NULL;

        for (uint32_t n = 0; n < part->raw.vcpu_count; n++) {
            if (part->spec != NULL && (part->vcpus[n].cpu >= world->layout.cpu_count) != shared) {
                violate(proof, "vcpu %" PRIu32 " of %s %s, against %s:%" PRIu32, n, part->name,
                        shared ? "has a core of its own" : "is of a pool", world->spec.file, part->spec->line);
            }
        }
        if (shared && part->raw.irq_mode != LAYOUT_IRQ_VIRTUAL) {
            violate(proof, "partition %s shares its cores, but its interrupts are direct", part->name);
        }
        if (shared && (part->raw.ppi_mask & ~(UINT32_C(1) << world->layout.vtimer_intid |
                                              UINT32_C(1) << world->layout.ptimer_intid)) != 0) {
            violate(proof, "partition %s shares its cores, but has private interrupts 0x%" PRIx32 " beside its timers",
                    part->name, part->raw.ppi_mask);
        }
    }
}

/* ---------------------------------------------------------------- time */

#define WHOLE (UINT64_C(1) << 40) /* of a core's time */

/* Rounded down: an excess of less than 64 parts in 2^40 would not be seen. */
static uint64_t share_of(const struct layout_server *server, bool alone)
{
    uint64_t asked = server->budget_ns + (alone ? 0 : 2 * (uint64_t)server->switch_ns);

    return server->period_ns != 0 ? (uint64_t)((unsigned __int128)asked * WHOLE / server->period_ns) : WHOLE + 1;
}

/* It never waits for another: it has its core to itself, or there are as many cores as servers. */
static bool is_alone(const struct pool *pool, const struct layout_server *server)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < pool->raw.server_count; i++) {
        count += pool->servers[i].core == server->core;
    }
    return count <= (server->core == LAYOUT_ANY_CORE ? pool->raw.cpu_count : 1);
}

static void prove_load(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->pool_count; p++) {
        const struct pool *pool = &world->pools[p];
        uint64_t load[LAYOUT_MAX_CPUS] = {0}, any = 0, all = 0;

        for (uint32_t i = 0; i < pool->raw.server_count; i++) {
            const struct layout_server *server = &pool->servers[i];
            uint64_t share = share_of(server, is_alone(pool, server));

            proof->checked++;
            if (share > WHOLE || server->budget_ns == 0) {
                violate(proof, "server %" PRIu32 " of pool %s: a budget of %" PRIu64 " ns in %" PRIu64 " ns", i, pool->name,
                        server->budget_ns, server->period_ns);
                return;
            }
            all += share;
            *(server->core < pool->raw.cpu_count ? &load[server->core] : &any) += share;
        }
        for (uint32_t i = 0; i < pool->raw.cpu_count; i++) {
            if (load[i] > WHOLE) {
                uint64_t percent = (load[i] * 10000 + WHOLE - 1) / WHOLE;

                violate(proof, "core %" PRIu32 " of pool %s is asked for %" PRIu64 ".%02" PRIu64 " %% of its time", i,
                        pool->name, percent / 100, percent % 100);
            }
        }
        if (all > pool->raw.cpu_count * WHOLE) {
            violate(proof, "pool %s is asked for %" PRIu64 " %% of %" PRIu32 " cores", pool->name, all * 100 / WHOLE,
                    pool->raw.cpu_count);
        }
    }
}

/* ---------------------------------------------------------------- windows */

static bool is_same_window(const struct world *world, const struct pool *pool, const struct spec_pool *spec,
                           const struct layout_window *window, const struct spec_window *wanted)
{
    const struct layout_cpu *slot = &world->cpus[pool->servers[window->server].cpu % world->entry_count];

    return spec->cpus[window->core] == wanted->cpu && slot->vcpu == wanted->vcpu && slot->partition < world->part_count &&
           strcmp(world->parts[slot->partition].name, wanted->partition) == 0 && window->start_ns == wanted->start_ns &&
           window->length_ns == wanted->length_ns;
}

static bool overlap(const struct layout_window *a, const struct layout_window *b)
{
    return a->start_ns < b->start_ns + b->length_ns && b->start_ns < a->start_ns + a->length_ns;
}

static void prove_window(const struct world *world, struct proof *proof, const struct pool *pool, uint32_t index)
{
    const struct layout_window *window = &pool->windows[index], *last = index != 0 ? window - 1 : NULL;
    const struct spec_pool *spec = spec_pool_of(world, pool->name);
    bool found = false;

    proof->checked++;
    if (window->core >= pool->raw.cpu_count || window->server >= pool->raw.server_count) {
        violate(proof, "window %" PRIu32 " of pool %s is for server %" PRIu32 " on core %" PRIu32, index, pool->name,
                window->server, window->core);
        return;
    }
    if (window->length_ns == 0 || window->length_ns > pool->raw.frame_ns ||
        window->start_ns > pool->raw.frame_ns - window->length_ns) {
        violate(proof, "window %" PRIu32 " of pool %s (%" PRIu64 " ns from %" PRIu64 " ns on) is not inside the frame of %" PRIu64
                       " ns",
                index, pool->name, window->length_ns, window->start_ns, pool->raw.frame_ns);
    }
    if (last != NULL && (last->core > window->core || (last->core == window->core && last->start_ns >= window->start_ns))) {
        violate(proof, "windows %" PRIu32 " and %" PRIu32 " of pool %s are out of order", index - 1, index, pool->name);
    }
    for (uint32_t i = 0; i < index; i++) {
        const struct layout_window *other = &pool->windows[i];

        if (overlap(window, other) && (other->core == window->core || other->server == window->server)) {
            violate(proof, "windows %" PRIu32 " and %" PRIu32 " of pool %s overlap", i, index, pool->name);
        }
    }
    for (size_t i = 0; spec != NULL && window->core < spec->cpu_count && i < spec->window_count; i++) {
        found = found || is_same_window(world, pool, spec, window, &spec->windows[i]);
    }
    if (!found) {
        violate(proof, "window %" PRIu32 " of pool %s is not in %s", index, pool->name, world->spec.file);
    }
}

static void prove_windows(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->pool_count; p++) {
        const struct pool *pool = &world->pools[p];
        const struct spec_pool *spec = spec_pool_of(world, pool->name);

        for (uint32_t i = 0; i < pool->raw.window_count; i++) {
            prove_window(world, proof, pool, i);
        }
        if (spec != NULL && spec->window_count != pool->raw.window_count) {
            violate(proof, "pool %s has %" PRIu32 " windows, %s:%" PRIu32 " gives it %zu", pool->name, pool->raw.window_count,
                    world->spec.file, spec->line, spec->window_count);
        }
    }
}

/* clang-format off */
static const struct rule rules[] = {
    {"pool-given",
     "The pools are those of system.yaml: names, schedulers, frames, and their cores in the same order.",
     "pools", prove_given, ARCH_BOTH},
    {"pool-cores",
     "A core of a pool is of one pool only and no partition's own, and its entry says which of the pool's cores it is.",
     "cores", prove_cores, ARCH_BOTH},
    {"pool-servers",
     "Every vcpu of a partition that shares cores is one server of the pool that system.yaml names, with budget, period and "
     "extra time as written there, and has a slot of its own; its interrupts are virtual and it has no private ones but "
     "its timers.",
     "servers", prove_servers, ARCH_BOTH},
    {"pool-load",
     "No core of a pool is asked for more than all of its time, with two switches for each budget unless a vcpu is alone, and "
     "no pool for more than its cores have.",
     "servers", prove_load, ARCH_BOTH},
    {"pool-windows",
     "The windows of a major frame are those of system.yaml, sorted, inside the frame, and disjoint on each core and for "
     "each vcpu.",
     "windows", prove_windows, ARCH_BOTH},
};
/* clang-format on */

const struct rule_set pool_rules = {"Shared cores", rules, sizeof(rules) / sizeof(rules[0])};
