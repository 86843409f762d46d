/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/arm64/boot.c arch/arm64/efi_refusal.c arch/arm64/cpu.c arch/arm64/gicv3.c */
/* tests: arch/arm64/vgic.c arch/arm64/memory.c core/main.c core/partition.c core/vuart.c */
/* tests: ../tests/unit/machine.c */
#include "machine.h"

#include <arch/arm64/init.h>
#include <arch/arm64/psci.h>
#include <hv/arch.h>
#include <hv/board_check.h>
#include <hv/console.h>
#include <hv/efi.h>
#include <hv/main.h>

extern void secondary_entry(void);

static const char *order[8];
static uint32_t order_count;
static uint64_t dtb[8], checked_mpidr;
static uint32_t input_on;

static void note(const char *step)
{
    assert_true(order_count < ARRAY_COUNT(order));
    order[order_count++] = step;
}

void secondary_entry(void) { }
void console_init(void) { note("console"); }
static const void *checked_tree;

void console_share(void) { note("share"); }
void console_input_on(void) { input_on++; }
void board_check_tables(void) { note("tables"); }

void board_check_devicetree(const void *tree, uint64_t mpidr)
{
    checked_tree = tree;
    checked_mpidr = mpidr;
    note("devicetree");
}

static int setup(void **state)
{
    (void)state;
    machine_reset();
    order_count = input_on = 0;
    return 0;
}

static void assert_order(uint32_t count, const char *const *expected)
{
    assert_int_equal(order_count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_string_equal(order[i], expected[i]);
    }
}

static void the_console_comes_first(void **state)
{
    (void)state;
    (void)on(1);
    boot_early(dtb);
    assert_order(3, (const char *const[]){ "console", "tables", "devicetree" });
    assert_int_equal(checked_mpidr, 1);
    assert_ptr_equal(checked_tree, dtb);
    order_count = 0;
    boot_early(MAIN_CHECKED);  /* started by UEFI: its memory map was looked at instead */
    assert_order(2, (const char *const[]){ "console", "tables" });
    order_count = 0;
    boot_early(NULL);  /* no devicetree is not a reason to look away */
    assert_order(3, (const char *const[]){ "console", "tables", "devicetree" });
    assert_null(checked_tree);
}

static void another_layout_is_refused(void **state)
{
    (void)state;
    board.magic ^= 1;
    expect_halt(boot_early(dtb));
    assert_order(1, (const char *const[]){ "console" });
    assert_non_null(strstr(said, "the image holds no layout of version 1"));
    board.magic ^= 1;
    board.version = 2;
    expect_halt(boot_early(dtb));
}

static void the_wrong_cpu_is_refused(void **state)
{
    (void)state;
    REG(CurrentEL) = 1u << 2;
    expect_halt(boot_early(dtb));
    assert_non_null(strstr(said, "entered at EL1: Bulkhead must be started at EL2"));
    machine_reset();
    order_count = 0;
    board.pa_bits = 48;
    REG(id_aa64mmfr0_el1) = 0x4;
    expect_halt(boot_early(dtb));
    assert_non_null(strstr(said, "this CPU has 44 physical address bits, the layout needs 48"));
    machine_reset();
    order_count = 0;
    REG(id_aa64mmfr0_el1) = 0xf0000005;
    expect_halt(boot_early(dtb));
    assert_non_null(strstr(said, "no 4 KiB translation granule"));
    machine_reset();
    order_count = 0;
    REG(id_aa64pfr0_el1) = 0;
    expect_halt(boot_early(dtb));
    assert_non_null(strstr(said, "no GICv3 interface"));
}

static void one_list_register_is_not_enough(void **state)
{
    (void)state;
    REG(S3_4_C12_C11_1) = 0;
    expect_halt(boot_early(dtb));
    assert_non_null(strstr(said, "one list register"));
}

static void every_size_of_physical_address(void **state)
{
    static const uint32_t width[] = { 32, 36, 40, 42, 44, 48, 52, 56 };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(width); i++) {
        order_count = 0;
        REG(id_aa64mmfr0_el1) = i;
        board.pa_bits = width[i];
        boot_early(dtb);
        order_count = 0;
        board.pa_bits = width[i] + 1;
        expect_halt(boot_early(dtb));
    }
}

static void first_core(struct cpu *unused, uint64_t core)
{
    (void)unused;
    boot_first_core((uint32_t)core);
}

static void other_core(struct cpu *unused, uint64_t core)
{
    (void)unused;
    boot_other_core((uint32_t)core);
}

static void the_first_core_starts_the_others(void **state)
{
    (void)state;
    board.console_cpu = 5;
    assert_true(comes_back(first_core, on(5), 5));
    assert_int_equal(machine_firmware_count, CORES - 1);
    for (uint32_t i = 0; i < machine_firmware_count; i++) {
        assert_int_equal(machine_firmware[i], PSCI_CPU_ON | SMC64);
    }
    assert_int_equal(input_on, 1);
    assert_int_equal(REG(vttbr_el2), board_partitions[SPARE].vttbr);
    assert_int_equal(REG(vmpidr_el2), 0x80000000);
    assert_int_equal(REG(elr_el2), 0x40008000);
    assert_false(comes_back(other_core, on(1), 1));  /* a second vcpu waits for its CPU_ON */
    assert_false(comes_back(other_core, on(2), 2));
    assert_true(comes_back(other_core, on(0), 0));   /* the first one starts once the others are up */
    assert_int_equal(input_on, 1);
    assert_int_equal(copy_count, 1);
}

static void a_core_that_has_no_vcpu_starts_them_too(void **state)
{
    (void)state;
    (void)on(0);
    REG(mpidr_el1) = 0x80000300;
    assert_false(comes_back(first_core, on(0), CORES));
    assert_int_equal(machine_firmware_count, CORES);
}

static void a_core_that_firmware_refuses_is_named(void **state)
{
    (void)state;
    machine_firmware_answer = PSCI_ALREADY_ON;
    (void)on(0);
    expect_halt(arch_start_cores());
    assert_non_null(strstr(said, "the firmware refused to start the core with MPIDR 0x1 for linux: PSCI error -4"));
}

static void each_core_has_its_partitions_controls(void **state)
{
    (void)state;
    (void)on(0);
    assert_int_equal(REG(hcr_el2) & (HCR_VM | HCR_IMO | HCR_FMO | HCR_TSC), HCR_VM | HCR_IMO | HCR_FMO | HCR_TSC);
    assert_int_equal(cpu_at(0)->sgi_forbidden, UINT64_MAX);
    (void)on(3);
    assert_int_equal(REG(hcr_el2) & (HCR_VM | HCR_IMO | HCR_FMO), HCR_VM);
    assert_int_equal(REG(S3_4_C12_C11_0), 1u << 10);  /* ICH_HCR_EL2.TC: SGI writes trap */
    assert_int_equal(REG(vmpidr_el2), 0x80000000);
    (void)on(4);
    assert_int_equal(REG(vmpidr_el2), 0x80000001);
    assert_int_equal(REG(vttbr_el2), board_partitions[FLIGHT].vttbr);
}

static void a_regular_direct_partition_sends_sgis_by_itself(void **state)
{
    (void)state;
    board_partitions[FLIGHT].sgi = (struct layout_sgi){ .base = 0x10000, .mask = 3, .shift = 4 };
    (void)on(3);
    cpu_init(3);
    assert_int_equal(cpu_at(3)->sgi_forbidden, ~UINT64_C(0x0f000003));
    assert_int_equal(cpu_at(3)->sgi_base, 0x10000);
    assert_int_equal(cpu_at(3)->sgi_shift, 4);
}

static void extensions_are_opened(void **state)
{
    (void)state;
    (void)on(0);
    REG(id_aa64pfr0_el1) |= UINT64_C(1) << 32;                         /* SVE */
    REG(id_aa64pfr1_el1) = UINT64_C(2) << 8 | UINT64_C(1) << 24;       /* MTE2, SME */
    REG(id_aa64mmfr0_el1) |= UINT64_C(1) << 56;                        /* FGT */
    REG(id_aa64mmfr1_el1) = UINT64_C(1) << 40;                         /* HCX */
    REG(S3_4_C1_C1_4) = UINT64_MAX;
    cpu_init(0);
    assert_int_equal(REG(S3_4_C1_C2_0), 0x1ff);
    assert_int_equal(REG(hcr_el2) & HCR_ATA, HCR_ATA);
    assert_int_equal(REG(S3_4_C1_C1_4), UINT64_C(0x00c0000000000000));
    assert_int_equal(REG(cptr_el2), CPTR_NO_TRAPS);
}

static void a_gic_that_does_not_answer(void **state)
{
    (void)state;
    dist_stuck = true;
    (void)on(0);
    expect_halt(gic_init());
    assert_non_null(strstr(said, "the GIC's distributor has not answered for 100 ms"));
}

static void the_redistributor_of_another_core_is_named(void **state)
{
    (void)state;
    (void)on(1);
    board_cpus[1].redist.raw = REDIST;
    expect_halt(cpu_init(1));
    assert_non_null(strstr(said, "the redistributor at 0x80a0000 is not the one of the core with MPIDR 0x1"));
}

static void the_consoles_interrupt_goes_to_its_core(void **state)
{
    (void)state;
    board.console_cpu = 2;
    (void)on(0);
    dist.group[1] = dist.group[31] = 0;
    gic_init();
    assert_int_equal(gic_route[UART_INTID], 0x100);
    assert_int_equal(dist.enable[1], 1u << (UART_INTID - 32));
    assert_int_equal(dist.priority[UART_INTID], 0);
    assert_int_equal(dist.group[1], UINT32_MAX);
    assert_int_equal(dist.group[31], UINT32_MAX);
    dist.enable[1] = dist.enable[5] = UINT32_MAX;
    board.console_irq = 0;
    gic_init();
    assert_int_equal(dist.enable[1], 0);
    assert_int_equal(dist.enable[5], 0);
}

static void the_alarm_is_a_time_from_now(void **state)
{
    (void)state;
    (void)on(0);
    machine_ticks = 5000;
    arch_alarm(1000000);  /* 1 ms at 1 MHz */
    assert_in_range(REG(cnthp_cval_el2), 6000, 6050);
    assert_int_equal(REG(cnthp_ctl_el2), 1);
    arch_alarm(0);
    assert_int_equal(REG(cnthp_ctl_el2), 0);
}

static void time_in_nanoseconds(void **state)
{
    uint64_t ns;

    (void)state;
    (void)on(0);
    REG(cntfrq_el0) = 62500000;
    machine_ticks = UINT64_C(62500000) * 86400 * 365 * 10;  /* ten years */
    ns = arch_time_ns();
    assert_in_range(ns, UINT64_C(315360000000000000), UINT64_C(315360000000001000));
    REG(cntfrq_el0) = 0;
    (void)arch_time_ns();
}

static void a_kick_wakes_and_regains(void **state)
{
    (void)state;
    (void)on(0);
    arch_kick(1);
    assert_int_equal(sgi_count, 1);
    assert_int_equal(machine_sgi_cores(sgis[0].value), 1u << 1);
    machine_forget();
    cpu_at(3)->vcpu.partition->request = REQUEST_NONE;
    arch_kick(3);  /* direct, nothing asked: only those that wait in EL2 */
    assert_int_equal(sgi_count, 0);
    assert_true(machine_did("sev"));
    partition_request(&board_partitions[FLIGHT], REQUEST_STOP);
    assert_int_equal(sgi_count, 2);
    assert_int_equal(machine_sgi_cores(sgis[0].value) | machine_sgi_cores(sgis[1].value), 3u << 3);
    assert_int_equal(bits(sgis[0].value, 27, 24), GIC_KICK_DIRECT);
    assert_int_equal(private_bank[3].enable[0] & (1u << GIC_KICK_DIRECT), 1u << GIC_KICK_DIRECT);
    assert_int_equal(private_bank[3].priority[GIC_KICK_DIRECT], 0);
}

static void uefi_at_el1_is_refused(void **state)
{
    (void)state;
    (void)on(0);
    assert_null(efi_refusal());
    REG(CurrentEL) = 1u << 2;
    assert_non_null(strstr(efi_refusal(), "EL2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_console_comes_first, setup),
        cmocka_unit_test_setup(another_layout_is_refused, setup),
        cmocka_unit_test_setup(the_wrong_cpu_is_refused, setup),
        cmocka_unit_test_setup(one_list_register_is_not_enough, setup),
        cmocka_unit_test_setup(every_size_of_physical_address, setup),
        cmocka_unit_test_setup(the_first_core_starts_the_others, setup),
        cmocka_unit_test_setup(a_core_that_has_no_vcpu_starts_them_too, setup),
        cmocka_unit_test_setup(a_core_that_firmware_refuses_is_named, setup),
        cmocka_unit_test_setup(each_core_has_its_partitions_controls, setup),
        cmocka_unit_test_setup(a_regular_direct_partition_sends_sgis_by_itself, setup),
        cmocka_unit_test_setup(extensions_are_opened, setup),
        cmocka_unit_test_setup(a_gic_that_does_not_answer, setup),
        cmocka_unit_test_setup(the_redistributor_of_another_core_is_named, setup),
        cmocka_unit_test_setup(the_consoles_interrupt_goes_to_its_core, setup),
        cmocka_unit_test_setup(the_alarm_is_a_time_from_now, setup),
        cmocka_unit_test_setup(time_in_nanoseconds, setup),
        cmocka_unit_test_setup(a_kick_wakes_and_regains, setup),
        cmocka_unit_test_setup(uefi_at_el1_is_refused, setup),
    };

    return cmocka_run_group_tests_name("boot", tests, NULL, NULL);
}
