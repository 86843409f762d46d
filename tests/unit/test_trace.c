/* SPDX-License-Identifier: Apache-2.0 */
/* tests: core/trace.c core/pool.c core/sched_rtds.c core/sched_arinc.c */
/* with: POOLS ARINC653 TRACE */
/* The rings of a trace, and what the pools write into them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <hv/arch.h>
#include <hv/console.h>
#include <hv/pool.h>
#include <hv/sched.h>
#include <hv/trace.h>

/* Two pools: one core with two servers, two cores with one. Entry 2 is a pinned core. */
static const struct layout_cpu cpus[] = {
    { .pool = 1, .place = 0, .partition = LAYOUT_NO_PARTITION }, { .pool = 2, .place = 0, .partition = LAYOUT_NO_PARTITION },
    { .pool = 0, .partition = 3 }, { .pool = 2, .place = 1, .partition = LAYOUT_NO_PARTITION },
    { .pool = 1, .place = 0, .partition = 0 }, { .pool = 1, .place = 1, .partition = 1 }, { .pool = 2, .place = 0, .partition = 2 } };
enum { CORE = 0, OTHER = 1, FIRST = 4, SECOND = 5, THIRD = 6, CPUS = 4 };
static const uint32_t one_core[] = { 0 }, two_cores[] = { 1, 3 };
static const struct layout_server two[] = { { .budget_ns = 300, .period_ns = 1000, .cpu = FIRST },
                                            { .budget_ns = 500, .period_ns = 2000, .cpu = SECOND, .extra = 1 } };
static const struct layout_server one[] = { { .budget_ns = 400, .period_ns = 1000, .cpu = THIRD } };
static const struct layout_pool pools[] = {
    { .name = "one", .cpus = one_core, .servers = two, .cpu_count = 1, .server_count = 2 },
    { .name = "two", .cpus = two_cores, .servers = one, .cpu_count = 2, .server_count = 1 } };
const struct layout layout = { .cpu_count = CPUS, .slot_count = 3, .cpus = cpus, .pools = pools, .pool_count = 2 };
const uint64_t layout_checksum = UINT64_C(0x1234567890abcdef);

static uint64_t now;
static uint32_t self;
static jmp_buf switched;

uint64_t arch_counter(void) { return now; }
uint64_t arch_counts(uint64_t ns) { return ns; }
void arch_kick(uint32_t cpu) { (void)cpu; }
void arch_decide_at(uint64_t at) { (void)at; }
void arch_thread_init(uint32_t cpu) { (void)cpu; }
bool arch_has_work(const struct vcpu *vcpu) { (void)vcpu; return false; }
void arch_to_next(uint32_t core, uint32_t next) { (void)next; self = core; }
void arch_to_vcpu(uint32_t core, uint32_t cpu) { (void)core; self = cpu; longjmp(switched, 1); }
void arch_idle(void) { longjmp(switched, 2); }
void panic(const char *format, ...) { (void)format; abort(); }

/* The idle thread goes on until it switches to a vcpu (1) or sleeps (2). */
static int idle_until(uint64_t time)
{
    int how = setjmp(switched);

    if (how == 0) {
        now = time;
        pool_main(CORE);
    }
    return how;
}

/* The vcpu that runs is interrupted; if it loses the core, the idle thread goes on. */
static void interrupt_at(uint64_t time)
{
    struct vcpu vcpu = { .cpu = self };

    now = time;
    pool_schedule(&vcpu, CORE);
    if (self < CPUS) {
        (void)idle_until(time);
    }
}

static int setup(void **state)
{
    (void)state;
    memset(&trace, 0, sizeof(trace));
    now = 0;
    self = CORE;
    pool_init();
    return 0;
}

static void assert_event(const struct trace_ring *ring, uint64_t place, uint64_t time, uint32_t kind, uint32_t cpu, uint32_t value)
{
    const struct trace_event *event = &ring->event[place & ring->mask];

    assert_int_equal(event->time, time);
    assert_int_equal(event->what, (uint64_t)value << 32 | cpu << 16 | kind);
}

static void test_rings_of_one_length(void **state)
{
    uint32_t found = 0;

    (void)state;
    assert_int_equal(trace.magic, TRACE_MAGIC);
    assert_int_equal(trace.hz, 1000000000);
    assert_int_equal(trace.checksum, layout_checksum);
    for (uint32_t i = 0; i < TRACE_RINGS; i++) {
        const struct trace_ring *ring = &trace.ring[i];
        bool wanted = i == 0 || i == 1 || i == 3 || i == LAYOUT_MAX_CPUS || i == LAYOUT_MAX_CPUS + 1u;

        assert_int_equal(ring->event != NULL, wanted);
        if (wanted) {
            assert_int_equal(ring->mask, 127);    /* 16 KiB are 1024 events, for five rings */
            assert_ptr_equal(ring->event, &trace.event[128 * found++]);
        }
    }
    assert_true((uintptr_t)(trace.ring[LAYOUT_MAX_CPUS + 1u].event + 128) <= (uintptr_t)(&trace + 1));
}

static void test_the_latest_overwrite_the_oldest(void **state)
{
    struct trace_ring *ring = trace_of_core(OTHER);

    (void)state;
    for (uint32_t i = 0; i < 300; i++) {
        trace_put(ring, 1000u + i, TRACE_INTERRUPT, THIRD, i);
    }
    assert_int_equal(ring->count, 300);
    for (uint32_t i = 300 - 128; i < 300; i++) {
        assert_event(ring, i, 1000u + i, TRACE_INTERRUPT, THIRD, i);
    }
    assert_int_equal(trace_of_core(3)->count, 0);               /* the neighbours are untouched */
    assert_int_equal(trace_of_core(3)->event[0].what, 0);
    assert_int_equal(trace_of_core(CORE)->event[127].what, 0);
}

static void test_all_are_ready_at_first(void **state)
{
    (void)state;
    assert_int_equal(trace_of_pool(0)->count, 2);
    assert_event(trace_of_pool(0), 0, 0, TRACE_WAKE, FIRST, 0);
    assert_event(trace_of_pool(0), 1, 0, TRACE_WAKE, SECOND, 0);
    assert_event(trace_of_pool(1), 0, 0, TRACE_WAKE, THIRD, 0);
    assert_int_equal(trace.begin[0], 0);
}

static void test_budgets_and_switches(void **state)
{
    const struct trace_ring *ring = trace_of_core(CORE);

    (void)state;
    assert_int_equal(idle_until(10), 1);
    assert_event(ring, 0, 10, TRACE_SWITCH, FIRST, CORE);
    interrupt_at(200);                                           /* nothing has changed: no event */
    assert_int_equal(ring->count, 1);
    interrupt_at(310);
    assert_event(ring, 1, 310, TRACE_SPENT, FIRST, 0);
    assert_event(ring, 2, 310, TRACE_SWITCH, SECOND, FIRST);
    interrupt_at(810);                                           /* its budget is spent; it has the idle time */
    assert_event(ring, 3, 810, TRACE_SPENT, SECOND, 0);
    assert_int_equal(ring->count, 4);
    interrupt_at(1000);
    assert_event(ring, 4, 1000, TRACE_REPLENISH, FIRST, 300);
    assert_event(ring, 5, 1000, TRACE_SWITCH, FIRST, SECOND);
    interrupt_at(1310);                                          /* late by 10, which come off the next budget */
    assert_event(ring, 6, 1310, TRACE_SPENT, FIRST, 0);
    assert_event(ring, 7, 1310, TRACE_SWITCH, SECOND, FIRST | TRACE_EXTRA);
    interrupt_at(2000);
    assert_event(ring, 8, 2000, TRACE_REPLENISH, FIRST, 290);
    assert_event(ring, 9, 2000, TRACE_REPLENISH, SECOND, 500);
}

static void test_sleep_and_wake(void **state)
{
    struct vcpu vcpu = { .cpu = FIRST };
    const struct trace_ring *ring = trace_of_core(CORE), *pool = trace_of_pool(0);

    (void)state;
    assert_int_equal(idle_until(0), 1);
    now = 100;
    pool_block(&vcpu, CORE, 1500);
    assert_event(pool, 2, 100, TRACE_SLEEP, FIRST, 0);
    assert_event(ring, 1, 100, TRACE_SWITCH, SECOND, FIRST);
    assert_int_equal(self, CORE);
    assert_int_equal(idle_until(100), 1);
    interrupt_at(1500);                                          /* by its own timer, into a new period */
    assert_event(ring, 2, 1500, TRACE_WAKE, FIRST, 1);
    assert_event(ring, 3, 1500, TRACE_REPLENISH, FIRST, 149);    /* what the rest of the period is worth */
    assert_event(ring, 4, 1500, TRACE_SPENT, SECOND, 0);
    assert_event(ring, 5, 1500, TRACE_SWITCH, FIRST, SECOND);
    now = 1550;
    pool_block(&vcpu, CORE, SCHED_NEVER);
    (void)idle_until(1550);
    now = 1600;
    pool_wake(FIRST);
    assert_event(pool, 3, 1550, TRACE_SLEEP, FIRST, 0);
    assert_event(pool, 4, 1600, TRACE_WAKE, FIRST, 0);
    pool_wake(FIRST);                                            /* it is awake: no event */
    assert_int_equal(pool->count, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_rings_of_one_length, setup),
        cmocka_unit_test_setup(test_the_latest_overwrite_the_oldest, setup),
        cmocka_unit_test_setup(test_all_are_ready_at_first, setup),
        cmocka_unit_test_setup(test_budgets_and_switches, setup),
        cmocka_unit_test_setup(test_sleep_and_wake, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
