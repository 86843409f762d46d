/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/arm64/wait.c */
/* tests: arch/arm64/pool.c arch/arm64/exits.c arch/arm64/traps.c arch/arm64/psci.c arch/arm64/time.c arch/arm64/vgic.c */
/* tests: arch/arm64/vgic_dist.c arch/arm64/vgic_redist.c arch/arm64/gicv3.c arch/arm64/cpu.c arch/arm64/memory.c */
/* tests: core/pool.c core/sched_rtds.c core/sched_arinc.c core/fault.c core/partition.c core/vuart.c */
/* tests: ../tests/unit/machine.c ../tests/unit/machine_pools.c ../tests/unit/pools.c ../tests/unit/threads.c */
/* with: POOLS ARINC653 */
/* Vcpus that share cores: who runs when, with which state, and where interrupts go that come for somebody else. */
#include "machine_pools.h"

#include <arch/arm64/pool.h>
#include <arch/arm64/psci.h>
#include <arch/arm64/traps.h>
#include <hv/arch.h>
#include <hv/pool.h>

#define LR_PENDING  (UINT64_C(1) << 62)
#define LR_HW       (UINT64_C(1) << 61)
#define VTIMER      27u
#define SPI         50u     /* flight's */
#define SGI_FRAME   GICR_SGI_BASE

static int setup(void **state)
{
    (void)state;
    pools_boot(NULL);
    return 0;
}

/* The registers of a core, whoever runs there. */
static uint64_t *of_core(uint32_t core, const char *name)
{
    (void)on(core);
    return machine_reg(name);
}

#define REG_OF(core, name)  (*of_core((core), #name))

static void guest_enables(uint32_t core, uint32_t word, uint32_t mask)
{
    struct cpu *cpu = guest_of(core);

    (void)on(core);
    if (word == 0) {
        assert_true(vgic_redist_write(cpu, cpu->vcpu.index * STRIDE + SGI_FRAME + GICD_ISENABLER, 4, mask));
    } else {
        assert_true(vgic_dist_write(cpu, GICD_CTLR, 4, GICD_CTLR_G1));
        assert_true(vgic_dist_write(cpu, GICD_ISENABLER + 4 * word, 4, mask));
    }
}

/* An interrupt reaches a core, whatever runs there. */
static enum stop comes(uint32_t core, uint32_t intid)
{
    machine_raise(core, intid);
    if (in_guest(core)) {
        guest_is_interrupted(core);
    }
    return core_goes_on(core);
}

/* List registers that hold the interrupt as pending. */
static uint32_t held(uint32_t core, uint32_t intid)
{
    uint32_t count = 0;

    (void)on(core);
    for (uint32_t i = 0; i < 4; i++) {
        count += LR(i) >> 62 == 1 && (uint32_t)LR(i) == intid ? 1u : 0;
    }
    return count;
}

/* ---------------------------------------------------------------- who runs */

static void a_guest_begins_as_any_other(void **state)
{
    (void)state;
    has_core(FIRST, FLIGHT_0);
    assert_int_equal(REG_OF(FIRST, elr_el2), 0x40008000);
    assert_int_equal(REG_OF(FIRST, vttbr_el2), board_partitions[FLIGHT].vttbr);
    assert_int_equal(REG_OF(FIRST, vmpidr_el2), 0x80000000);
    assert_true((REG_OF(FIRST, hcr_el2) & HCR_TWI) != 0);
    assert_true((REG_OF(FIRST, hcr_el2) & HCR_IMO) != 0);
    assert_int_equal(guest_of(FIRST)->x[0], 0x40000000);
    has_core(FIRST, SPARE_0);
    assert_int_equal(REG_OF(FIRST, vttbr_el2), board_partitions[SPARE].vttbr);
    assert_int_equal(REG_OF(FIRST, elr_el2), 0x40008000);
}

static void who_waits_gives_its_core_away(void **state)
{
    (void)state;
    has_core(FIRST, FLIGHT_0);
    guest_enables(FIRST, 0, 1u << 5);
    REG_OF(FIRST, elr_el2) = 0x40009000;
    assert_int_equal(guest_waits(FIRST), IN_GUEST);
    assert_int_equal(thread_of(FIRST), SPARE_0);
    assert_int_equal(guest_waits(FIRST), SLEEPS);
    assert_int_equal(thread_of(FIRST), FIRST);
    assert_int_equal(time_passes(FIRST, 100 * MS), SLEEPS);
    (void)on(0);
    vgic_set_pending(cpu_at(FLIGHT_0), 1u << 5, cpu_at(0));      /* an SGI */
    assert_int_equal(core_goes_on(FIRST), IN_GUEST);
    assert_int_equal(thread_of(FIRST), FLIGHT_0);
    assert_int_equal(held(FIRST, 5), 1);
    assert_int_equal(REG_OF(FIRST, elr_el2), 0x40009004);
}

static void a_wait_with_work_to_do_is_none(void **state)
{
    (void)state;
    has_core(FIRST, FLIGHT_0);
    guest_enables(FIRST, 0, 1u << 5);
    (void)on(0);
    vgic_set_pending(cpu_at(FLIGHT_0), 1u << 5, cpu_at(0));
    assert_int_equal(guest_waits(FIRST), IN_GUEST);
    assert_int_equal(thread_of(FIRST), FLIGHT_0);
    assert_int_equal(held(FIRST, 5), 1);
    assert_int_equal(guest_waits(FIRST), IN_GUEST);              /* it has not been taken yet */
    assert_int_equal(thread_of(FIRST), FLIGHT_0);
}

/* The timer that it has set is the core's meanwhile; by whichever of the two counters. */
static void its_own_timer_wakes_it(void **state)
{
    (void)state;
    for (uint32_t physical = 0; physical < 2; physical++) {
        uint64_t at;

        pools_boot(NULL);
        has_core(FIRST, SPARE_0);
        (void)guest_waits(FIRST);
        has_core(FIRST, FLIGHT_0);
        at = machine_ticks + 15 * MS;
        if (physical != 0) {
            REG_OF(FIRST, cntp_cval_el0) = at;
            REG_OF(FIRST, cntp_ctl_el0) = 1;
        } else {
            assert_true(REG_OF(FIRST, cntvoff_el2) > 0);
            REG_OF(FIRST, cntv_cval_el0) = at - REG_OF(FIRST, cntvoff_el2);
            REG_OF(FIRST, cntv_ctl_el0) = 1;
        }
        assert_int_equal(guest_waits(FIRST), SLEEPS);
        assert_int_equal(REG_OF(FIRST, cntv_ctl_el0), 0);         /* nobody's timer runs on an idle core */
        assert_int_equal(REG_OF(FIRST, cntp_ctl_el0), 0);
        (void)time_passes(FIRST, 14 * MS);
        assert_int_equal(thread_of(FIRST), FIRST);
        assert_int_equal(time_passes(FIRST, at + 5000 - machine_ticks), IN_GUEST);
        assert_int_equal(thread_of(FIRST), FLIGHT_0);
        assert_int_equal(physical != 0 ? REG_OF(FIRST, cntp_ctl_el0) : REG_OF(FIRST, cntv_ctl_el0), 1);
    }
}

/* ---------------------------------------------------------------- with which state */

static void state_goes_with_the_vcpu(void **state)
{
    static const char *const moved[] = { "sctlr_el1", "ttbr0_el1", "tpidr_el0", "sp_el0", "vbar_el1", "cntv_cval_el0",
                                         "mdscr_el1", "par_el1", "csselr_el1", "S3_4_C12_C11_7" };

    (void)state;
    has_core(FIRST, FLIGHT_0);
    for (uint32_t i = 0; i < ARRAY_COUNT(moved); i++) {
        *of_core(FIRST, moved[i]) = 0x1000 + i;
    }
    has_core(FIRST, SPARE_0);
    for (uint32_t i = 0; i < ARRAY_COUNT(moved); i++) {
        assert_int_not_equal(*of_core(FIRST, moved[i]), 0x1000 + i);
        *of_core(FIRST, moved[i]) = 0x2000 + i;
    }
    has_core(FIRST, FLIGHT_0);
    for (uint32_t i = 0; i < ARRAY_COUNT(moved); i++) {
        assert_int_equal(*of_core(FIRST, moved[i]), 0x1000 + i);
    }
}

/* Keys of pointer authentication: where the CPU has them, each has its own. */
static void keys_go_with_the_vcpu(void **state)
{
    static const char *const keys[] = { "S3_0_C2_C1_0", "S3_0_C2_C1_3", "S3_0_C2_C3_1" };

    (void)state;
    for (uint32_t with = 0; with < 2; with++) {
        pools_boot(NULL);
        REG_OF(FIRST, id_aa64isar1_el1) = with != 0 ? 0x10 : 0;
        has_core(FIRST, FLIGHT_0);
        for (uint32_t i = 0; i < 3; i++) {
            *of_core(FIRST, keys[i]) = 0x1000 + i;
        }
        has_core(FIRST, SPARE_0);
        for (uint32_t i = 0; i < 3; i++) {
            assert_int_equal(*of_core(FIRST, keys[i]), with != 0 ? 0 : 0x1000 + i);  /* without: not even read */
            *of_core(FIRST, keys[i]) = 0x2000 + i;
        }
        has_core(FIRST, FLIGHT_0);
        for (uint32_t i = 0; i < 3; i++) {
            assert_int_equal(*of_core(FIRST, keys[i]), with != 0 ? 0x1000 + i : 0x2000 + i);
        }
    }
}

static void one_core_for_all(void)
{
    pool_servers[1].core = 0;
}

/* Two vcpus of a partition may use one ASID for different things. */
static void translations_of_a_sibling_are_dropped(void **state)
{
    (void)state;
    pools_boot(one_core_for_all);
    assert_true(vcpu_start(&cpu_at(FLIGHT_1)->vcpu, 0x40009000, 0));
    has_core(FIRST, FLIGHT_0);
    for (uint32_t i = 0; i < 3; i++) {
        (void)guest_waits(FIRST);
        while (!in_guest(FIRST) || thread_of(FIRST) != FLIGHT_1) {
            machine_forget();
            (void)time_passes(FIRST, MS / 10u);
        }
        assert_true(machine_did("tlbi vmalle1"));
        assert_int_equal(REG_OF(FIRST, vmpidr_el2), 0x80000001);
        (void)on(0);
        machine_forget();
        pool_wake(FLIGHT_0);
        vgic_set_pending(cpu_at(FLIGHT_0), 1, cpu_at(0));
        cpu_at(FLIGHT_0)->vgic.enabled |= 1;
        while (!in_guest(FIRST) || thread_of(FIRST) != FLIGHT_0) {
            machine_forget();
            (void)time_passes(FIRST, MS / 10u);
        }
        assert_true(machine_did("tlbi vmalle1"));
        (void)guest_take();
        guest_end(0);
    }
}

static void another_partitions_stay(void **state)
{
    (void)state;
    has_core(FIRST, FLIGHT_0);
    has_core(FIRST, SPARE_0);
    while (thread_of(FIRST) != FLIGHT_0 || !in_guest(FIRST)) {
        (void)time_passes(FIRST, MS / 10u);
    }
    assert_false(machine_did("tlbi vmalle1"));
}

static void state_that_is_not_moved_is_refused(void **state)
{
    (void)state;
    pools_power_on(NULL);
    REG_OF(FIRST, id_aa64pfr0_el1) |= UINT64_C(1) << 32;
    expect_halt(pool_core_init(FIRST));
    assert_string_equal(said, "pool shared: this CPU has SVE, whose state pools do not switch");
}

/* ---------------------------------------------------------------- interrupts */

static void what_is_in_list_registers_goes_along(void **state)
{
    uint64_t lr;

    (void)state;
    has_core(FIRST, FLIGHT_0);
    guest_enables(FIRST, 0, 1u << VTIMER);
    private_bank[FIRST].active[0] |= 1u << VTIMER;               /* acknowledged, until the guest ends it */
    assert_int_equal(comes(FIRST, VTIMER), IN_GUEST);
    assert_int_equal(held(FIRST, VTIMER), 1);
    lr = LR(0);
    assert_true((lr & LR_HW) != 0);
    has_core(FIRST, SPARE_0);
    assert_int_equal(held(FIRST, VTIMER), 0);
    assert_int_equal(private_bank[FIRST].active[0] >> VTIMER & 1u, 0);  /* the neighbour's own can come */
    assert_int_equal(private_bank[FIRST].enable[0] >> VTIMER & 1u, 0);  /* which it has not enabled */
    has_core(FIRST, FLIGHT_0);
    assert_int_equal(held(FIRST, VTIMER), 1);
    assert_int_equal(LR(0), lr);
    assert_int_equal(private_bank[FIRST].active[0] >> VTIMER & 1u, 1);
    assert_int_equal(private_bank[FIRST].enable[0] >> VTIMER & 1u, 1);
}

/* Each vcpu's private interrupts are let through on its core while it runs, and no others. */
static void private_interrupts_are_who_runs(void **state)
{
    (void)state;
    board_partitions[SPARE].ppi_mask |= 1u << 30;
    has_core(FIRST, FLIGHT_0);
    guest_enables(FIRST, 0, 1u << VTIMER | 1u << 30 | 1u << 25);
    assert_int_equal(private_bank[FIRST].enable[0] & (1u << VTIMER | 1u << 30), 1u << VTIMER);  /* 30 is not flight's */
    has_core(FIRST, SPARE_0);
    assert_int_equal(private_bank[FIRST].enable[0] & (1u << VTIMER | 1u << 30), 0);
    guest_enables(FIRST, 0, 1u << 30);
    assert_int_equal(private_bank[FIRST].enable[0] & (1u << VTIMER | 1u << 30), 1u << 30);
    has_core(FIRST, FLIGHT_0);
    assert_int_equal(private_bank[FIRST].enable[0] & (1u << VTIMER | 1u << 30), 1u << VTIMER);
    has_core(FIRST, SPARE_0);
    assert_int_equal(private_bank[FIRST].enable[0] & (1u << VTIMER | 1u << 30), 1u << 30);
}

/*
 * A guest may write the redistributor of a sibling that does not run, or runs elsewhere: the registers of the core
 * are somebody else's then, and must not change.
 */
static void private_interrupts_of_a_sibling(void **state)
{
    struct bank before;
    uint64_t value;

    (void)state;
    pools_boot(one_core_for_all);
    board_partitions[SPARE].ppi_mask |= 1u << 30;
    board_partitions[FLIGHT].ppi_mask |= 1u << 30;
    assert_true(vcpu_start(&cpu_at(FLIGHT_1)->vcpu, 0x40009000, 0));
    has_core(FIRST, FLIGHT_1);
    has_core(FIRST, FLIGHT_0);
    guest_enables(FIRST, 0, 1u << VTIMER);
    private_bank[FIRST].pending[0] = private_bank[FIRST].active[0] = 1u << VTIMER | 1u << 30;
    before = private_bank[FIRST];
    for (uint32_t at = GICD_ISENABLER; at <= GICD_ICFGR + 4u; at += 4) {
        if (at == GICD_ISENABLER || at == GICD_ICENABLER || at == GICD_ISPENDR || at == GICD_ICPENDR || at == GICD_ISACTIVER ||
            at == GICD_ICACTIVER || at >= GICD_ICFGR) {
            assert_true(vgic_redist_write(guest_of(FIRST), STRIDE + SGI_FRAME + at, 4, 1u << VTIMER | 1u << 30));
            assert_memory_equal(&private_bank[FIRST], &before, sizeof(before));
        }
    }
    for (uint32_t at = GICD_ISPENDR; at <= GICD_ICACTIVER; at += 0x80) {  /* nor are they to be read */
        assert_true(vgic_redist_read(guest_of(FIRST), STRIDE + SGI_FRAME + at, 4, &value));
        assert_int_equal(value, 0);
    }
    assert_true(vgic_redist_write(guest_of(FIRST), STRIDE + SGI_FRAME + GICD_ISENABLER, 4, 1u << 30));
    assert_memory_equal(&private_bank[FIRST], &before, sizeof(before));
    has_core(FIRST, FLIGHT_1);                                   /* but it counts once the sibling runs */
    assert_int_equal(private_bank[FIRST].enable[0] & (1u << VTIMER | 1u << 30), 1u << 30);
    assert_true(vgic_redist_write(guest_of(FIRST), SGI_FRAME + GICD_ICENABLER, 4, 1u << VTIMER));
    has_core(FIRST, FLIGHT_0);
    assert_int_equal(private_bank[FIRST].enable[0] & (1u << VTIMER | 1u << 30), 0);
}

/* Of its own, a guest of a pool changes what is enabled, and ends what is active; the rest is the core's. */
static void pending_and_active_are_the_cores(void **state)
{
    (void)state;
    has_core(FIRST, FLIGHT_0);
    (void)on(FIRST);
    private_bank[FIRST].pending[0] = private_bank[FIRST].active[0] = 0;
    private_bank[FIRST].config[1] = 0;
    assert_true(vgic_redist_write(guest_of(FIRST), SGI_FRAME + GICD_ISPENDR, 4, 1u << VTIMER));
    assert_true(vgic_redist_write(guest_of(FIRST), SGI_FRAME + GICD_ISACTIVER, 4, 1u << VTIMER));
    assert_true(vgic_redist_write(guest_of(FIRST), SGI_FRAME + GICD_ICFGR + 4, 4, UINT32_MAX));
    assert_int_equal(private_bank[FIRST].pending[0] | private_bank[FIRST].active[0] | private_bank[FIRST].config[1], 0);
    private_bank[FIRST].active[0] = 1u << VTIMER | 1u << 26;
    assert_true(vgic_redist_write(guest_of(FIRST), SGI_FRAME + GICD_ICACTIVER, 4, UINT32_MAX));
    assert_int_equal(private_bank[FIRST].active[0], 1u << 26);   /* the hypervisor's own timer stays */
}

static void a_line_waits_for_its_guest(void **state)
{
    (void)state;
    has_core(FIRST, FLIGHT_0);
    guest_enables(FIRST, SPI / 32, 1u << SPI % 32);
    has_core(FIRST, SPARE_0);
    (void)comes(FIRST, SPI);
    assert_int_equal(held(FIRST, SPI), thread_of(FIRST) == FLIGHT_0 ? 1 : 0);
    assert_int_not_equal(REG_OF(FIRST, S3_0_C12_C11_1), SPI);    /* it stays active: its guest ends it */
    has_core(FIRST, FLIGHT_0);
    assert_int_equal(held(FIRST, SPI), 1);
    assert_true((LR(0) & LR_HW) != 0);
    assert_int_equal(bits(LR(0), 41, 32), SPI);
}

static void a_line_wakes_its_guest(void **state)
{
    (void)state;
    has_core(FIRST, FLIGHT_0);
    guest_enables(FIRST, SPI / 32, 1u << SPI % 32);
    (void)guest_waits(FIRST);
    has_core(FIRST, SPARE_0);
    (void)guest_waits(FIRST);
    assert_int_equal(comes(FIRST, SPI), IN_GUEST);
    assert_int_equal(thread_of(FIRST), FLIGHT_0);
    assert_int_equal(held(FIRST, SPI), 1);
}

/* More at once than list registers: what does not fit comes when one is free, and nothing is lost. */
static void more_than_fits(void **state)
{
    uint32_t taken = 0;

    (void)state;
    has_core(FIRST, FLIGHT_0);
    for (uint32_t intid = 64; intid < 74; intid++) {
        board_partitions[FLIGHT].spi[intid / 32] |= 1u << intid % 32;
    }
    guest_enables(FIRST, 2, 0x3ff);
    has_core(FIRST, SPARE_0);
    (void)guest_waits(FIRST);
    has_core(FIRST, FLIGHT_0);
    (void)guest_waits(FIRST);
    for (uint32_t intid = 64; intid < 74; intid++) {
        machine_raise(FIRST, intid);
    }
    assert_int_equal(core_goes_on(FIRST), IN_GUEST);
    for (uint32_t i = 0; i < 20; i++) {
        uint32_t intid = (on(FIRST), guest_take());

        if (intid < 1020) {
            assert_true(intid >= 64 && intid < 74 && (taken >> (intid - 64) & 1u) == 0);
            taken |= 1u << (intid - 64);
            guest_end(intid);
        }
        (void)comes(FIRST, MAINTENANCE);
    }
    assert_int_equal(taken, 0x3ff);
}

/* What came for a partition before it was reset is not for who starts then. */
static void a_reset_forgets_what_was_kept(void **state)
{
    (void)state;
    for (uint32_t reset = 0; reset < 2; reset++) {
        pools_boot(NULL);
        has_core(FIRST, FLIGHT_0);
        guest_enables(FIRST, SPI / 32, 1u << SPI % 32);
        while (thread_of(FIRST) != SPARE_0 || !in_guest(FIRST)) {  /* flight has used up its budget */
            (void)time_passes(FIRST, MS / 10u);
        }
        (void)comes(FIRST, SPI);
        assert_int_equal(thread_of(FIRST), SPARE_0);
        if (reset != 0) {
            arch_partition_reset(&board_partitions[FLIGHT]);
        }
        has_core(FIRST, FLIGHT_0);
        assert_int_equal(held(FIRST, SPI), reset == 0 ? 1 : 0);
    }
}

/* Who runs may have something to look at: a request to its partition, above all. */
static void a_running_vcpu_is_kicked(void **state)
{
    (void)state;
    has_core(FIRST, FLIGHT_0);
    (void)on(0);
    pool_wake(FLIGHT_0);
    assert_int_equal(sgi_count, 1);
    assert_int_equal(machine_sgi_cores(sgis[0].value), 1u << FIRST);
    pool_wake(SPARE_0);                          /* is awake, and waits for its turn */
    assert_int_equal(sgi_count, 1);
}

static void a_sibling_is_woken(void **state)
{
    (void)state;
    has_core(FIRST, FLIGHT_0);
    assert_int_equal(thread_of(SECOND), SECOND);
    guest_of(FIRST)->x[0] = UINT64_C(0xc4000003);                /* CPU_ON */
    guest_of(FIRST)->x[1] = 1;
    guest_of(FIRST)->x[2] = 0x40009000;
    guest_of(FIRST)->x[3] = 77;
    assert_int_equal(guest_traps(FIRST, trap_smccc, (uint64_t)EC_HVC64 << 26 | ESR_IL), IN_GUEST);
    assert_int_equal(guest_of(FIRST)->x[0], 0);
    assert_int_equal(core_goes_on(SECOND), IN_GUEST);
    assert_int_equal(thread_of(SECOND), FLIGHT_1);
    assert_int_equal(REG_OF(SECOND, elr_el2), 0x40009000);
    assert_int_equal(guest_of(SECOND)->x[0], 77);
    guest_enables(SECOND, 0, 1u << 3);
    assert_int_equal(guest_waits(SECOND), SLEEPS);
    (void)on(FIRST);
    vgic_write_sgi1r(guest_of(FIRST), UINT64_C(3) << 24 | 2);    /* SGI 3 to vcpu 1 */
    assert_int_equal(core_goes_on(SECOND), IN_GUEST);
    assert_int_equal(held(SECOND, 3), 1);
}

static void console_on_first(void)
{
    board.console_cpu = FIRST;
}

static void the_consoles_interrupts_are_the_hypervisors(void **state)
{
    uint64_t at;

    (void)state;
    pools_boot(console_on_first);
    has_core(FIRST, FLIGHT_0);
    assert_int_equal(comes(FIRST, UART_INTID), IN_GUEST);
    assert_int_equal(console_input_count, 1);
    assert_int_equal(held(FIRST, UART_INTID), 0);
    assert_int_equal(REG_OF(FIRST, S3_0_C12_C11_1), UART_INTID); /* ended: it can come again */
    machine_forget();
    (void)on(FIRST);
    arch_alarm(100000);                                          /* beside what the scheduler has set */
    at = machine_ticks + 100000;
    assert_in_range(timer_of(FIRST), at - 1000, at);
    (void)time_passes(FIRST, 101000);
    assert_int_equal(console_tick_count, 1);
    assert_int_equal(console_input_count, 0);
    assert_true(timer_of(FIRST) > at && timer_of(FIRST) < at + 10 * MS);
}

static void small_budget(void)
{
    pool_servers[0].budget_ns = MS / 2u;         /* loading takes several turns */
}

static void a_restart(void **state)
{
    (void)state;
    pools_boot(small_budget);
    a_restart_takes_nothing_from_the_neighbour();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_guest_begins_as_any_other, setup),
        cmocka_unit_test_setup(budgets_are_kept, setup),
        cmocka_unit_test_setup(who_waits_gives_its_core_away, setup),
        cmocka_unit_test_setup(a_wait_with_work_to_do_is_none, setup),
        cmocka_unit_test_setup(its_own_timer_wakes_it, setup),
        cmocka_unit_test_setup(state_goes_with_the_vcpu, setup),
        cmocka_unit_test_setup(keys_go_with_the_vcpu, setup),
        cmocka_unit_test_setup(translations_of_a_sibling_are_dropped, setup),
        cmocka_unit_test_setup(another_partitions_stay, setup),
        cmocka_unit_test_setup(state_that_is_not_moved_is_refused, setup),
        cmocka_unit_test_setup(what_is_in_list_registers_goes_along, setup),
        cmocka_unit_test_setup(private_interrupts_are_who_runs, setup),
        cmocka_unit_test_setup(private_interrupts_of_a_sibling, setup),
        cmocka_unit_test_setup(pending_and_active_are_the_cores, setup),
        cmocka_unit_test_setup(a_line_waits_for_its_guest, setup),
        cmocka_unit_test_setup(a_line_wakes_its_guest, setup),
        cmocka_unit_test_setup(more_than_fits, setup),
        cmocka_unit_test_setup(a_reset_forgets_what_was_kept, setup),
        cmocka_unit_test_setup(a_running_vcpu_is_kicked, setup),
        cmocka_unit_test_setup(a_sibling_is_woken, setup),
        cmocka_unit_test_setup(the_consoles_interrupts_are_the_hypervisors, setup),
        cmocka_unit_test_setup(a_restart, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
