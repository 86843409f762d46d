/* SPDX-License-Identifier: Apache-2.0 */
/* tests: core/watchdog.c core/watchdog_sbsa.c */
/* with: HEALTH WATCHDOG MONITOR */
/* A clock that the test turns; a board with one core that looks, for a virtual and a direct partition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <hv/monitor.h>
#include <hv/watchdog.h>

#define WRR   0x0000u
#define WCS   0x1000u
#define WOR   0x1008u
#define WCV   0x1010u
#define MS    UINT64_C(1000000)   /* one count is a nanosecond */
#define NEVER UINT64_MAX

static const struct layout_partition partitions[3] = {
    { .name = "own", .watchdog_intid = 40, .watchdog_cpu = 0, .watchdog_ns = 100 * MS, .watchdog_boot_ns = 1000 * MS },
    { .name = "far", .watchdog_intid = 41, .watchdog_cpu = 0, .watchdog_ns = 20000 * MS, .watchdog_boot_ns = 20000 * MS },
    { .name = "none" } };
const struct layout layout = { .cpu_count = 2, .partition_count = 3, .partitions = partitions };

static uint64_t now, alarm_at, kicks, bites, normals;
static bool pending[64];
static const struct layout_partition *bitten;

uint32_t partition_index(const struct layout_partition *config) { return (uint32_t)(config - partitions); }
uint64_t arch_counter(void) { return now; }
uint64_t arch_counts(uint64_t ns) { return ns; }
void arch_alarm_at(uint64_t at) { alarm_at = at; }
void arch_set_pending(uint32_t intid, bool set) { pending[intid] = set; }
void monitor_normal(const struct layout_partition *config) { (void)config; normals++; }

void arch_kick(uint32_t cpu)
{
    assert_int_equal(cpu, 0);
    kicks++;
}

void partition_request(const struct layout_partition *config, enum partition_request request)
{
    assert_int_equal(request, REQUEST_WATCHDOG);
    bitten = config;
    bites++;
}

static uint64_t read(uint32_t partition, uint64_t offset)
{
    uint64_t value = 0xdead;

    assert_true(watchdog_read(&partitions[partition], offset, 4, &value));
    return value;
}

static void write(uint32_t partition, uint64_t offset, uint64_t value)
{
    assert_true(watchdog_write(&partitions[partition], offset, 4, value));
    if (kicks != 0) {
        kicks = 0;
        watchdog_tick(0);
    }
}

/* The core's alarm rings whenever it is due until then. */
static void pass(uint64_t until)
{
    while (alarm_at <= until) {
        now = alarm_at > now ? alarm_at : now;
        watchdog_tick(0);
        assert_true(alarm_at > now);  /* else it would ring for ever */
    }
    now = until;
}

static int setup(void **state)
{
    (void)state;
    now = 1000 * MS;
    kicks = bites = normals = 0;
    bitten = NULL;
    memset(pending, 0, sizeof(pending));
    watchdog_stop(&partitions[0]);
    watchdog_stop(&partitions[1]);
    watchdog_tick(0);
    watchdog_start(&partitions[0], now);
    assert_int_equal(kicks, 1);
    watchdog_tick(0);
    write(0, WCS, 0);  /* WS1 of the last test */
    watchdog_start(&partitions[0], now);
    watchdog_tick(0);
    kicks = normals = 0;
    return 0;
}

static void served_it_does_nothing(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        pass(now + 49 * MS);
        write(0, WRR, 0);
    }
    assert_int_equal(bites, 0);
    assert_false(pending[40]);
    assert_int_equal(normals, 1);
}

static void a_start_has_its_own_time(void **state)
{
    (void)state;
    pass(now + 499 * MS);
    assert_false(pending[40]);
    pass(now + 2 * MS);
    assert_true(pending[40]);
    pass(now + 498 * MS);
    assert_int_equal(bites, 0);
    pass(now + 2 * MS);
    assert_int_equal(bites, 1);
    assert_ptr_equal(bitten, &partitions[0]);
    assert_int_equal(watchdog_time_ns(&partitions[0]), 1000 * MS);
}

static void half_warns_all_bites(void **state)
{
    uint64_t start;

    (void)state;
    write(0, WRR, 0);
    start = now;
    pass(start + 50 * MS - 1);
    assert_int_equal(read(0, WCS), 1);
    pass(start + 50 * MS);
    assert_int_equal(read(0, WCS), 3);
    assert_true(pending[40]);
    pass(start + 100 * MS - 1);
    assert_int_equal(bites, 0);
    pass(start + 100 * MS);
    assert_int_equal(bites, 1);
    assert_int_equal(watchdog_time_ns(&partitions[0]), 100 * MS);
    pass(start + 10000 * MS);
    assert_int_equal(bites, 1);
    assert_int_equal(alarm_at, NEVER);
}

static void a_refresh_takes_the_warning_back(void **state)
{
    static const uint64_t ways[] = { WRR, WOR, WCS };

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        write(0, WRR, 0);
        pass(now + 60 * MS);
        assert_true(pending[40]);
        write(0, ways[i], 50 * MS);
        assert_false(pending[40]);
        assert_int_equal(read(0, WCS), 1);
        pass(now + 49 * MS);
        assert_false(pending[40]);
    }
    assert_int_equal(bites, 0);
}

static void it_cannot_be_switched_off_or_slowed_down(void **state)
{
    (void)state;
    write(0, WCS, 0);
    assert_int_equal(read(0, WCS), 1);
    write(0, WOR, 0xffffffffu);
    assert_int_equal(read(0, WOR), 50 * MS);
    write(0, WCV, 0xffffffffu);
    write(0, WCV + 4, 0xffffffffu);
    pass(now + 100 * MS);
    assert_int_equal(bites, 1);
}

static void it_can_be_hurried_within_bounds(void **state)
{
    uint64_t start;

    (void)state;
    write(0, WOR, 5 * MS);
    start = now;
    pass(start + 10 * MS - 1);
    assert_int_equal(bites, 0);
    pass(start + 10 * MS);
    assert_int_equal(bites, 1);
    watchdog_start(&partitions[0], now);
    watchdog_tick(0);
    write(0, WOR, 0);  /* no count at all: half a millisecond */
    start = now;
    pass(start + MS - 1);
    assert_int_equal(bites, 1);
    pass(start + MS);
    assert_int_equal(bites, 2);
}

static void hurrying_kicks_the_core_that_looks_once(void **state)
{
    (void)state;
    (void)watchdog_write(&partitions[0], WOR, 4, 5 * MS);
    assert_int_equal(kicks, 1);
    watchdog_tick(0);
    kicks = 0;
    for (uint32_t i = 0; i < 1000; i++) {  /* at the same time: however often, the alarm is early enough */
        (void)watchdog_write(&partitions[0], WOR, 4, 50 * MS);
        (void)watchdog_write(&partitions[0], WOR, 4, 5 * MS);
    }
    assert_int_equal(kicks, 0);
}

static void a_late_look_does_not_lengthen_the_time(void **state)
{
    (void)state;
    write(0, WRR, 0);
    now += 70 * MS;
    watchdog_tick(0);
    assert_true(pending[40]);
    now += 29 * MS;
    watchdog_tick(0);
    assert_int_equal(bites, 0);
    now += 1 * MS;
    watchdog_tick(0);
    assert_int_equal(bites, 1);
}

static void the_next_life_knows(void **state)
{
    (void)state;
    write(0, WRR, 0);
    pass(now + 100 * MS);
    assert_int_equal(bites, 1);
    watchdog_stop(&partitions[0]);
    now += 5 * MS;
    watchdog_start(&partitions[0], now);
    watchdog_tick(0);
    assert_int_equal(read(0, WCS), 5);  /* WS1 */
    write(0, WRR, 0);
    assert_int_equal(read(0, WCS), 1);
    assert_int_equal(bites, 1);
}

static void compare_counts_as_the_guest_does(void **state)
{
    (void)state;
    now += 7 * MS;
    write(0, WRR, 0);
    assert_int_equal(read(0, WCV) | read(0, WCV + 4) << 32, 57 * MS);
    assert_int_equal(read(0, 0x0fcc), read(0, 0x1fcc));
    assert_int_equal(read(0, 0x0ffc), 0);
}

static void only_words(void **state)
{
    uint64_t value;

    (void)state;
    for (uint32_t size = 1; size <= 8; size *= 2) {
        assert_int_equal(watchdog_read(&partitions[0], WCS, size, &value), size == 4);
        assert_int_equal(watchdog_write(&partitions[0], WRR, size, 0), size == 4);
    }
}

static void one_alarm_for_all(void **state)
{
    (void)state;
    write(0, WRR, 0);
    watchdog_start(&partitions[1], now);
    watchdog_tick(0);
    assert_int_equal(alarm_at, now + 50 * MS);
    watchdog_console_alarm(5 * MS);
    assert_int_equal(alarm_at, now + 5 * MS);
    watchdog_console_alarm(0);
    assert_int_equal(alarm_at, now + 50 * MS);
    pass(now + 100 * MS);
    assert_ptr_equal(bitten, &partitions[0]);
    assert_int_equal(alarm_at, now - 100 * MS + 10000 * MS);
    pass(now + 20000 * MS);
    assert_ptr_equal(bitten, &partitions[1]);
    assert_int_equal(bites, 2);
}

static void who_does_not_run_is_not_bitten(void **state)
{
    (void)state;
    write(0, WRR, 0);
    watchdog_stop(&partitions[0]);
    pass(now + 1000 * MS);
    assert_int_equal(bites, 0);
    write(0, WRR, 0);
    pass(now + 1000 * MS);
    assert_int_equal(bites, 0);
}

static void without_one_nothing_starts(void **state)
{
    (void)state;
    watchdog_start(&partitions[2], now);
    assert_int_equal(kicks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(served_it_does_nothing, setup),
        cmocka_unit_test_setup(a_start_has_its_own_time, setup),
        cmocka_unit_test_setup(half_warns_all_bites, setup),
        cmocka_unit_test_setup(a_refresh_takes_the_warning_back, setup),
        cmocka_unit_test_setup(it_cannot_be_switched_off_or_slowed_down, setup),
        cmocka_unit_test_setup(it_can_be_hurried_within_bounds, setup),
        cmocka_unit_test_setup(hurrying_kicks_the_core_that_looks_once, setup),
        cmocka_unit_test_setup(a_late_look_does_not_lengthen_the_time, setup),
        cmocka_unit_test_setup(the_next_life_knows, setup),
        cmocka_unit_test_setup(compare_counts_as_the_guest_does, setup),
        cmocka_unit_test_setup(only_words, setup),
        cmocka_unit_test_setup(one_alarm_for_all, setup),
        cmocka_unit_test_setup(who_does_not_run_is_not_bitten, setup),
        cmocka_unit_test_setup(without_one_nothing_starts, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
