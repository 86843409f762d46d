/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/arm64/vgic.c arch/arm64/vgic_dist.c arch/arm64/vgic_redist.c arch/arm64/gicv3.c */
/* tests: arch/arm64/cpu.c arch/arm64/memory.c core/partition.c core/vuart.c ../tests/unit/machine.c */
#include "machine.h"

#include <hv/arch.h>
#include <hv/vuart.h>

#define LR_HW      (UINT64_C(1) << 61)
#define LR_GROUP1  (UINT64_C(1) << 60)
#define HCR_UIE    (UINT64_C(1) << 1)
#define IRM        (UINT64_C(1) << 40)
#define SGI(n)     ((uint64_t)(n) << 24)

static int setup(void **state)
{
    (void)state;
    machine_boot();
    for (uint32_t core = 0; core < 3; core++) {
        cpu_at(core)->vgic.enabled = 0xffff;
    }
    (void)on(0);
    return 0;
}

static bool overflowing(void)
{
    assert_int_equal((REG(S3_4_C12_C11_0) & HCR_UIE) != 0, REG(S3_0_C4_C6_0) == GIC_MASK_GUEST);
    return (REG(S3_4_C12_C11_0) & HCR_UIE) != 0;
}

/* A physical interrupt arrives at the core and is taken. */
static bool arrives(uint32_t core, uint32_t intid)
{
    machine_raise(core, intid);
    return gic_take(on(core));
}

/* ---------------------------------------------------------------- physical interrupts */

static void a_physical_interrupt_is_linked(void **state)
{
    (void)state;
    dist.priority[40] = 0x50;
    assert_true(arrives(0, 40));
    assert_int_equal(LR(0), UINT64_C(1) << 62 | LR_HW | LR_GROUP1 | UINT64_C(0x50) << 48 | UINT64_C(40) << 32 | 40);
    assert_int_equal(REG(S3_0_C12_C12_1), 40);  /* priority drop, and no deactivation: the guest's EOI does that */
    assert_int_equal(REG(S3_0_C12_C11_1), 0);
    assert_false(overflowing());
    assert_false(gic_take(on(0)));
}

static void a_ppi_takes_the_guests_priority(void **state)
{
    (void)state;
    assert_true(vgic_redist_write(on(0), GICR_SGI_BASE + GICD_IPRIORITYR + 27, 1, 0x20));
    assert_true(arrives(0, 27));
    assert_int_equal(bits(LR(0), 55, 48), 0x20);
    assert_int_equal(bits(LR(0), 41, 32), 27);
}

static void the_last_register_stays_for_overflow(void **state)
{
    static const uint32_t intids[] = { 27, 30, 40, 41 };

    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        assert_false(overflowing());
        assert_true(arrives(0, intids[i]));
    }
    assert_true(overflowing());
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal((uint32_t)LR(i), intids[i]);
    }
    /* the guest ends one; the maintenance interrupt lets the others in again */
    guest_end(guest_take());
    assert_true(arrives(0, MAINTENANCE));
    assert_false(overflowing());
    assert_true(arrives(0, 79));
    assert_true(overflowing());
}

static void one_list_register_is_enough(void **state)
{
    (void)state;
    cpu_at(0)->vgic.lr_mask = 1;
    assert_true(arrives(0, 40));
    assert_true(overflowing());
    guest_end(guest_take());
    assert_true(arrives(0, MAINTENANCE));
    assert_false(overflowing());
}

static void the_consoles_interrupt_goes_to_the_console(void **state)
{
    (void)state;
    assert_true(arrives(0, UART_INTID));
    assert_int_equal(console_input_count, 1);
    assert_int_equal(guest_take(), 1023);
    assert_int_equal(REG(S3_0_C12_C12_1), UART_INTID);
    assert_int_equal(REG(S3_0_C12_C11_1), UART_INTID);
}

static void a_kick_is_finished_and_not_the_guests(void **state)
{
    (void)state;
    assert_true(arrives(1, GIC_KICK_VIRTUAL));
    assert_int_equal(guest_take(), 1023);
    assert_int_equal(REG(S3_0_C12_C11_1), GIC_KICK_VIRTUAL);
    assert_int_equal(console_tick_count, 0);
    assert_true(arrives(0, GIC_KICK_VIRTUAL));
    assert_int_equal(console_tick_count, 1);  /* the console's core */
}

/* ---------------------------------------------------------------- SGIs */

static void sgi_to_self(void **state)
{
    (void)state;
    cpu_at(1)->vgic.priority[7] = 0x30;
    vgic_write_sgi1r(on(1), SGI(7) | 1u << 1);
    assert_int_equal(LR(0), UINT64_C(1) << 62 | LR_GROUP1 | UINT64_C(0x30) << 48 | 7);
    assert_int_equal(sgi_count, 0);
    assert_int_equal(guest_take(), 7);
    vgic_write_sgi1r(on(1), SGI(7) | 1u << 1);  /* again while active: active and pending */
    assert_int_equal(LR(0) >> 62, 3);
    guest_end(7);
    assert_int_equal(guest_take(), 7);
    guest_end(7);
    assert_int_equal(guest_take(), 1023);
}

static void the_same_sgi_twice_is_one(void **state)
{
    (void)state;
    vgic_write_sgi1r(on(0), SGI(3) | 1u);
    vgic_write_sgi1r(on(0), SGI(3) | 1u);
    assert_int_equal(guest_take(), 3);
    assert_int_equal(guest_take(), 1023);
}

static void sgi_to_another(void **state)
{
    (void)state;
    vgic_write_sgi1r(on(0), SGI(2) | 1u << 2);
    assert_int_equal(sgi_count, 1);
    assert_int_equal(machine_sgi_cores(sgis[0].value), 1u << 2);
    assert_int_equal(bits(sgis[0].value, 27, 24), GIC_KICK_VIRTUAL);
    assert_int_equal(guest_take(), 1023);
    assert_true(arrives(2, GIC_KICK_VIRTUAL));
    assert_int_equal(guest_take(), 2);
}

static void sgi_to_a_list_and_to_all_others(void **state)
{
    (void)state;
    vgic_write_sgi1r(on(0), SGI(4) | 7u);
    for (uint32_t core = 0; core < 3; core++) {
        vgic_refill(on(core));
        assert_int_equal(guest_take(), 4);
        guest_end(4);
    }
    vgic_write_sgi1r(on(1), SGI(5) | IRM | 0xffff);
    for (uint32_t core = 0; core < 3; core++) {
        vgic_refill(on(core));
        assert_int_equal(guest_take(), core == 1 ? 1023 : 5);
    }
    assert_string_equal(said, "");
}

static void foreign_targets_are_ignored_and_said_once(void **state)
{
    static const uint64_t foreign[] = { 1u << 3, 0xfff8, UINT64_C(1) << 16 | 1, UINT64_C(4) << 16 | 1,
        UINT64_C(0xff) << 16 | 1, UINT64_C(1) << 32 | 1, UINT64_C(1) << 48 | 1, UINT64_C(1) << 44 | 1,
        UINT64_C(2) << 16 | 0xffff, UINT64_C(3) << 16 | 0x8000 };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(foreign); i++) {
        vgic_write_sgi1r(on(0), SGI(1) | foreign[i]);
    }
    assert_int_equal(sgi_count, 0);
    for (uint32_t core = 0; core < CORES; core++) {
        assert_int_equal(cpu_at(core)->vgic.pending, 0);
    }
    assert_non_null(strstr(said, "linux, vcpu 0: SGI 1 to cores that it does not have"));
    assert_null(strstr(strstr(said, "SGI 1") + 1, "SGI 1"));
    vgic_write_sgi1r(on(0), SGI(6) | 0xffff);  /* its own among them are served */
    assert_int_equal(guest_take(), 6);
    assert_int_equal(sgi_count, 2);
}

static void a_partition_of_one(void **state)
{
    (void)state;
    cpu_at(5)->vgic.enabled = 0xffff;
    vgic_write_sgi1r(on(5), SGI(1) | IRM);
    assert_int_equal(guest_take(), 1023);
    vgic_write_sgi1r(on(5), SGI(1) | 1u);
    assert_int_equal(guest_take(), 1);
    assert_int_equal(sgi_count, 0);
}

static void direct_sgis_are_forwarded_to_its_cores(void **state)
{
    (void)state;
    vgic_write_sgi1r(on(3), SGI(9) | 1u << 1);
    assert_int_equal(sgi_count, 1);
    assert_int_equal(machine_sgi_cores(sgis[0].value), 1u << 4);
    assert_int_equal(bits(sgis[0].value, 27, 24), 9);
    assert_int_equal(sgis[0].value & IRM, 0);
    machine_forget();
    vgic_write_sgi1r(on(3), SGI(9) | 1u);
    assert_int_equal(machine_sgi_cores(sgis[0].value), 1u << 3);
    machine_forget();
    vgic_write_sgi1r(on(4), SGI(10) | IRM);
    assert_int_equal(sgi_count, 1);
    assert_int_equal(machine_sgi_cores(sgis[0].value), 1u << 3);
    machine_forget();
    vgic_write_sgi1r(on(3), SGI(1) | 0xfffc);
    vgic_write_sgi1r(on(3), SGI(1) | UINT64_C(1) << 48 | UINT64_C(2) << 16 | 1);  /* core 4's own affinity */
    assert_int_equal(sgi_count, 0);
}

/* Whatever the value: only the partition's own cores are ever sent to. */
static void no_value_reaches_a_stranger(void **state)
{
    uint64_t seed = 1;

    (void)state;
    for (uint32_t run = 0; run < 100000; run++) {
        uint32_t core = run % 2 == 0 ? 0 : 3, allowed = core == 0 ? 0x7 : 0x18;

        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        machine_forget();
        vgic_write_sgi1r(on(core), seed >> (run % 40u));
        for (uint32_t i = 0; i < sgi_count; i++) {
            assert_int_equal(machine_sgi_cores(sgis[i].value) & ~allowed, 0);
            assert_int_equal(sgis[i].value & IRM, 0);
        }
    }
    assert_int_equal(cpu_at(5)->vgic.pending, 0);
}

static void a_disabled_sgi_stays_pending(void **state)
{
    (void)state;
    cpu_at(0)->vgic.enabled = 0;
    vgic_write_sgi1r(on(0), SGI(8) | 1u);
    assert_int_equal(guest_take(), 1023);
    assert_true(vgic_redist_write(on(0), GICR_SGI_BASE + GICD_ISENABLER, 4, 1u << 8));
    assert_int_equal(guest_take(), 8);
}

/* More software interrupts than registers: those that did not fit follow, and none is lost. */
static void sixteen_sgis_through_four_registers(void **state)
{
    uint32_t seen = 0;

    (void)state;
    for (uint32_t sgi = 0; sgi < 16; sgi++) {
        vgic_write_sgi1r(on(0), SGI(sgi) | 1u);
    }
    assert_true(overflowing());
    for (uint32_t i = 0; i < 16; i++) {
        uint32_t intid = guest_take();

        assert_in_range(intid, 0, 15);
        seen |= 1u << intid;
        guest_end(intid);
        assert_true(arrives(0, MAINTENANCE));
    }
    assert_int_equal(seen, 0xffff);
    assert_false(overflowing());
    assert_int_equal(guest_take(), 1023);
    assert_int_equal(cpu_at(0)->vgic.pending, 0);
}

static void a_vcpu_that_is_off_gets_nothing(void **state)
{
    (void)state;
    cpu_at(1)->vcpu.run = VCPU_OFF;
    machine_forget();
    vgic_write_sgi1r(on(0), SGI(2) | 1u << 1);
    vgic_refill(on(1));
    assert_int_equal(guest_take(), 1023);
}

/* ---------------------------------------------------------------- the vUART's interrupt */

static void vuart_on(uint32_t enable)
{
    assert_true(vgic_dist_write(on(0), GICD_ISENABLER + 4, 4, enable));
    assert_true(vgic_dist_write(on(0), GICD_CTLR, 4, GICD_CTLR_G1));
}

static void line(bool level)
{
    arch_irq_line(&board_partitions[LINUX], 33, level);
}

static void the_vuarts_level_rises_and_falls(void **state)
{
    (void)state;
    vuart_on(1u << 1);
    assert_int_equal(guest_take(), 1023);
    line(true);
    assert_int_equal(LR(0), UINT64_C(1) << 62 | LR_GROUP1 | (uint64_t)GIC_DEFAULT << 48 | 33);
    line(false);  /* before the guest has taken it: gone */
    assert_int_equal(guest_take(), 1023);
    line(true);
    assert_int_equal(guest_take(), 33);
    line(false);
    guest_end(33);
    assert_int_equal(guest_take(), 1023);
}

static void the_vuarts_interrupt_needs_both_enables(void **state)
{
    (void)state;
    line(true);
    assert_int_equal(guest_take(), 1023);
    assert_true(vgic_dist_write(on(0), GICD_ISENABLER + 4, 4, 1u << 1));
    assert_int_equal(guest_take(), 1023);
    assert_true(vgic_dist_write(on(0), GICD_CTLR, 4, GICD_CTLR_G1));
    assert_int_equal(LR(0) >> 62, 1);
    assert_true(vgic_dist_write(on(0), GICD_ICENABLER + 4, 4, 1u << 1));
    assert_int_equal(guest_take(), 1023);
    assert_true(vgic_dist_write(on(0), GICD_ISENABLER + 4, 4, 1u << 1));
    assert_int_equal(guest_take(), 33);
}

static void the_vuarts_interrupt_follows_its_route(void **state)
{
    (void)state;
    vuart_on(1u << 1);
    assert_true(vgic_dist_write(on(0), GICD_IROUTER + 8u * 33u, 8, 2));
    machine_forget();
    line(true);
    assert_int_equal(guest_take(), 1023);
    assert_int_equal(sgi_count, 1);
    assert_int_equal(machine_sgi_cores(sgis[0].value), 1u << 2);
    assert_true(arrives(2, GIC_KICK_VIRTUAL));
    assert_int_equal(guest_take(), 33);
}

static void a_typed_key_reaches_the_guest(void **state)
{
    (void)state;
    vuart_on(1u << 1);
    vuart_write(LINUX, 0x38, 0x10);
    assert_true(vuart_receive(LINUX, 'k'));
    assert_int_equal(guest_take(), 33);
    assert_int_equal(vuart_read(LINUX, 0), 'k');
    guest_end(33);
    assert_int_equal(guest_take(), 1023);
}

static void a_direct_vuart_uses_the_distributor(void **state)
{
    (void)state;
    (void)on(3);
    arch_irq_line(&board_partitions[FLIGHT], 60, true);
    assert_int_equal(dist.pending[1], 1u << 28);
    arch_irq_line(&board_partitions[FLIGHT], 60, false);
    assert_int_equal(dist.pending[1], 0);
}

/* ---------------------------------------------------------------- disabled before it was taken */

static void an_edge_goes_back_to_the_gic(void **state)
{
    (void)state;
    vuart_on(1u << 8 | 1u << 9);
    dist.config[2] = 2u << 16;  /* 40: edge, 41: level */
    dist.active[1] = 1u << 8 | 1u << 9;
    assert_true(arrives(0, 40));
    assert_true(arrives(0, 41));
    assert_true(vgic_dist_write(on(0), GICD_ICENABLER + 4, 4, 1u << 8 | 1u << 9));
    assert_int_equal(guest_take(), 1023);
    assert_int_equal(dist.pending[1], 1u << 8);
    assert_int_equal(dist.active[1], 0);
    assert_int_equal(cpu_at(0)->vgic.pending, 0);
}

static void what_was_taken_stays_active(void **state)
{
    (void)state;
    vuart_on(1u << 8);
    dist.active[1] = 1u << 8;
    assert_true(arrives(0, 40));
    assert_int_equal(guest_take(), 40);
    assert_true(vgic_dist_write(on(0), GICD_ICENABLER + 4, 4, 1u << 8));
    assert_int_equal(dist.active[1], 1u << 8);
    guest_end(40);
}

static void a_disabled_sgi_waits_again(void **state)
{
    (void)state;
    vgic_write_sgi1r(on(0), SGI(8) | 1u);
    assert_true(vgic_redist_write(on(0), GICR_SGI_BASE + GICD_ICENABLER, 4, 1u << 8));
    assert_int_equal(guest_take(), 1023);
    assert_true(vgic_redist_write(on(0), GICR_SGI_BASE + GICD_ISENABLER, 4, 1u << 8));
    assert_int_equal(guest_take(), 8);
}

static void a_disabled_vuart_makes_no_sgi(void **state)
{
    (void)state;
    vuart_on(1u << 1);
    line(true);
    assert_true(vgic_dist_write(on(0), GICD_ICENABLER + 4, 4, UINT32_MAX));
    assert_int_equal(guest_take(), 1023);
    assert_int_equal(cpu_at(0)->vgic.pending & 0xffffu, 0);
    vgic_refill(on(0));
    assert_int_equal(guest_take(), 1023);
    assert_true(vgic_dist_write(on(0), GICD_ISENABLER + 4, 4, 1u << 1));
    assert_int_equal(guest_take(), 33);
}

/* ---------------------------------------------------------------- reset */

static void a_reset_takes_everything_back(void **state)
{
    (void)state;
    vuart_on(UINT32_MAX);
    assert_true(vgic_dist_write(on(0), GICD_ISENABLER + 8, 4, UINT32_MAX));
    assert_true(vgic_dist_write(on(0), GICD_IROUTER + 8u * 40u, 8, 2));
    assert_true(vgic_redist_write(on(1), STRIDE + GICR_SGI_BASE + GICD_ISENABLER, 4, UINT32_MAX));
    line(true);
    dist.pending[1] = dist.active[1] = UINT32_MAX;
    arch_partition_reset(&board_partitions[LINUX]);
    for (uint32_t word = 1; word < 32; word++) {
        assert_int_equal(dist.enable[word] & board_partitions[LINUX].spi[word], 0);
    }
    assert_int_equal(dist.pending[1], ~board_partitions[LINUX].spi[1]);
    assert_int_equal(dist.active[1], ~board_partitions[LINUX].spi[1]);
    assert_int_equal(gic_route[40], 0);
    assert_int_equal(dist.priority[40], GIC_DEFAULT);
    arch_vcpu_reset(arch_vcpu(1));
    (void)on(0);
    arch_vcpu_reset(arch_vcpu(0));
    assert_int_equal(guest_take(), 1023);
    line(false);
    line(true);
    assert_int_equal(guest_take(), 1023);  /* disabled again */
}

static void a_core_reset_empties_its_registers(void **state)
{
    (void)state;
    assert_true(arrives(0, 40));
    assert_true(arrives(0, 27));
    private_bank[0].enable[0] |= 1u << 27 | 1u << 30;
    REG(S3_4_C12_C11_7) = 0xff;
    arch_vcpu_reset(arch_vcpu(0));
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(LR(i), 0);
    }
    assert_int_equal(REG(S3_4_C12_C11_7), 0);
    assert_int_equal(cpu_at(0)->vgic.enabled, 0);
    assert_int_equal(private_bank[0].enable[0] & (1u << 27 | 1u << 30), 0);
    assert_int_equal(private_bank[0].enable[0] & 1u, 1);  /* the kick */
}

static void a_direct_core_is_reset_to_the_architectures_state(void **state)
{
    (void)state;
    (void)on(4);
    private_bank[4].enable[0] = UINT32_MAX;
    REG(S3_0_C12_C12_7) = 1;
    REG(S3_0_C4_C6_0) = 0xf0;
    arch_vcpu_reset(arch_vcpu(4));
    assert_int_equal(private_bank[4].enable[0], ~(1u << 27 | 0xffffu));
    assert_int_equal(REG(S3_0_C12_C12_7), 0);
    assert_int_equal(REG(S3_0_C4_C6_0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_physical_interrupt_is_linked, setup),
        cmocka_unit_test_setup(a_ppi_takes_the_guests_priority, setup),
        cmocka_unit_test_setup(the_last_register_stays_for_overflow, setup),
        cmocka_unit_test_setup(one_list_register_is_enough, setup),
        cmocka_unit_test_setup(the_consoles_interrupt_goes_to_the_console, setup),
        cmocka_unit_test_setup(a_kick_is_finished_and_not_the_guests, setup),
        cmocka_unit_test_setup(sgi_to_self, setup),
        cmocka_unit_test_setup(the_same_sgi_twice_is_one, setup),
        cmocka_unit_test_setup(sgi_to_another, setup),
        cmocka_unit_test_setup(sgi_to_a_list_and_to_all_others, setup),
        cmocka_unit_test_setup(foreign_targets_are_ignored_and_said_once, setup),
        cmocka_unit_test_setup(a_partition_of_one, setup),
        cmocka_unit_test_setup(direct_sgis_are_forwarded_to_its_cores, setup),
        cmocka_unit_test_setup(no_value_reaches_a_stranger, setup),
        cmocka_unit_test_setup(a_disabled_sgi_stays_pending, setup),
        cmocka_unit_test_setup(sixteen_sgis_through_four_registers, setup),
        cmocka_unit_test_setup(a_vcpu_that_is_off_gets_nothing, setup),
        cmocka_unit_test_setup(the_vuarts_level_rises_and_falls, setup),
        cmocka_unit_test_setup(the_vuarts_interrupt_needs_both_enables, setup),
        cmocka_unit_test_setup(the_vuarts_interrupt_follows_its_route, setup),
        cmocka_unit_test_setup(a_typed_key_reaches_the_guest, setup),
        cmocka_unit_test_setup(a_direct_vuart_uses_the_distributor, setup),
        cmocka_unit_test_setup(an_edge_goes_back_to_the_gic, setup),
        cmocka_unit_test_setup(what_was_taken_stays_active, setup),
        cmocka_unit_test_setup(a_disabled_sgi_waits_again, setup),
        cmocka_unit_test_setup(a_disabled_vuart_makes_no_sgi, setup),
        cmocka_unit_test_setup(a_reset_takes_everything_back, setup),
        cmocka_unit_test_setup(a_core_reset_empties_its_registers, setup),
        cmocka_unit_test_setup(a_direct_core_is_reset_to_the_architectures_state, setup),
    };

    return cmocka_run_group_tests_name("vgic", tests, NULL, NULL);
}
