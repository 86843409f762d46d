/* SPDX-License-Identifier: Apache-2.0 */
/* tests: core/partition.c core/fault.c core/console.c core/print.c core/vuart.c ../tests/unit/fake.c */
#include "fake.h"

#include <hv/arch.h>
#include <hv/fault.h>
#include <hv/partition.h>

static jmp_buf idle;
static uint32_t waits;
static uint32_t on_wait_cpu = UINT32_MAX;

/* A core that waits: the test goes on where it called run_core(). */
void arch_wait(struct vcpu *vcpu, bool sleep)
{
    (void)sleep;
    on_wait_cpu = vcpu->cpu;
    fake_time += 100000000;
    if (++waits >= 20) {
        longjmp(idle, 1);
    }
}

/* True: the core enters its guest. False: it waits for something that does not come. */
static bool run_core(uint32_t cpu)
{
    waits = 0;
    if (setjmp(idle) != 0) {
        return false;
    }
    vcpu_wait(arch_vcpu(cpu));
    return true;
}

static void boot(void)
{
    for (uint32_t cpu = 0; cpu < layout.cpu_count; cpu++) {
        vcpu_init(arch_vcpu(cpu), cpu);
        memset(arch_vcpu(cpu)->partition, 0, sizeof(struct partition));
    }
    partition_start_all();
    assert_false(run_core(1));
    assert_true(run_core(0));
    assert_true(run_core(2));
    assert_true(run_core(3));
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    boot();
    fake_reset();
    return 0;
}

static void first_vcpus_start_where_the_layout_says(void **state)
{
    (void)state;
    assert_int_equal(arch_vcpu(0)->entry, 0x40200000);
    assert_int_equal(arch_vcpu(0)->context, 0x40000000);
    assert_int_equal(arch_vcpu(0)->run, VCPU_ON);
    assert_int_equal(arch_vcpu(1)->run, VCPU_OFF);
    assert_int_equal(arch_vcpu(2)->entry, 0x40080000);
}

static void cpu_on_starts_the_second(void **state)
{
    (void)state;
    assert_true(vcpu_start(arch_vcpu(1), 0x40300000, 77));
    assert_int_equal(fake_kicks[1], 1);
    assert_false(vcpu_start(arch_vcpu(1), 0x40400000, 78));
    assert_true(run_core(1));
    assert_int_equal(arch_vcpu(1)->entry, 0x40300000);
    assert_int_equal(arch_vcpu(1)->context, 77);
    assert_false(vcpu_start(arch_vcpu(1), 0x40400000, 78));
}

static void a_stop_waits_for_every_core(void **state)
{
    (void)state;
    assert_true(vcpu_start(arch_vcpu(1), 0x40300000, 0));
    assert_true(run_core(1));
    partition_request(&layout.partitions[0], REQUEST_STOP);
    assert_true(vcpu_must_halt(arch_vcpu(0)) && vcpu_must_halt(arch_vcpu(1)));
    assert_int_equal(fake_withdrawn, 1);
    assert_int_equal(fake_kicks[0], 1);
    assert_false(run_core(0));
    assert_int_equal(fake_resets, 0);
    assert_non_null(strstr(fake_out, "linux: vcpu 1 has not left the guest"));
    assert_false(run_core(1));
    assert_false(run_core(0));
    assert_int_equal(fake_resets, 1);
    assert_non_null(strstr(fake_out, "linux is stopped"));
    assert_false(vcpu_must_halt(arch_vcpu(2)));
}

static void a_restart_enters_again_at_the_entry(void **state)
{
    (void)state;
    arch_vcpu(2)->entry = 1;
    partition_request(&layout.partitions[1], REQUEST_RESTART);
    assert_true(run_core(2));
    assert_int_equal(arch_vcpu(2)->entry, 0x40080000);
    assert_int_equal(arch_vcpu(2)->context, 0x40000000);
    assert_int_equal(fake_resets, 1);
    assert_non_null(strstr(fake_out, "hello restarts"));
    assert_false(vcpu_must_halt(arch_vcpu(2)));
}

static void the_first_request_wins(void **state)
{
    (void)state;
    partition_request(&layout.partitions[1], REQUEST_STOP);
    partition_request(&layout.partitions[1], REQUEST_RESTART);
    assert_false(run_core(2));
    assert_non_null(strstr(fake_out, "hello is stopped"));
}

static void the_board_goes_off_with_the_last(void **state)
{
    (void)state;
    partition_request(&layout.partitions[1], REQUEST_OFF);
    assert_false(run_core(2));
    partition_request(&layout.partitions[2], REQUEST_OFF);
    assert_false(run_core(3));
    assert_int_equal(fake_board_offs, 0);
    partition_request(&layout.partitions[0], REQUEST_OFF);
    assert_false(run_core(1));
    assert_false(run_core(0));
    assert_int_equal(fake_board_offs, 1);
}

static void ram_is_what_the_layout_says(void **state)
{
    const struct layout_partition *config = &layout.partitions[0];

    (void)state;
    assert_true(partition_owns_ram(config, (ipa_t){ 0x40000000 }, 0x10000000));
    assert_false(partition_owns_ram(config, (ipa_t){ 0x40000000 }, 0x10000001));
    assert_true(partition_owns_ram(config, (ipa_t){ 0x80000000 }, 0x1000));
    assert_false(partition_owns_ram(config, (ipa_t){ 0x3fffffff }, 2));
    assert_false(partition_owns_ram(config, (ipa_t){ UINT64_MAX }, 2));
    assert_false(partition_owns_ram(config, (ipa_t){ 0x80000000 }, UINT64_MAX));
}

/* ---------------------------------------------------------------- fault reports */

static void fault_at(uint32_t cpu, uint64_t address)
{
    const struct fault fault = { .what = "write to", .has_address = true, .address = { address }, .size = 4,
                                 .has_value = true, .value = 0xbad, .pc = 0x40081000, .syndrome = 0x93810046 };

    fault_report(arch_vcpu(cpu), &fault);
}

static void a_fault_names_everything(void **state)
{
    (void)state;
    fault_at(2, 0x9010004);
    assert_non_null(strstr(fake_out, "FAULT hello, vcpu 0: write to 0x9010004 (4 bytes), value 0xbad, "
                                     "pc 0x40081000, syndrome 0x93810046\r\n"));
    assert_non_null(strstr(fake_out, "there lies /pl031@9010000, which system.yaml:18 gives to hello"));
    assert_non_null(strstr(fake_out, "on-fault: it is restarted"));
    assert_true(vcpu_must_halt(arch_vcpu(2)));
}

static void the_innermost_device_is_named(void **state)
{
    (void)state;
    fault_at(2, 0xa000210);
    assert_non_null(strstr(fake_out, "/bus@a000000/slot@200, which system.yaml:9 gives to linux"));
}

static void an_empty_place_is_said(void **state)
{
    (void)state;
    fault_at(0, 0x90000000);
    assert_non_null(strstr(fake_out, "nothing is mapped there"));
    assert_non_null(strstr(fake_out, "0x40000000 to 0x4fffffff (system.yaml:7)"));
    assert_non_null(strstr(fake_out, "on-fault: it is stopped"));
}

static void reset_board_resets_the_board(void **state)
{
    (void)state;
    fault_at(3, 0x0);
    assert_non_null(strstr(fake_out, "there lies /flash@0, which system.yaml gives to nobody"));
    assert_int_equal(fake_board_resets, 1);
    assert_true(vcpu_must_halt(arch_vcpu(3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(first_vcpus_start_where_the_layout_says, setup),
        cmocka_unit_test_setup(cpu_on_starts_the_second, setup),
        cmocka_unit_test_setup(a_stop_waits_for_every_core, setup),
        cmocka_unit_test_setup(a_restart_enters_again_at_the_entry, setup),
        cmocka_unit_test_setup(the_first_request_wins, setup),
        cmocka_unit_test_setup(the_board_goes_off_with_the_last, setup),
        cmocka_unit_test_setup(ram_is_what_the_layout_says, setup),
        cmocka_unit_test_setup(a_fault_names_everything, setup),
        cmocka_unit_test_setup(the_innermost_device_is_named, setup),
        cmocka_unit_test_setup(an_empty_place_is_said, setup),
        cmocka_unit_test_setup(reset_board_resets_the_board, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
