/* SPDX-License-Identifier: Apache-2.0 */
#include "machine_pools.h"

#include <arch/arm64/context.h>
#include <arch/arm64/pool.h>
#include <arch/arm64/traps.h>
#include <hv/pool.h>

uint64_t *const pools_clock = &machine_ticks;

static struct { void (*call)(struct cpu *cpu, uint64_t esr); uint64_t esr; } exits[CPUS];

/* ---------------------------------------------------------------- what assembly does */

#define SAVE(name)  context->reg[place++] = *machine_reg(REG_STRING(name));
#define LOAD(name)  *machine_reg(REG_STRING(name)) = context->reg[place++];

void context_save(struct context *context)
{
    uint32_t place = 0;

    CONTEXT_REGISTERS(SAVE)
}

void context_load(const struct context *context)
{
    uint32_t place = 0;

    CONTEXT_REGISTERS(LOAD)
    REG(vtcr_el2) = context->vtcr;
    REG(vttbr_el2) = context->vttbr;
    REG(vmpidr_el2) = context->vmpidr;
}

void thread_main(uint32_t thread)
{
    if (thread < board.cpu_count) {
        pool_main(thread);
    }
    pool_thread(cpu_at(thread));
    for (;;) {
        thread_stops(IN_GUEST);
        exits[thread].call(cpu_at(thread), exits[thread].esr);
    }
}

/* ---------------------------------------------------------------- the test's side */

uint64_t timer_of(uint32_t core)
{
    return machine_alarm(core);
}

struct cpu *guest_of(uint32_t core)
{
    return cpu_at(thread_of(core));
}

static void interrupted(struct cpu *cpu, uint64_t esr)
{
    (void)esr;
    trap_irq(cpu);
}

void guest_is_interrupted(uint32_t core)
{
    assert_true(in_guest(core));
    exits[thread_of(core)].call = interrupted;
}

enum stop guest_traps(uint32_t core, void (*trap)(struct cpu *cpu, uint64_t esr), uint64_t esr)
{
    assert_true(in_guest(core));
    exits[thread_of(core)].call = trap;
    exits[thread_of(core)].esr = esr;
    return core_goes_on(core);
}

enum stop guest_waits(uint32_t core)
{
    return guest_traps(core, trap_wait, (uint64_t)EC_WFX << 26 | ESR_IL);
}

static void waits(bool sleeps)
{
    if (on_thread()) {
        thread_stops(sleeps ? SLEEPS : SPINS);
    } else {
        assert_false(sleeps);
    }
}

static void core_arrives(uint32_t core)
{
    (void)on(core);
}

void pools_power_on(void (*shape)(void))
{
    threads_reset(core_arrives);
    machine_layout();
    pools_shape();
    board_partitions[FLIGHT].irq_mode = LAYOUT_IRQ_VIRTUAL;
    board_partitions[FLIGHT].root = NULL;
    board_partitions[FLIGHT].root_count = 0;
    if (shape != NULL) {
        shape();
    }
    for (uint32_t entry = FLIGHT_0; entry <= SPARE_0; entry++) {
        board_cpus[entry].redist = board_cpus[pools_home(entry)].redist;
    }
    machine_waits = waits;
    machine_polls = thread_polls;
    machine_power_on(UINT64_C(1000000000));
    pool_init();
    machine_forget();
}

void pools_forget(void)
{
    machine_forget();
}

uint64_t map_of(uint32_t core)
{
    (void)on(core);
    return REG(ttbr0_el2);
}

uint64_t own_map(void)
{
    return board.el2_ttbr;
}

uint64_t loader_map(const struct layout_partition *config)
{
    return config->loader_ttbr;
}
