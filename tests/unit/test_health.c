/* SPDX-License-Identifier: Apache-2.0 */
/* tests: core/health.c core/monitor.c */
/* with: HEALTH WATCHDOG MONITOR */
/* What a fault comes to, and what a monitor may do; requests are only recorded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <hv/arch.h>
#include <hv/console.h>
#include <hv/health.h>
#include <hv/monitor.h>
#include <hv/watchdog.h>

#define S  UINT64_C(1000000000)

static const struct layout_vcpu vcpu_configs[4] = { { .cpu = 0 }, { .cpu = 1 }, { .cpu = 2 }, { .cpu = 3 } };
static const struct layout_partition partitions[4] = {
    { .name = "mon", .vcpus = &vcpu_configs[0], .vcpu_count = 1, .monitor = 1, .on_fault = LAYOUT_FAULT_STOP },
    { .name = "limited", .vcpus = &vcpu_configs[1], .vcpu_count = 1, .on_fault = LAYOUT_FAULT_RESTART, .restart_limit = 3,
      .restart_window_ns = 10 * S, .yaml_line = 9 },
    { .name = "free", .vcpus = &vcpu_configs[2], .vcpu_count = 1, .on_fault = LAYOUT_FAULT_RESTART },
    { .name = "a-name-of-31-characters-00000001", .vcpus = &vcpu_configs[3], .vcpu_count = 1, .on_fault = LAYOUT_FAULT_RESTART,
      .restart_limit = 1, .restart_window_ns = S, .restart_then = LAYOUT_FAULT_RESET_BOARD } };
const struct layout layout = { .cpu_count = 4, .partition_count = 4, .partitions = partitions };

static struct partition states[4];
static struct vcpu vcpus[4];
static uint64_t now;
static uint32_t resets, requests[4];
static char said[4096];

uint32_t partition_index(const struct layout_partition *config) { return (uint32_t)(config - partitions); }
struct vcpu *arch_vcpu(uint32_t cpu) { return &vcpus[cpu]; }
uint64_t arch_time_ns(void) { return now; }
uint64_t arch_guest_pc(const struct vcpu *vcpu) { (void)vcpu; return 0x40081234; }
uint64_t watchdog_time_ns(const struct layout_partition *config) { (void)config; return 100000000; }
void arch_board_reset(void) { resets++; }

void partition_request(const struct layout_partition *config, enum partition_request request)
{
    requests[partition_index(config)] = request;
}

void print(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(said + strlen(said), sizeof(said) - strlen(said), format, args);
    va_end(args);
}

/* As the core of vcpu 0 carries a request out. */
static uint32_t carry_out(uint32_t partition, uint32_t why)
{
    uint32_t request = health_decide(&partitions[partition], why);

    if (request == REQUEST_STOP || request == REQUEST_OFF) {
        monitor_stopped(&partitions[partition]);
    } else {
        monitor_started(&partitions[partition], why);
    }
    return request;
}

static struct monitor_answer answer;

static int64_t call(uint32_t caller, uint64_t function, uint64_t partition)
{
    memset(&answer, 0, sizeof(answer));
    return (int64_t)monitor_call(&vcpus[caller], function, partition, &answer);
}

static int setup(void **state)
{
    (void)state;
    now += 1000 * S;
    for (uint32_t i = 0; i < 4; i++) {
        states[i] = (struct partition){ 0 };
        vcpus[i] = (struct vcpu){ .config = &partitions[i], .partition = &states[i], .cpu = i };
        (void)carry_out(i, REQUEST_START);
        requests[i] = REQUEST_NONE;
    }
    while (call(0, MONITOR_EVENT, 0) == 0) {
    }
    resets = 0;
    said[0] = '\0';
    return 0;
}

/* ---------------------------------------------------------------- limits */

static void without_a_limit_always(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(carry_out(2, REQUEST_FAULT), REQUEST_RESTART);
    }
}

static void three_in_ten_seconds(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(carry_out(1, REQUEST_FAULT), REQUEST_RESTART);
        now += S;
    }
    assert_non_null(strstr(said, "limited: restart 3 of at most 3 in 10000 ms\n"));
    assert_int_equal(carry_out(1, REQUEST_FAULT), REQUEST_STOP);
    assert_non_null(strstr(said, "limited: restarts in the last 10000 ms: 3, the most that system.yaml:9 allows\n"));
}

/* The rule, against a list of all restarts: fewer than three in the last ten seconds. */
static void the_window_slides(void **state)
{
    static uint64_t at[10000];
    uint32_t count = 0, seed = 1, stopped = 0;

    (void)state;
    for (uint32_t i = 0; i < 10000; i++) {
        uint32_t recent = 0;

        seed = seed * 1664525u + 1013904223u;
        now += seed % 3 == 0 ? (seed >> 8) % 100 : (uint64_t)(seed >> 8) % 8 * S;
        for (uint32_t n = 0; n < count; n++) {
            recent += now - at[n] < 10 * S ? 1u : 0;
        }
        if (carry_out(1, i % 5 == 0 ? REQUEST_WATCHDOG : REQUEST_FAULT) == REQUEST_RESTART) {
            assert_true(recent < 3);
            at[count++] = now;
        } else {
            assert_true(recent >= 3);
            stopped++;
        }
        said[0] = '\0';
    }
    assert_true(stopped > 1000 && count > 1000);
}

static void only_faults_count(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 50; i++) {
        assert_int_equal(carry_out(1, REQUEST_RESTART), REQUEST_RESTART);
    }
    assert_int_equal(carry_out(1, REQUEST_OFF), REQUEST_OFF);
    assert_int_equal(carry_out(1, REQUEST_FAULT), REQUEST_RESTART);
    assert_non_null(strstr(said, "restart 1 of at most 3"));
}

static void a_monitors_start_clears_the_record(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        (void)carry_out(1, REQUEST_FAULT);
    }
    assert_int_equal(carry_out(1, REQUEST_FAULT), REQUEST_STOP);
    (void)carry_out(1, REQUEST_START);
    assert_int_equal(carry_out(1, REQUEST_FAULT), REQUEST_RESTART);
}

static void the_board_instead(void **state)
{
    (void)state;
    assert_int_equal(carry_out(3, REQUEST_FAULT), REQUEST_RESTART);
    assert_int_equal(resets, 0);
    assert_int_equal(carry_out(3, REQUEST_FAULT), REQUEST_STOP);  /* the firmware has refused */
    assert_int_equal(resets, 1);
    assert_non_null(strstr(said, "the firmware refused to reset the board"));
}

static void a_watchdog_is_a_fault(void **state)
{
    (void)state;
    assert_int_equal(carry_out(0, REQUEST_WATCHDOG), REQUEST_STOP);
    assert_int_equal(carry_out(2, REQUEST_WATCHDOG), REQUEST_RESTART);
    assert_non_null(strstr(said, "FAULT free: its watchdog (system.yaml:0) was not refreshed for 100000 us, "
                                 "vcpu 0 was at pc 0x40081234\n"));
}

/* ---------------------------------------------------------------- devices */

/* Each write has its own width: what lies beside the register stays. In the order of the list. */
static void devices_are_reset_as_the_board_says(void **state)
{
    static uint32_t registers[4];
    const struct layout_write writes[] = { { { (uintptr_t)&registers[0] + 1 }, 1, 0x1112 },
                                           { { (uintptr_t)&registers[1] + 2 }, 2, 0x33334444 },
                                           { { (uintptr_t)&registers[2] }, 4, 0x55555555 },
                                           { { (uintptr_t)&registers[2] }, 4, 0x66666666 } };
    const struct layout_partition with = { .resets = writes, .reset_count = 4 }, without = { .resets = writes };

    (void)state;
    memset(registers, 0xaa, sizeof(registers));
    health_reset_devices(&without);
    assert_int_equal(registers[0] & registers[1] & registers[2] & registers[3], 0xaaaaaaaa);
    health_reset_devices(&with);
    assert_int_equal(registers[0], 0xaaaa12aa);
    assert_int_equal(registers[1], 0x4444aaaa);
    assert_int_equal(registers[2], 0x66666666);
    assert_int_equal(registers[3], 0xaaaaaaaa);
}

/* ---------------------------------------------------------------- monitors */

static uint32_t state_of(uint32_t partition)
{
    assert_int_equal(call(0, MONITOR_INFO, partition), 0);
    return (uint32_t)answer.value[0];
}

static void states_as_in_arinc_653(void **state)
{
    (void)state;
    assert_int_equal(state_of(2) & 0xffu, STATE_WARM_START);  /* started by each setup */
    assert_int_equal(call(2, MONITOR_NORMAL, 0), 0);
    assert_int_equal(state_of(2) & 0xffu, STATE_NORMAL);
    (void)carry_out(2, REQUEST_FAULT);
    assert_int_equal(state_of(2), STATE_WARM_START | CAUSE_FAULT << 8);
    (void)carry_out(2, REQUEST_RESTART);
    assert_int_equal(state_of(2), STATE_WARM_START | CAUSE_ITSELF << 8);
    (void)carry_out(2, REQUEST_STOP);
    assert_int_equal(state_of(2) & 0xffu, STATE_IDLE);
    assert_int_equal(call(2, MONITOR_NORMAL, 0), 0);          /* too late: it does not run */
    assert_int_equal(state_of(2) & 0xffu, STATE_IDLE);
    (void)carry_out(2, REQUEST_START);
    assert_int_equal(state_of(2), STATE_WARM_START | CAUSE_MONITOR << 8);
}

static void only_what_there_is_to_do(void **state)
{
    (void)state;
    assert_int_equal(call(0, MONITOR_START, 2), -2);
    assert_int_equal(call(0, MONITOR_STOP, 2), 0);
    assert_int_equal(requests[2], REQUEST_STOP);
    (void)carry_out(2, REQUEST_STOP);
    assert_int_equal(call(0, MONITOR_STOP, 2), -2);
    assert_int_equal(call(0, MONITOR_RESTART, 2), -2);
    assert_int_equal(call(0, MONITOR_START, 2), 0);
    assert_int_equal(requests[2], REQUEST_START);
    (void)carry_out(2, REQUEST_START);
    assert_int_equal(call(0, MONITOR_RESTART, 2), 0);
    states[2].request = 1;
    assert_int_equal(call(0, MONITOR_RESTART, 2), -4);
}

static void numbers_are_bounded(void **state)
{
    static const uint64_t foreign[] = { 0, 4, 5, 0xffffffffu, UINT64_C(1) << 32, UINT64_MAX };

    (void)state;
    for (uint32_t i = 0; i < 6; i++) {
        for (uint64_t function = MONITOR_STOP; function <= MONITOR_RESTART; function++) {
            assert_int_equal(call(0, function, foreign[i]), -3);
        }
    }
    for (uint64_t function = MONITOR_COUNT; function < 0x10000; function++) {
        assert_int_equal(call(0, function, 1), -1);
    }
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(requests[i], REQUEST_NONE);
    }
}

static void others_are_refused(void **state)
{
    (void)state;
    for (uint64_t function = 0; function < 0x10000; function++) {
        for (uint64_t partition = 0; partition < 4; partition++) {
            bool own = function == MONITOR_NORMAL || (function <= MONITOR_NAME && partition == 1);

            assert_int_equal(call(1, function, partition), own ? 0 : -1);
        }
    }
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(requests[i], REQUEST_NONE);
    }
}

static void names(void **state)
{
    (void)state;
    assert_int_equal(call(0, MONITOR_NAME, 1), 0);
    assert_string_equal((const char *)answer.value, "limited");
    assert_int_equal(call(3, MONITOR_NAME, MONITOR_SELF), 0);
    assert_memory_equal(answer.value, partitions[3].name, 32);
    assert_int_equal(answer.value[4], 0);
}

static void events_in_order_and_lost_ones_counted(void **state)
{
    (void)state;
    monitor_event(&partitions[2], EVENT_FAULT, 3, 0xabc, 0x40080000);
    assert_int_equal(call(0, MONITOR_EVENT, 0), 0);
    assert_int_equal(answer.value[0], EVENT_FAULT | 2u << 8 | 3u << 16);
    assert_int_equal(answer.value[1], now);
    assert_int_equal(answer.value[2], 0xabc);
    assert_int_equal(answer.value[3], 0x40080000);
    assert_int_equal(answer.value[4], 0);
    assert_int_equal(call(0, MONITOR_EVENT, 0), -2);
    for (uint32_t i = 0; i < 100; i++) {
        monitor_event(&partitions[2], EVENT_FAULT, 0, i, 0);
    }
    for (uint32_t i = 36; i < 100; i++) {
        assert_int_equal(call(0, MONITOR_EVENT, 0), 0);
        assert_int_equal(answer.value[2], i);
        assert_int_equal(answer.value[4], i == 36 ? 36 : 0);
    }
    assert_int_equal(call(0, MONITOR_EVENT, 0), -2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(without_a_limit_always, setup),
        cmocka_unit_test_setup(three_in_ten_seconds, setup),
        cmocka_unit_test_setup(the_window_slides, setup),
        cmocka_unit_test_setup(only_faults_count, setup),
        cmocka_unit_test_setup(a_monitors_start_clears_the_record, setup),
        cmocka_unit_test_setup(the_board_instead, setup),
        cmocka_unit_test_setup(a_watchdog_is_a_fault, setup),
        cmocka_unit_test_setup(devices_are_reset_as_the_board_says, setup),
        cmocka_unit_test_setup(states_as_in_arinc_653, setup),
        cmocka_unit_test_setup(only_what_there_is_to_do, setup),
        cmocka_unit_test_setup(numbers_are_bounded, setup),
        cmocka_unit_test_setup(others_are_refused, setup),
        cmocka_unit_test_setup(names, setup),
        cmocka_unit_test_setup(events_in_order_and_lost_ones_counted, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
