/* SPDX-License-Identifier: Apache-2.0 */
/* tests: core/watchdog.c core/watchdog_wdat.c */
/* with: HEALTH WATCHDOG MONITOR */
/* The registers to which a guest's watchdog action table leads, at a clock of 3 GHz that the test turns. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <hv/monitor.h>
#include <hv/watchdog.h>

#define CONTROL  0u
#define TIME     4u
#define LEFT     8u
#define MS       UINT64_C(3000000)
#define NS(ms)   ((ms) * UINT64_C(1000000))

static const struct layout_partition partitions[3] = {
    { .name = "own", .watchdog = { 0x610 }, .watchdog_cpu = 0, .watchdog_ns = NS(100), .watchdog_boot_ns = NS(1000) },
    { .name = "slow", .watchdog = { 0x610 }, .watchdog_cpu = 0, .watchdog_ns = NS(3600000), .watchdog_boot_ns = NS(3600000) },
    { .name = "none" } };
const struct layout layout = { .cpu_count = 2, .partition_count = 3, .partitions = partitions };

static uint64_t now, alarm_at, kicks, bites;
static const struct layout_partition *bitten;

uint32_t partition_index(const struct layout_partition *config) { return (uint32_t)(config - partitions); }
uint64_t arch_counter(void) { return now; }
uint64_t arch_counts(uint64_t ns) { return ns * 3u; }
void arch_alarm_at(uint64_t at) { alarm_at = at; }
void arch_kick(uint32_t cpu) { (void)cpu; kicks++; }
void monitor_normal(const struct layout_partition *config) { (void)config; }

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
    kicks = 0;
    assert_true(watchdog_write(&partitions[partition], offset, 4, value));
    if (kicks != 0) {
        watchdog_tick(0);
    }
}

static void pass(uint64_t counts)
{
    uint64_t until = now + counts;

    while (alarm_at <= until) {
        now = alarm_at > now ? alarm_at : now;
        watchdog_tick(0);
        assert_true(alarm_at > now);
    }
    now = until;
}

static int setup(void **state)
{
    (void)state;
    now = 5000 * MS;
    bites = 0;
    for (uint32_t i = 0; i < 2; i++) {
        watchdog_start(&partitions[i], now);
        watchdog_tick(0);
        write(i, CONTROL, 0);
    }
    return 0;
}

static void it_runs_and_says_so(void **state)
{
    (void)state;
    assert_int_equal(read(0, CONTROL), 1);
    assert_int_equal(read(0, TIME), 100);
    assert_int_equal(read(0, LEFT), 100);
    pass(30 * MS);
    assert_int_equal(read(0, LEFT), 70);
    pass(50 * MS);
    assert_int_equal(read(0, LEFT), 20);
    assert_int_equal(read(0, CONTROL) & 1u, 1);
    assert_int_equal(read(0, 12), 0);
    assert_int_equal(read(0, 1), 0);
}

static void every_write_of_control_refreshes(void **state)
{
    (void)state;
    for (uint32_t value = 0; value < 8; value++) {
        pass(90 * MS);
        write(0, CONTROL, value);
        assert_int_equal(read(0, LEFT), 100);
        assert_int_equal(read(0, CONTROL), 1);
    }
    assert_int_equal(bites, 0);
}

/* "Stop" is such a write. */
static void it_bites_all_the_same(void **state)
{
    (void)state;
    write(0, CONTROL, 0);
    pass(100 * MS - 1);
    assert_int_equal(bites, 0);
    pass(1);
    assert_int_equal(bites, 1);
    assert_ptr_equal(bitten, &partitions[0]);
    assert_int_equal(read(0, LEFT), 0);
}

static void the_next_life_knows(void **state)
{
    (void)state;
    pass(100 * MS);
    assert_int_equal(bites, 1);
    watchdog_start(&partitions[0], now);
    watchdog_tick(0);
    assert_int_equal(read(0, CONTROL), 5);
    assert_int_equal(read(0, LEFT), 1000);  /* its time to boot */
    write(0, CONTROL, 4);
    assert_int_equal(read(0, CONTROL), 1);
}

static void the_time_can_only_be_shortened(void **state)
{
    (void)state;
    write(0, TIME, 30000);
    assert_int_equal(read(0, TIME), 100);
    write(0, TIME, UINT32_MAX);
    assert_int_equal(read(0, TIME), 100);
    write(0, TIME, 33);
    assert_int_equal(read(0, TIME), 33);
    assert_int_equal(read(0, LEFT), 33);
    pass(33 * MS - 1);
    assert_int_equal(bites, 0);
    pass(1);
    assert_int_equal(bites, 1);
}

/* Not below a millisecond. */
static void no_time_at_all_is_a_little(void **state)
{
    (void)state;
    write(0, TIME, 0);
    pass(MS - 1);
    assert_int_equal(bites, 0);
    pass(1);
    assert_int_equal(bites, 1);
}

/* Half of it is more than 32 bits of counts. */
static void long_times_are_not_cut(void **state)
{
    (void)state;
    assert_int_equal(read(1, TIME), 3600000);
    write(1, TIME, 60000);
    assert_int_equal(read(1, TIME), 60000);
    watchdog_stop(&partitions[0]);
    pass(60000 * MS - 1);
    assert_int_equal(bites, 0);
    pass(1);
    assert_int_equal(bites, 1);
    assert_ptr_equal(bitten, &partitions[1]);
}

static void nothing_else_does_anything(void **state)
{
    uint64_t value;

    (void)state;
    pass(60 * MS);
    write(0, LEFT, 5);
    write(0, 12, 5);
    assert_int_equal(read(0, LEFT), 40);
    for (uint32_t size = 1; size <= 2; size *= 2) {
        assert_false(watchdog_read(&partitions[0], CONTROL, size, &value));
        assert_false(watchdog_write(&partitions[0], CONTROL, size, 1));
    }
    pass(40 * MS);
    assert_int_equal(bites, 1);
    write(0, CONTROL, 1);  /* too late */
    pass(1000 * MS);
    assert_int_equal(bites, 1);
}

static void without_one_nothing_starts(void **state)
{
    (void)state;
    kicks = 0;
    watchdog_start(&partitions[2], now);
    assert_int_equal(kicks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(it_runs_and_says_so, setup),
        cmocka_unit_test_setup(every_write_of_control_refreshes, setup),
        cmocka_unit_test_setup(it_bites_all_the_same, setup),
        cmocka_unit_test_setup(the_next_life_knows, setup),
        cmocka_unit_test_setup(the_time_can_only_be_shortened, setup),
        cmocka_unit_test_setup(no_time_at_all_is_a_little, setup),
        cmocka_unit_test_setup(long_times_are_not_cut, setup),
        cmocka_unit_test_setup(nothing_else_does_anything, setup),
        cmocka_unit_test_setup(without_one_nothing_starts, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
