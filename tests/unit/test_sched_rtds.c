/* SPDX-License-Identifier: Apache-2.0 */
/* tests: core/sched_rtds.c core/sched_arinc.c */
/* with: POOLS ARINC653 TRACE */
/*
 * What each operation does, and that the scheduler's own structures hold together after every one. Whether
 * servers get their budgets is the simulator's to judge (scripts/hvsim).
 */
#include <hv/sched.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct sched sched;
static uint64_t next, resume;

/* ---------------------------------------------------------------- an independent look at the structures */

static uint64_t timer_key(uint32_t i)
{
    return sched.server[i].alarm;
}

static uint64_t queue_key(uint32_t i)
{
    return sched.server[i].deadline;
}

/* The heap is one; counts how often each server stands in it, and where it believes to stand. */
static void check_heap(const struct sched_heap *heap, uint64_t (*key)(uint32_t), bool timers, uint32_t seen[])
{
    assert_in_range(heap->count, 0, SCHED_MAX_SERVERS);
    for (uint32_t i = 0; i < heap->count; i++) {
        uint32_t server = heap->item[i];
        uint32_t place = timers ? sched.server[server].timer_place : sched.server[server].queue_place;

        assert_in_range(server, 0, sched.server_count - 1u);
        assert_int_equal(place, i + 1u);
        assert_true(i == 0 || key(heap->item[(i - 1u) / 2u]) <= key(server));
        seen[server]++;
    }
}

static void check(void)
{
    uint32_t ready[SCHED_MAX_SERVERS] = { 0 }, extra[SCHED_MAX_SERVERS] = { 0 }, timers[SCHED_MAX_SERVERS] = { 0 };
    uint32_t running[SCHED_MAX_SERVERS] = { 0 };

    for (uint32_t i = 0; i < (sched.global ? 1u : sched.core_count); i++) {
        check_heap(&sched.group[i].ready, queue_key, false, ready);
        check_heap(&sched.group[i].extra, queue_key, false, extra);
        check_heap(&sched.group[i].timers, timer_key, true, timers);
    }
    for (uint32_t i = 0; i < sched.core_count; i++) {
        if (sched.running[i] != SCHED_IDLE) {
            running[sched.running[i]]++;
            assert_int_equal(sched.server[sched.running[i]].on, i);
        }
    }
    for (uint32_t i = 0; i < sched.server_count; i++) {
        const struct sched_server *server = &sched.server[i];
        bool waits = server->awake && server->on == SCHED_IDLE;

        assert_int_equal(running[i], server->on != SCHED_IDLE);
        assert_int_equal(ready[i], waits && server->left != 0);
        assert_int_equal(extra[i], waits && server->left == 0 && server->params.extra);
        assert_int_equal(timers[i], 1);
        assert_true(!server->awake || server->alarm == server->deadline);
        assert_true(server->awake || server->on == SCHED_IDLE);
        assert_true(ready[i] + extra[i] != 0 || server->queue_place == 0);
        assert_true(server->left <= server->params.budget);
        assert_true(server->debt == 0 || server->left <= 1);
    }
}

static void init(uint32_t cores)
{
    sched_init(&sched, cores);
    check();
}

static void add(uint64_t budget, uint64_t period, uint32_t core, bool extra)
{
    struct sched_params params = { budget, period, core, extra, resume };

    sched_add(&sched, &params, 0);
    check();
}

static uint64_t wake(uint32_t server, uint64_t now)
{
    uint64_t kicked = sched_wake(&sched, server, now);

    check();
    return kicked;
}

static uint32_t decided(uint32_t core, uint64_t now, uint32_t server)
{
    next = sched.due[core];
    check();
    assert_true(next > now);
    assert_int_equal(sched.kick >> core & 1u, 0);
    return server;
}

static uint32_t decide(uint32_t core, uint64_t now)
{
    return decided(core, now, sched_decide(&sched, core, now));
}

/* What runs on the core sleeps; returns who runs there then. */
static uint32_t sleep_until(uint32_t core, uint64_t now, uint64_t wake_at)
{
    return decided(core, now, sched_sleep(&sched, core, now, wake_at));
}

/* ---------------------------------------------------------------- one core */

static void nobody_is_there(void **state)
{
    (void)state;
    init(1);
    assert_int_equal(decide(0, 0), SCHED_IDLE);
    assert_true(next == SCHED_NEVER);
}

static void a_server_starts_asleep(void **state)
{
    (void)state;
    init(1);
    add(20, 100, 0, false);
    assert_int_equal(decide(0, 0), SCHED_IDLE);
    assert_true(next == SCHED_NEVER);
}

static void a_woken_server_disturbs_an_idle_core(void **state)
{
    (void)state;
    init(2);
    add(20, 100, 1, false);
    (void)decide(0, 0);
    (void)decide(1, 0);
    assert_int_equal(wake(0, 0), 2);
    assert_int_equal(wake(0, 0), 0);
    assert_int_equal(decide(0, 0), SCHED_IDLE);
    assert_int_equal(decide(1, 0), 0);
    assert_int_equal(next, 20);
}

static void a_spent_budget_waits_for_the_period(void **state)
{
    (void)state;
    init(1);
    add(20, 100, 0, false);
    (void)wake(0, 0);
    assert_int_equal(decide(0, 0), 0);
    assert_int_equal(decide(0, 20), SCHED_IDLE);
    assert_int_equal(next, 100);
    assert_int_equal(decide(0, 100), 0);
    assert_int_equal(next, 120);
}

static void the_earlier_deadline_goes_first(void **state)
{
    (void)state;
    init(1);
    add(50, 200, 0, false);
    add(25, 100, 0, false);
    (void)wake(0, 0);
    assert_int_equal(decide(0, 0), 0);
    assert_int_equal(wake(1, 20), 1);
    assert_int_equal(decide(0, 20), 1);
    assert_int_equal(next, 40);  /* 80 of 100 are left, so it has 20 of 25 */
    assert_int_equal(decide(0, 40), 0);
    assert_int_equal(next, 70);
}

static void equal_deadlines_do_not_take_turns(void **state)
{
    (void)state;
    init(1);
    add(50, 200, 0, false);
    add(50, 200, 0, false);
    (void)wake(1, 0);
    assert_int_equal(decide(0, 0), 1);
    assert_int_equal(wake(0, 10), 0);
    assert_int_equal(decide(0, 20), 1);
    assert_int_equal(decide(0, 50), 0);
}

static void an_overrun_comes_off_the_next_budget(void **state)
{
    (void)state;
    init(1);
    add(20, 100, 0, false);
    (void)wake(0, 0);
    (void)decide(0, 0);
    assert_int_equal(decide(0, 27), SCHED_IDLE);
    assert_int_equal(decide(0, 100), 0);
    assert_int_equal(next, 113);
}

static void an_overrun_is_forgiven_after_a_period(void **state)
{
    (void)state;
    init(1);
    add(25, 100, 0, false);
    (void)wake(0, 0);
    (void)decide(0, 0);
    (void)sleep_until(0, 27, SCHED_NEVER);
    (void)decide(0, 27);
    assert_int_equal(wake(0, 200), 1);
    assert_int_equal(decide(0, 200), 0);
    assert_int_equal(next, 225);
}

static void an_overrun_of_more_than_a_budget_costs_one(void **state)
{
    (void)state;
    init(1);
    add(20, 100, 0, false);
    (void)wake(0, 0);
    (void)decide(0, 0);
    assert_int_equal(decide(0, 70), SCHED_IDLE);
    assert_int_equal(decide(0, 100), SCHED_IDLE);
    assert_int_equal(next, 200);
    assert_int_equal(decide(0, 200), 0);
    assert_int_equal(next, 220);
}

static void a_period_that_ends_on_the_way_divides_the_charge(void **state)
{
    (void)state;
    init(1);
    add(60, 100, 0, false);
    add(50, 100, 0, false);
    (void)wake(0, 0);
    (void)wake(1, 0);
    (void)decide(0, 0);
    (void)decide(0, 60);
    assert_int_equal(sched.running[0], 1);
    assert_int_equal(decide(0, 103), 1);  /* 40 of the old budget, 3 of the new */
    assert_int_equal(sched.server[1].left, 47);
    (void)sleep_until(0, 203, SCHED_NEVER);  /* 97 of this one: 50 too much; 3 of the next */
    assert_int_equal(sched.server[1].left, 0);
    assert_int_equal(sched.server[1].debt, 3);
}

static void a_decision_after_many_periods(void **state)
{
    (void)state;
    init(1);
    add(20, 100, 0, false);
    (void)wake(0, 0);
    assert_int_equal(decide(0, 12345), 0);
    assert_int_equal(next, 12365);
    assert_int_equal(sched.server[0].deadline, 12400);
}

static void times_near_the_end_of_64_bits(void **state)
{
    uint64_t late = UINT64_MAX - 1000;
    struct sched_params params = { 20, 100, 0, true, 0 };

    (void)state;
    init(1);
    sched_add(&sched, &params, late);
    (void)wake(0, late);
    assert_int_equal(decide(0, late), 0);
    assert_int_equal(next, late + 20);
    assert_int_equal(decide(0, late + 20), 0);
    assert_int_equal(next, late + 100);
}

static void budgets_of_seconds_at_a_gigahertz(void **state)
{
    (void)state;
    init(1);
    add(UINT64_C(10000000000), UINT64_C(10000000000), 0, false);
    assert_int_equal(wake(0, UINT64_C(2500000000)), 1);
    assert_int_equal(decide(0, UINT64_C(2500000000)), 0);
    assert_int_equal(next, UINT64_C(10000000000));
    assert_int_equal(sched.server[0].left, UINT64_C(7500000000));
}

/* ---------------------------------------------------------------- sleep */

static void a_sleeper_wakes_by_itself(void **state)
{
    (void)state;
    init(1);
    add(25, 100, 0, false);
    (void)wake(0, 0);
    (void)decide(0, 0);
    assert_int_equal(sleep_until(0, 5, 250), SCHED_IDLE);
    assert_int_equal(next, 250);
    assert_int_equal(decide(0, 250), 0);
    assert_int_equal(next, 262);  /* half a period is worth half a budget */
}

static void a_wake_up_in_the_past_is_at_once(void **state)
{
    (void)state;
    init(1);
    add(20, 100, 0, false);
    (void)wake(0, 0);
    (void)decide(0, 0);
    assert_int_equal(sleep_until(0, 5, 3), 0);
    assert_int_equal(next, 20);
    assert_int_equal(sleep_until(0, 6, 6), 0);
    assert_int_equal(sched.server[0].left, 14);  /* it has never slept */
}

static void one_without_budget_that_wakes_is_replenished(void **state)
{
    (void)state;
    init(1);
    add(20, 100, 0, false);
    (void)wake(0, 0);
    (void)decide(0, 0);
    assert_int_equal(sleep_until(0, 20, SCHED_NEVER), SCHED_IDLE);
    assert_true(next == SCHED_NEVER);
    assert_int_equal(wake(0, 30), 1);  /* nobody would decide at 100 otherwise */
    assert_int_equal(decide(0, 30), SCHED_IDLE);
    assert_int_equal(next, 100);
    assert_int_equal(decide(0, 100), 0);
}

static void the_next_goes_on_at_once(void **state)
{
    (void)state;
    init(1);
    add(20, 100, 0, false);
    add(30, 200, 0, false);
    (void)wake(0, 0);
    (void)wake(1, 0);
    assert_int_equal(decide(0, 0), 0);
    assert_int_equal(sleep_until(0, 5, 15), 1);
    assert_int_equal(next, 15);
    assert_int_equal(sched.server[0].left, 15);  /* it has paid */
    assert_int_equal(decide(0, 15), 0);
    assert_int_equal(sched.server[1].left, 20);
}

/* Its own period, and the alarms of others, end in that moment. */
static void alarms_are_seen_to_on_the_way(void **state)
{
    (void)state;
    init(1);
    add(20, 100, 0, false);
    add(20, 150, 0, false);
    add(20, 400, 0, false);
    for (uint32_t i = 0; i < 3; i++) {
        (void)wake(i, 0);
    }
    assert_int_equal(decide(0, 0), 0);
    assert_int_equal(sleep_until(0, 1, 100), 1);
    assert_int_equal(sleep_until(0, 2, 105), 2);
    assert_int_equal(sleep_until(0, 107, 300), 1);   /* both have woken; its own budget had ended at 22 */
    assert_int_equal(sched.server[0].deadline, 200);
    assert_int_equal(sched.server[1].deadline, 150);
    assert_int_equal(sched.server[2].left, 0);
    assert_int_equal(sched.server[2].debt, 107 - 22);
    assert_int_equal(sleep_until(0, 208, SCHED_NEVER), 0);  /* all periods have ended; that of the sleeper before it slept */
    assert_int_equal(sched.server[0].deadline, 300);
    assert_int_equal(sched.server[0].left, 20);
    assert_int_equal(sched.server[1].deadline, 300);
    assert_int_equal(sched.server[2].deadline, 400);        /* it sleeps until 300 */
}

static void a_short_nap_costs_what_it_took(void **state)
{
    (void)state;
    init(1);
    add(25, 100, 0, false);
    (void)wake(0, 0);
    (void)decide(0, 0);
    (void)sleep_until(0, 1, SCHED_NEVER);
    (void)wake(0, 3);
    assert_int_equal(sched.server[0].left, 24);  /* the rest of the period is worth that */
    (void)decide(0, 3);
    (void)sleep_until(0, 4, SCHED_NEVER);
    (void)wake(0, 90);
    assert_int_equal(sched.server[0].left, 2);
}

/* Two servers; the second has interrupted the first at 20. */
static void interrupted(uint64_t budget)
{
    init(1);
    resume = 4;
    add(50, 200, 0, false);
    add(budget, 100, 0, false);
    resume = 0;
    (void)wake(0, 0);
    assert_int_equal(decide(0, 0), 0);
    (void)wake(1, 20);
    assert_int_equal(decide(0, 20), 1);
    assert_int_equal(sched.server[0].left, 30);
}

static void who_interrupts_pays_for_going_on(void **state)
{
    (void)state;
    interrupted(10);
    assert_true(next == 20 + 10 - 3 - 4);  /* 3: it woke late in its period */
    assert_int_equal(decide(0, 24), 0);
    assert_true(next == 24 + 4 + 30);
    assert_int_equal(decide(0, 38), 0);
    assert_int_equal(sched.server[0].left, 20);
}

static void who_cannot_pay_owes(void **state)
{
    (void)state;
    interrupted(2);
    assert_true(next == 21);
    assert_int_equal(decide(0, 21), 0);
    assert_int_equal(decide(0, 100), SCHED_IDLE);
    assert_int_equal(sched.server[1].left, 0);  /* 2, less the 3 that it owed */
}

static void who_falls_asleep_has_paid_for_going_on(void **state)
{
    (void)state;
    interrupted(10);
    assert_int_equal(sleep_until(0, 22, SCHED_NEVER), 0);
    assert_true(sched.server[0].started == 22 + 4);
    assert_true(next == 22 + 4 + 30);
    assert_int_equal(sched.server[1].left, 10 - 3 - 4 - 2);
}

/* Its deadline moved behind the other's, so that gives way to whom it had interrupted. */
static void who_gives_way_pays_for_itself(void **state)
{
    (void)state;
    init(1);
    resume = 4;
    add(50, 120, 0, false);
    add(90, 100, 0, false);
    resume = 0;
    (void)wake(0, 0);
    assert_int_equal(decide(0, 0), 0);
    (void)wake(1, 1);
    assert_int_equal(decide(0, 1), 1);
    assert_int_equal(decide(0, 100), 0);
    assert_true(next == 120);
    assert_false(sched.server[1].begun);
}

static void a_decision_for_others_is_not_charged(void **state)
{
    (void)state;
    init(1);
    resume = 8;
    add(50, 100, 0, false);
    add(10, 120, 0, false);
    resume = 0;
    (void)wake(0, 0);
    (void)wake(1, 0);
    assert_int_equal(decide(0, 0), 0);
    assert_int_equal(decide(0, 50), 1);
    assert_int_equal(decide(0, 60), SCHED_IDLE);
    assert_int_equal(decide(0, 100), 0);
    assert_int_equal(decide(0, 120), 0);
    assert_true(sched.server[0].started == 122);
    assert_true(next == 152);
}

/* ---------------------------------------------------------------- idle time */

static void idle_time_is_given_and_taken_back(void **state)
{
    (void)state;
    init(1);
    add(20, 100, 0, true);
    add(32, 512, 0, false);
    (void)wake(0, 0);
    (void)decide(0, 0);
    assert_int_equal(decide(0, 20), 0);
    assert_int_equal(next, 100);
    assert_int_equal(wake(1, 50), 1);
    assert_int_equal(decide(0, 50), 1);
    assert_int_equal(next, 78);
    assert_int_equal(decide(0, 78), 0);
    assert_int_equal(decide(0, 100), 0);
    assert_int_equal(next, 120);
    assert_int_equal(sched.server[0].left, 20);  /* idle time is free */
}

static void idle_time_is_for_those_who_may_have_it(void **state)
{
    (void)state;
    init(1);
    add(20, 100, 0, false);
    add(20, 200, 0, true);
    (void)wake(0, 0);
    (void)wake(1, 0);
    assert_int_equal(decide(0, 0), 0);
    assert_int_equal(decide(0, 20), 1);
    assert_int_equal(decide(0, 40), 1);
    assert_int_equal(decide(0, 100), 0);
    assert_int_equal(decide(0, 120), 1);
    assert_int_equal(next, 200);
}

/* ---------------------------------------------------------------- global */

static void the_earliest_run_on_all_cores(void **state)
{
    (void)state;
    init(2);
    add(50, 300, SCHED_ANY_CORE, false);
    add(50, 200, SCHED_ANY_CORE, false);
    add(50, 100, SCHED_ANY_CORE, false);
    for (uint32_t i = 0; i < 3; i++) {
        (void)wake(i, 0);
    }
    assert_int_equal(decide(0, 0), 2);
    assert_int_equal(sched.kick, 2);
    assert_int_equal(decide(1, 0), 1);
    assert_int_equal(sched.kick, 0);
    assert_int_equal(decide(0, 50), 0);
    assert_int_equal(decide(1, 50), SCHED_IDLE);
}

static void the_latest_deadline_gives_way(void **state)
{
    (void)state;
    init(2);
    add(50, 300, SCHED_ANY_CORE, false);
    add(50, 200, SCHED_ANY_CORE, false);
    add(50, 100, SCHED_ANY_CORE, false);
    (void)wake(0, 0);
    (void)wake(1, 0);
    (void)decide(0, 0);
    (void)decide(1, 0);
    assert_int_equal(sched.running[1], 0);
    assert_int_equal(wake(2, 10), 2);
    assert_int_equal(decide(1, 10), 2);
}

static void one_core_minds_the_timers(void **state)
{
    (void)state;
    init(2);
    add(30, 100, SCHED_ANY_CORE, false);
    (void)wake(0, 0);
    assert_int_equal(decide(0, 0), 0);
    assert_int_equal(next, 30);
    assert_int_equal(decide(1, 0), SCHED_IDLE);
    assert_true(next == SCHED_NEVER);
    assert_int_equal(decide(0, 30), SCHED_IDLE);
    assert_int_equal(next, 100);
    assert_int_equal(decide(0, 100), 0);
}

/* ---------------------------------------------------------------- windows */

static const struct sched_window table[] = {
    { 0, 10, 0, 0 }, { 10, 20, 0, 1 }, { 50, 50, 0, 0 },
    { 40, 20, 2, 2 },
};

static void init_windows(void)
{
    sched_init(&sched, 3);
    sched_windows(&sched, table, ARRAY_COUNT(table), 100, 1000);
    for (uint32_t i = 0; i < 3; i++) {
        sched_add(&sched, &(struct sched_params){ 0, 0, 0, false, 0 }, 1000);
        assert_int_equal(sched_wake(&sched, i, 1000), 0);
    }
}

static void expect_window(uint32_t core, uint64_t now, uint32_t server, uint64_t until)
{
    assert_int_equal(sched_decide(&sched, core, now), server);
    assert_true(sched.due[core] == until);
    assert_int_equal(sched.kick, 0);
}

static void cores_follow_their_windows(void **state)
{
    (void)state;
    init_windows();
    expect_window(0, 1000, 0, 1010);
    expect_window(0, 1009, 0, 1010);
    expect_window(0, 1010, 1, 1030);
    expect_window(0, 1030, SCHED_IDLE, 1050);
    expect_window(0, 1049, SCHED_IDLE, 1050);
    expect_window(0, 1050, 0, 1100);
    expect_window(0, 1100, 0, 1110);
    expect_window(0, 1000 + 100 * UINT64_C(1000000007) + 29, 1, 1000 + 100 * UINT64_C(1000000007) + 30);
    expect_window(1, 1000, SCHED_IDLE, SCHED_NEVER);
    expect_window(2, 1000, SCHED_IDLE, 1040);
    expect_window(2, 1040, 2, 1060);
    expect_window(2, 1060, SCHED_IDLE, 1140);
}

static void expect_sleep(uint32_t core, uint64_t now, uint64_t wake_at, uint32_t server, uint64_t until)
{
    assert_int_equal(sched_sleep(&sched, core, now, wake_at), server);
    assert_true(sched.due[core] == until);
}

static void a_sleepers_window_stays_empty(void **state)
{
    (void)state;
    init_windows();
    expect_window(0, 1000, 0, 1010);
    expect_sleep(0, 1002, SCHED_NEVER, SCHED_IDLE, 1010);
    assert_int_equal(sched_wake(&sched, 0, 1004), 1);
    expect_window(0, 1004, 0, 1010);
    expect_sleep(0, 1006, 1008, SCHED_IDLE, 1008);
    expect_window(0, 1008, 0, 1010);
    expect_sleep(0, 1009, 1080, SCHED_IDLE, 1010);
    assert_int_equal(sched.kick, 0);
    expect_window(0, 1010, 1, 1030);
    assert_int_equal(sched_wake(&sched, 0, 1020), 0);  /* not its window */
    assert_int_equal(sched_wake(&sched, 1, 1020), 0);  /* awake */
    expect_window(0, 1050, 0, 1100);
}

/* It goes from core to core, and the second has been told to take it before the first has left it. */
static void a_sleeper_is_awaited_elsewhere(void **state)
{
    static const struct sched_window moving[] = { { 0, 10, 0, 0 }, { 10, 10, 1, 0 } };

    (void)state;
    sched_init(&sched, 2);
    sched_windows(&sched, moving, ARRAY_COUNT(moving), 100, 0);
    sched_add(&sched, &(struct sched_params){ 0, 0, 0, false, 0 }, 0);
    (void)sched_wake(&sched, 0, 0);
    expect_window(0, 0, 0, 10);
    expect_window(1, 10, 0, 20);
    expect_sleep(0, 11, 15, SCHED_IDLE, 100);
    assert_int_equal(sched.kick, 2);
    expect_window(1, 11, SCHED_IDLE, 15);
    expect_window(1, 15, 0, 20);
}

/* ---------------------------------------------------------------- everything at random */

static uint64_t below(uint64_t bound)
{
    return ((uint64_t)rand() << 31 ^ (uint64_t)rand()) % bound;
}

static void random_steps(uint32_t cores, bool global, unsigned int seed)
{
    uint32_t count = (uint32_t)below(SCHED_MAX_SERVERS) + 1u;
    uint64_t now = 0;

    srand(seed);
    init(cores);
    resume = below(3) * below(20);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t period = 1 + below(1000);

        add(1 + below(period), period, global ? SCHED_ANY_CORE : (uint32_t)below(cores), below(2) != 0);
    }
    resume = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t server = (uint32_t)below(count), core = (uint32_t)below(cores);

        now += below(8) == 0 ? below(3000) : below(20);
        switch (below(4)) {
        case 0:
            (void)wake(server, now);
            break;
        case 1:
            if (sched.running[core] != SCHED_IDLE) {
                (void)sleep_until(core, now, below(2) != 0 ? SCHED_NEVER : now + below(500));
            }
            break;
        default:
            (void)decide(core, now);
            break;
        }
    }
}

static void nothing_falls_apart(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < 10; i++) {
        random_steps(1u + i, false, i);
        random_steps(1u + i, true, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_there),
        cmocka_unit_test(a_server_starts_asleep),
        cmocka_unit_test(a_woken_server_disturbs_an_idle_core),
        cmocka_unit_test(a_spent_budget_waits_for_the_period),
        cmocka_unit_test(the_earlier_deadline_goes_first),
        cmocka_unit_test(equal_deadlines_do_not_take_turns),
        cmocka_unit_test(an_overrun_comes_off_the_next_budget),
        cmocka_unit_test(an_overrun_is_forgiven_after_a_period),
        cmocka_unit_test(an_overrun_of_more_than_a_budget_costs_one),
        cmocka_unit_test(a_period_that_ends_on_the_way_divides_the_charge),
        cmocka_unit_test(a_decision_after_many_periods),
        cmocka_unit_test(times_near_the_end_of_64_bits),
        cmocka_unit_test(budgets_of_seconds_at_a_gigahertz),
        cmocka_unit_test(a_sleeper_wakes_by_itself),
        cmocka_unit_test(a_wake_up_in_the_past_is_at_once),
        cmocka_unit_test(one_without_budget_that_wakes_is_replenished),
        cmocka_unit_test(the_next_goes_on_at_once),
        cmocka_unit_test(alarms_are_seen_to_on_the_way),
        cmocka_unit_test(a_short_nap_costs_what_it_took),
        cmocka_unit_test(who_interrupts_pays_for_going_on),
        cmocka_unit_test(who_cannot_pay_owes),
        cmocka_unit_test(who_falls_asleep_has_paid_for_going_on),
        cmocka_unit_test(who_gives_way_pays_for_itself),
        cmocka_unit_test(a_decision_for_others_is_not_charged),
        cmocka_unit_test(idle_time_is_given_and_taken_back),
        cmocka_unit_test(idle_time_is_for_those_who_may_have_it),
        cmocka_unit_test(the_earliest_run_on_all_cores),
        cmocka_unit_test(the_latest_deadline_gives_way),
        cmocka_unit_test(one_core_minds_the_timers),
        cmocka_unit_test(cores_follow_their_windows),
        cmocka_unit_test(a_sleepers_window_stays_empty),
        cmocka_unit_test(a_sleeper_is_awaited_elsewhere),
        cmocka_unit_test(nothing_falls_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
