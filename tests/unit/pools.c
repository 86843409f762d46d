/* SPDX-License-Identifier: Apache-2.0 */
#include "pools.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <hv/arch.h>
#include <hv/partition.h>

#define ROUNDS  400u   /* that a core may poll */

extern struct layout board __asm__("layout");
extern struct layout_cpu board_cpus[];
extern struct layout_partition board_partitions[];

struct layout_server pool_servers[3];
struct layout_pool pool;

static const uint32_t pool_cores[] = { FIRST, SECOND };
static struct layout_vcpu flight_vcpus[2], spare_vcpus[1];

void context_switch(uint64_t *from, uint64_t to);
void context_begin(void);

/* A thread's stack pointer is known by the page, at whose end its struct cpu is. */
void context_switch(uint64_t *from, uint64_t to)
{
    *from = board_cpus[thread_here()].stack_top - 64u;
    for (uint32_t i = 0; i < board.cpu_count + board.slot_count; i++) {
        if (board_cpus[i].stack_top == (to | (HV_PAGE_SIZE - 1u)) + 1u) {
            thread_switch(i);
            return;
        }
    }
    fail_msg("no thread has the stack 0x%lx", to);
}

/* Only its address counts. */
void context_begin(void)
{
    fail_msg("context_begin");
}

/* Behind the machine's own layout: two of its partitions give up their cores, and core 5 is not there. */
void pools_shape(void)
{
    static const struct { uint32_t budget_ms, core, partition; } servers[] = { { 2, 0, 1 }, { 5, 1, 1 }, { 3, 0, 2 } };

    for (uint32_t i = 0; i < 3; i++) {
        uint32_t entry = FLIGHT_0 + i;

        pool_servers[i] = (struct layout_server){ .budget_ns = servers[i].budget_ms * MS, .period_ns = 10 * MS, .cpu = entry,
                                                  .core = servers[i].core };
        board_cpus[entry].partition = (uint16_t)servers[i].partition;
        board_cpus[entry].vcpu = i == 1 ? 1 : 0;
        board_cpus[entry].pool = 1;
        board_cpus[entry].place = (uint16_t)i;
    }
    for (uint32_t i = 0; i < 2; i++) {
        board_cpus[pool_cores[i]].partition = LAYOUT_NO_PARTITION;
        board_cpus[pool_cores[i]].pool = 1;
        board_cpus[pool_cores[i]].place = (uint16_t)i;
        flight_vcpus[i] = board_partitions[1].vcpus[i];
        flight_vcpus[i].cpu = FLIGHT_0 + i;
    }
    spare_vcpus[0] = board_partitions[2].vcpus[0];
    spare_vcpus[0].cpu = SPARE_0;
    board_partitions[1].vcpus = flight_vcpus;
    board_partitions[2].vcpus = spare_vcpus;
    pool = (struct layout_pool){ .name = "shared", .cpus = pool_cores, .servers = pool_servers, .cpu_count = 2, .server_count = 3 };
    board.cpu_count = 5;
    board.slot_count = 3;
    board.pools = &pool;
    board.pool_count = 1;
}

uint32_t pools_home(uint32_t entry)
{
    uint32_t place = pool_servers[entry - FLIGHT_0].core, core = pool_cores[place == LAYOUT_ANY_CORE ? 0 : place];
    struct vcpu vcpu;

    vcpu_init(&vcpu, entry);
    memset(vcpu.partition, 0, sizeof(*vcpu.partition));
    board_cpus[entry].apic_id = board_cpus[core].apic_id;  /* or mpidr */
    return core;
}

static bool is_on(uint32_t entry)
{
    return arch_vcpu(entry)->run == VCPU_ON;
}

enum stop core_goes_on(uint32_t core)
{
    enum stop why = SPINS;

    for (uint32_t i = 0; i < ROUNDS && why == SPINS; i++) {
        why = thread_goes_on(core);
    }
    return why;
}

enum stop time_passes(uint32_t core, uint64_t counts)
{
    uint64_t end = *pools_clock + counts;
    enum stop why = in_guest(core) ? IN_GUEST : SLEEPS;

    while (timer_of(core) <= end) {
        *pools_clock = timer_of(core) > *pools_clock ? timer_of(core) : *pools_clock;
        if (in_guest(core)) {
            guest_is_interrupted(core);
        }
        why = core_goes_on(core);
    }
    *pools_clock = end > *pools_clock ? end : *pools_clock;
    return why;
}

void a_moment(uint32_t core)
{
    if (in_guest(core)) {
        guest_is_interrupted(core);
    }
    (void)thread_goes_on(core);
    *pools_clock += MS / 40u;
}

/* The two cores by turns, as loading a partition asks for all of its vcpus. */
void pools_boot(void (*shape)(void))
{
    pools_power_on(shape);
    for (uint32_t i = 0; i < 10u * ROUNDS && !(is_on(FLIGHT_0) && is_on(SPARE_0)); i++) {
        a_moment(i % 2 == 0 ? FIRST : SECOND);
        pools_forget();
    }
    assert_true(is_on(FLIGHT_0) && is_on(SPARE_0));
    pools_forget();
}

void has_core(uint32_t core, uint32_t vcpu)
{
    for (uint32_t i = 0; i < 100; i++) {
        if (time_passes(core, i == 0 ? 0 : MS / 2u) == IN_GUEST && thread_of(core) == vcpu) {
            pools_forget();
            return;
        }
    }
    fail_msg("core %u never comes to entry %u", core, vcpu);
}

/* ---------------------------------------------------------------- tests of both */

void budgets_are_kept(void **state)
{
    uint32_t had[SPARE_0 + 1u] = { 0 };

    (void)state;
    has_core(FIRST, SPARE_0);
    for (uint32_t i = 0; i < 2000; i++) {
        had[thread_of(FIRST)]++;
        (void)time_passes(FIRST, MS / 20u);
        pools_forget();
    }
    assert_in_range(had[FLIGHT_0], 390, 410);    /* of 2,000 moments, 20 in a millisecond */
    assert_in_range(had[SPARE_0], 590, 610);
    assert_in_range(had[FIRST], 980, 1020);
}

void a_restart_takes_nothing_from_the_neighbour(void)
{
    const struct partition *partition = arch_vcpu(FLIGHT_0)->partition;
    uint64_t loaded_by = loader_map(&board_partitions[1]);
    uint32_t had = 0;
    bool seen = false, restarted = false;

    has_core(FIRST, SPARE_0);
    partition_request(&board_partitions[1], REQUEST_RESTART);
    for (uint32_t i = 0; i < 2000; i++) {
        had += thread_of(FIRST) == SPARE_0 ? 1u : 0;
        seen = seen || map_of(FIRST) == loaded_by;
        if (thread_of(FIRST) != FLIGHT_0) {
            assert_int_equal(map_of(FIRST), own_map());
        } else if (seen && partition->start_count == 1) {
            assert_int_equal(map_of(FIRST), loaded_by);
        }
        a_moment(FIRST);
        a_moment(SECOND);
        restarted = restarted || strstr(said, "flight restarts\n") != NULL;
        pools_forget();
    }
    assert_true(restarted && seen);
    assert_int_equal(partition->start_count, 2);
    assert_true(is_on(FLIGHT_0));
    assert_true(had >= 580);
}
