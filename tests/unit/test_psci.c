/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/arm64/psci.c arch/arm64/cpu.c arch/arm64/gicv3.c arch/arm64/vgic.c arch/arm64/memory.c */
/* tests: core/partition.c core/vuart.c ../tests/unit/machine.c */
#include "machine.h"

#include <arch/arm64/psci.h>
#include <hv/arch.h>

#define ENTRY  UINT64_C(0x40009000)

uint64_t firmware_call_by_smc(uint64_t function, uint64_t a, uint64_t b, uint64_t c);

static int setup(void **state)
{
    (void)state;
    machine_boot();
    return 0;
}

static uint64_t call(uint32_t core, uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
    struct cpu *cpu = on(core);

    cpu->x[0] = function;
    cpu->x[1] = a;
    cpu->x[2] = b;
    cpu->x[3] = c;
    psci_call(cpu);
    return cpu->x[0];
}

static void psci(struct cpu *cpu, uint64_t unused)
{
    (void)unused;
    psci_call(cpu);
}

/* CPU_OFF: the core does not come back. */
static void switch_off(uint32_t core)
{
    struct cpu *cpu = on(core);

    cpu->x[0] = PSCI_CPU_OFF;
    assert_false(comes_back(psci, cpu, 0));
    assert_int_equal(cpu->vcpu.run, VCPU_OFF);
}

static void cpu_on_of_one_that_is_off(void **state)
{
    (void)state;
    switch_off(1);
    machine_forget();
    assert_int_equal(call(0, PSCI_CPU_ON | SMC64, 1, ENTRY, UINT64_C(0x1122334455667788)), PSCI_SUCCESS);
    assert_int_equal(arch_vcpu(1)->run, VCPU_ON_PENDING);
    assert_int_equal(sgi_count, 1);
    assert_int_equal(machine_sgi_cores(sgis[0].value), 1u << 1);
    assert_int_equal(bits(sgis[0].value, 27, 24), GIC_KICK_VIRTUAL);

    assert_true(core_runs(1));
    assert_int_equal(REG(elr_el2), ENTRY);
    assert_int_equal(cpu_at(1)->x[0], UINT64_C(0x1122334455667788));
    assert_int_equal(REG(spsr_el2), SPSR_EL1H_MASKED);
    for (uint32_t i = 1; i < 31; i++) {
        assert_int_equal(cpu_at(1)->x[i], 0);
    }
}

static void cpu_on_of_one_that_is_on(void **state)
{
    (void)state;
    assert_int_equal(call(0, PSCI_CPU_ON | SMC64, 1, ENTRY, 0), PSCI_ALREADY_ON);
    assert_int_equal(call(0, PSCI_CPU_ON | SMC64, 0, ENTRY, 0), PSCI_ALREADY_ON);
    switch_off(1);
    assert_int_equal(call(0, PSCI_CPU_ON | SMC64, 1, ENTRY, 0), PSCI_SUCCESS);
    assert_int_equal(call(2, PSCI_CPU_ON | SMC64, 1, ENTRY + 4, 1), PSCI_ON_PENDING);
    assert_int_equal(arch_vcpu(1)->entry, ENTRY);
}

static void cpu_on_refuses_cores_of_others(void **state)
{
    static const uint64_t foreign[] = { 3, 4, 0x100, 0x101, 0x201, UINT64_C(0x100000200), UINT64_C(0x100000000),
                                        UINT64_C(0x80000001), UINT64_MAX, UINT32_MAX };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(foreign); i++) {
        assert_int_equal(call(0, PSCI_CPU_ON | SMC64, foreign[i], ENTRY, 0), PSCI_INVALID_PARAMETERS);
        assert_int_equal(call(5, PSCI_CPU_ON | SMC64, foreign[i], ENTRY, 0), PSCI_INVALID_PARAMETERS);
    }
    assert_int_equal(call(5, PSCI_CPU_ON | SMC64, 1, ENTRY, 0), PSCI_INVALID_PARAMETERS);
    for (uint32_t core = 0; core < CORES; core++) {
        assert_int_equal(arch_vcpu(core)->run, VCPU_ON);
    }
    assert_int_equal(sgi_count, 0);
}

static void cpu_on_refuses_entries_outside_ram(void **state)
{
    static const uint64_t bad[] = { 0, 0x3ffffffc, 0x40010000, 0x4000fffe, 0x40009001, 0x40009002, 0x80001000,
                                    0x50000000, VUART_BASE, DIST, UINT64_MAX - 3, UINT64_C(1) << 63 };

    (void)state;
    switch_off(1);
    for (uint32_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(call(0, PSCI_CPU_ON | SMC64, 1, bad[i], 0), PSCI_INVALID_ADDRESS);
    }
    assert_int_equal(arch_vcpu(1)->run, VCPU_OFF);
    assert_int_equal(call(0, PSCI_CPU_ON | SMC64, 1, 0x4000fffc, 0), PSCI_SUCCESS);
}

static void cpu_on_by_smc32_takes_words(void **state)
{
    (void)state;
    switch_off(2);
    assert_int_equal(call(0, PSCI_CPU_ON, UINT64_C(0xffffffff00000002), UINT64_C(0xffffffff40009000),
                          UINT64_C(0xffffffff00000007)), PSCI_SUCCESS);
    assert_int_equal(arch_vcpu(2)->entry, ENTRY);
    assert_int_equal(arch_vcpu(2)->context, 7);
    switch_off(1);
    assert_int_equal(call(0, PSCI_CPU_ON | SMC64, UINT64_C(0xffffffff00000001), ENTRY, 0), PSCI_INVALID_PARAMETERS);
}

static void affinity_info_follows_the_vcpu(void **state)
{
    (void)state;
    assert_int_equal(call(0, PSCI_AFFINITY_INFO | SMC64, 1, 0, 0), 0);
    switch_off(1);
    assert_int_equal(call(0, PSCI_AFFINITY_INFO | SMC64, 1, 0, 0), 1);
    assert_int_equal(call(0, PSCI_AFFINITY_INFO, 1, 0, 0), 1);
    assert_int_equal(call(0, PSCI_CPU_ON | SMC64, 1, ENTRY, 0), PSCI_SUCCESS);
    assert_int_equal(call(0, PSCI_AFFINITY_INFO | SMC64, 1, 0, 0), 2);
    assert_true(core_runs(1));
    assert_int_equal(call(0, PSCI_AFFINITY_INFO | SMC64, 1, 0, 0), 0);
}

static void affinity_info_refuses_what_it_has_not(void **state)
{
    (void)state;
    assert_int_equal(call(0, PSCI_AFFINITY_INFO | SMC64, 3, 0, 0), PSCI_INVALID_PARAMETERS);
    assert_int_equal(call(0, PSCI_AFFINITY_INFO | SMC64, 0x101, 0, 0), PSCI_INVALID_PARAMETERS);
    for (uint64_t level = 1; level < 5; level++) {
        assert_int_equal(call(0, PSCI_AFFINITY_INFO | SMC64, 0, level, 0), PSCI_INVALID_PARAMETERS);
    }
    assert_int_equal(call(0, PSCI_AFFINITY_INFO | SMC64, 0, UINT64_C(1) << 32, 0), PSCI_INVALID_PARAMETERS);
}

static void suspend_is_standby(void **state)
{
    (void)state;
    assert_int_equal(call(0, PSCI_CPU_SUSPEND | SMC64, 0x10000, ENTRY, 0), PSCI_SUCCESS);
    assert_int_equal(call(0, PSCI_CPU_SUSPEND, 0, 0, 0), PSCI_SUCCESS);
    assert_int_equal(instruction_count, 2);
    assert_true(machine_did("wfi"));
    assert_int_equal(arch_vcpu(0)->run, VCPU_ON);
}

static void features_name_what_there_is(void **state)
{
    static const uint32_t there[] = { PSCI_VERSION, PSCI_CPU_SUSPEND, PSCI_CPU_SUSPEND | SMC64, PSCI_CPU_OFF,
        PSCI_CPU_ON, PSCI_CPU_ON | SMC64, PSCI_AFFINITY_INFO, PSCI_AFFINITY_INFO | SMC64, PSCI_MIGRATE_TYPE,
        PSCI_SYSTEM_OFF, PSCI_SYSTEM_RESET, PSCI_FEATURES, SMCCC_VERSION };

    (void)state;
    for (uint32_t function = 0; function < 0x20; function++) {
        for (uint32_t wide = 0; wide < 2; wide++) {
            uint32_t id = PSCI_VERSION + function + (wide != 0 ? SMC64 : 0);
            bool expected = false;

            for (uint32_t i = 0; i < ARRAY_COUNT(there); i++) {
                expected = expected || there[i] == id;
            }
            assert_int_equal(call(0, PSCI_FEATURES, id, 0, 0), expected ? PSCI_SUCCESS : PSCI_NOT_SUPPORTED);
        }
    }
    assert_int_equal(call(0, PSCI_FEATURES, SMCCC_VERSION, 0, 0), PSCI_SUCCESS);
    assert_int_equal(call(0, PSCI_FEATURES, UINT64_C(0xffffffff00000000) | PSCI_CPU_OFF, 0, 0), PSCI_SUCCESS);
}

static void smccc_and_migration(void **state)
{
    (void)state;
    assert_int_equal(call(0, PSCI_MIGRATE_TYPE, 0, 0, 0), 2);
    assert_int_equal(call(0, SMCCC_ARCH_FEATURES, SMCCC_ARCH_FEATURES, 0, 0), PSCI_SUCCESS);
    assert_int_equal(call(0, SMCCC_ARCH_FEATURES, SMCCC_VERSION, 0, 0), PSCI_SUCCESS);
    assert_int_equal(call(0, SMCCC_ARCH_FEATURES, 0x80008000, 0, 0), PSCI_NOT_SUPPORTED);
}

static void other_functions_reach_nobody(void **state)
{
    static const uint32_t other[] = { PSCI_SYSTEM_RESET2, PSCI_SYSTEM_RESET2 | SMC64, 0x84000005, 0xc4000005,
        0x8400000b, 0x8400000d, 0x84000014, 0, 1, 0x80000002, 0x82000000, 0xb2000000, 0xbf00ff01, UINT32_MAX,
        PSCI_CPU_OFF | SMC64, PSCI_SYSTEM_OFF | SMC64, PSCI_FEATURES | SMC64, PSCI_MIGRATE_TYPE | SMC64 };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(other); i++) {
        assert_int_equal(call(0, other[i], 0, 0, 0), PSCI_NOT_SUPPORTED);
    }
    assert_int_equal(smc_count, 0);
    assert_int_equal(machine_firmware_count, 0);
}

static void system_off_is_the_partitions(void **state)
{
    (void)state;
    switch_off(1);
    switch_off(2);
    (void)on(0);
    cpu_at(0)->x[0] = PSCI_SYSTEM_OFF;
    assert_false(comes_back(psci, cpu_at(0), 0));
    for (uint32_t core = 1; core < 3; core++) {  /* the others leave the guest at the kick and are counted */
        assert_false(core_runs(core));
    }
    assert_false(core_runs(0));
    assert_non_null(strstr(said, "linux is off"));
    assert_int_equal(arch_vcpu(0)->partition->run, PARTITION_OFF);
    assert_int_equal(arch_vcpu(3)->partition->run, PARTITION_RUNNING);
    assert_int_equal(machine_firmware_count, 0);
}

static void system_reset_starts_afresh(void **state)
{
    struct cpu *cpu;

    (void)state;
    cpu = on(5);
    cpu->x[19] = 5;
    cpu->x[0] = PSCI_SYSTEM_RESET;
    assert_true(comes_back(psci, cpu, 0));
    assert_non_null(strstr(said, "spare restarts"));
    assert_int_equal(cpu->x[0], 0x40000000);
    assert_int_equal(cpu->x[19], 0);
    assert_int_equal(REG(elr_el2), 0x40008000);
    assert_int_equal(cpu->vcpu.partition->start_count, 2);
    assert_true(machine_did("dc zva"));
    assert_int_equal(REG(ttbr0_el2), board.el2_ttbr);
}

static void all_partitions_off_switch_the_board_off(void **state)
{
    static const uint32_t order[] = { 5, 4, 3, 2, 1, 0 };

    (void)state;
    partition_request(&board_partitions[LINUX], REQUEST_OFF);
    partition_request(&board_partitions[FLIGHT], REQUEST_OFF);
    partition_request(&board_partitions[SPARE], REQUEST_OFF);
    for (uint32_t i = 0; i < ARRAY_COUNT(order); i++) {
        assert_int_equal(machine_firmware_count, 0);
        assert_false(core_runs(order[i]));
    }
    assert_int_equal(machine_firmware_count, 1);
    assert_int_equal(machine_firmware[0], PSCI_SYSTEM_OFF);
}

static void firmware_is_called_by_its_conduit(void **state)
{
    (void)state;
    (void)firmware_call_by_smc(PSCI_VERSION, 0, 0, 0);
    assert_int_equal(smc_count, 1);
    board.conduit = LAYOUT_CONDUIT_NONE;
    assert_int_equal(firmware_call_by_smc(PSCI_VERSION, 0, 0, 0), PSCI_NOT_SUPPORTED);
    assert_int_equal(smc_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(cpu_on_of_one_that_is_off, setup),
        cmocka_unit_test_setup(cpu_on_of_one_that_is_on, setup),
        cmocka_unit_test_setup(cpu_on_refuses_cores_of_others, setup),
        cmocka_unit_test_setup(cpu_on_refuses_entries_outside_ram, setup),
        cmocka_unit_test_setup(cpu_on_by_smc32_takes_words, setup),
        cmocka_unit_test_setup(affinity_info_follows_the_vcpu, setup),
        cmocka_unit_test_setup(affinity_info_refuses_what_it_has_not, setup),
        cmocka_unit_test_setup(suspend_is_standby, setup),
        cmocka_unit_test_setup(features_name_what_there_is, setup),
        cmocka_unit_test_setup(smccc_and_migration, setup),
        cmocka_unit_test_setup(other_functions_reach_nobody, setup),
        cmocka_unit_test_setup(system_off_is_the_partitions, setup),
        cmocka_unit_test_setup(system_reset_starts_afresh, setup),
        cmocka_unit_test_setup(all_partitions_off_switch_the_board_off, setup),
        cmocka_unit_test_setup(firmware_is_called_by_its_conduit, setup),
    };

    return cmocka_run_group_tests_name("psci", tests, NULL, NULL);
}
