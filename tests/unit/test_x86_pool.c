/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/x86/pool.c arch/x86/pool_exits.c arch/x86/timer.c arch/x86/time.c arch/x86/vapic.c arch/x86/ioapic_shared.c */
/* tests: arch/x86/xcr0.c */
/* tests: arch/x86/svm/shared.c arch/x86/svm/svm.c arch/x86/core.c arch/x86/apic.c arch/x86/icr.c arch/x86/clock.c */
/* tests: arch/x86/access.c arch/x86/msr.c arch/x86/state.c arch/x86/insn.c arch/x86/exits.c arch/x86/memory.c arch/x86/ioapic.c */
/* tests: core/pool.c core/sched_rtds.c core/sched_arinc.c core/partition.c core/fault.c core/vuart_16550.c */
/* tests: ../tests/unit/pc.c ../tests/unit/pc_pools.c ../tests/unit/pools.c ../tests/unit/threads.c */
/* with: POOLS ARINC653 CHANNELS */
/* Vcpus that share cores: who runs when, with which state, and where interrupts go that come for somebody else. */
#include "pc_pools.h"

#include <arch/x86/pool.h>
#include <hv/arch.h>
#include <hv/pool.h>

#define X2(reg)      (MSR_X2APIC + (reg))
#define EOI          X2(0x0bu)
#define SVR          X2(0x0fu)
#define LVT_TIMER    X2(0x32u)
#define RFLAGS_IF    (UINT64_C(1) << 9)
#define LINE         11u      /* flight's */
#define MASKED       (1u << 16)
#define LEVEL        (1u << 15)
#define FIXED        UINT64_C(0x4000)

static int setup(void **state)
{
    (void)state;
    pools_boot(NULL);
    return 0;
}

static void guest_writes(uint32_t core, uint32_t msr, uint64_t value)
{
    vmcb_of_guest(core)->rax = (uint32_t)value;
    guest_of(core)->reg[RCX] = msr;
    guest_of(core)->reg[RDX] = value >> 32;
    vmcb_of_guest(core)->exit_info_1 = 1;
    assert_int_equal(guest_exits(core, GUEST_MSR), IN_GUEST);
}

/* Its local APIC on, interrupts allowed. */
static void guest_listens(uint32_t core)
{
    guest_writes(core, SVR, 0x1ff);
    vmcb_of_guest(core)->rflags |= RFLAGS_IF;
}

static uint64_t msr_of_core(uint32_t core, uint32_t msr)
{
    (void)on(core);
    return *pc_msr(msr);
}

/* A line of the I/O APIC reaches the core that it is sent to. */
static void line_comes(uint32_t line)
{
    uint32_t vector = pc_lines[2 * line] & 0xffu;

    assert_int_equal(pc_lines[2 * line] & MASKED, 0);
    for (uint32_t i = 0; i < CORES; i++) {
        if (board_cpus[i].apic_id == pc_lines[2 * line + 1] >> 24) {
            pc_irr[i][vector / 64] |= UINT64_C(1) << vector % 64;
        }
    }
}

static void program_line(uint32_t line, uint32_t destination, uint32_t low)
{
    ioapic_write(&board_partitions[FLIGHT], 0, 0x11 + 2 * line);
    ioapic_write(&board_partitions[FLIGHT], 0x10, destination << 24);
    ioapic_write(&board_partitions[FLIGHT], 0, 0x10 + 2 * line);
    ioapic_write(&board_partitions[FLIGHT], 0x10, low);
}

/* ---------------------------------------------------------------- who runs */

static void a_guest_begins_as_any_other(void **state)
{
    (void)state;
    has_core(FIRST, FLIGHT_0);
    assert_int_equal(vmcb_of_guest(FIRST)->rip, 0x2000);
    assert_int_equal(guest_of(FIRST)->reg[RBX], 0xf0000);
    assert_int_equal(vmcb_of_guest(FIRST)->nested_cr3, 0x222000);
    assert_int_equal(vmcb_of_guest(FIRST)->asid, 2);
    assert_true((vmcb_of_guest(FIRST)->intercept_1 & 1u) != 0);           /* interrupts end its turn */
    assert_true((vmcb_of_guest(FIRST)->intercept_1 >> 24 & 1u) != 0);     /* HLT */
    assert_true((vmcb_of_guest(FIRST)->intercept_2 >> 13 & 1u) != 0);     /* XSETBV */
    assert_true((vmcb_of_guest(FIRST)->intercept_cr >> 24 & 1u) != 0);    /* CR8 */
    assert_true((vmcb_of_guest(FIRST)->interrupt_control >> 24 & 1u) != 0);  /* RFLAGS.IF is its own */
    assert_true((msr_of_core(FIRST, MSR_EFER) & EFER_SVME) != 0);
    assert_int_equal(arch_vcpu(FLIGHT_0)->cpu, FLIGHT_0);
    has_core(FIRST, SPARE_0);
    assert_int_equal(vmcb_of_guest(FIRST)->rip, 0x3000);
    assert_int_equal(vmcb_of_guest(FIRST)->nested_cr3, 0x333000);
}

static void who_halts_gives_its_core_away(void **state)
{
    (void)state;
    has_core(FIRST, FLIGHT_0);
    guest_listens(FIRST);
    vmcb_of_guest(FIRST)->rip = 0x2000;
    vmcb_of_guest(FIRST)->interrupt_shadow = 1;  /* STI; HLT */
    assert_int_equal(guest_exits(FIRST, GUEST_HALTS), IN_GUEST);
    assert_int_equal(thread_of(FIRST), SPARE_0);
    assert_int_equal(guest_exits(FIRST, GUEST_HALTS), SLEEPS);
    assert_int_equal(thread_of(FIRST), FIRST);
    assert_int_equal(time_passes(FIRST, 100 * MS), SLEEPS);
    pool_request(cpu_at(FLIGHT_0), 0x55, false);
    assert_int_equal(core_goes_on(FIRST), IN_GUEST);
    assert_int_equal(thread_of(FIRST), FLIGHT_0);
    assert_int_equal(enters_with(FIRST), 0x55);
    assert_int_equal(vmcb_of_guest(FIRST)->rip, 0x2001);
}

static void a_halt_with_work_to_do_is_none(void **state)
{
    (void)state;
    has_core(FIRST, FLIGHT_0);
    guest_listens(FIRST);
    vmcb_of_guest(FIRST)->interrupt_shadow = 1;
    pool_request(cpu_at(FLIGHT_0), 0x55, false);
    assert_int_equal(guest_exits(FIRST, GUEST_HALTS), IN_GUEST);
    assert_int_equal(thread_of(FIRST), FLIGHT_0);
    assert_int_equal(enters_with(FIRST), 0x55);
}

/* CLI; HLT: an interrupt that it does not take does not wake it. A request to the partition does. */
static void a_halt_with_interrupts_off(void **state)
{
    (void)state;
    has_core(FIRST, FLIGHT_0);
    guest_listens(FIRST);
    vmcb_of_guest(FIRST)->rflags &= ~RFLAGS_IF;
    (void)guest_exits(FIRST, GUEST_HALTS);
    pool_request(cpu_at(FLIGHT_0), 0x55, false);
    for (uint32_t i = 0; i < 100; i++) {
        (void)time_passes(FIRST, MS / 2u);
        assert_true(thread_of(FIRST) != FLIGHT_0);
    }
    partition_request(&board_partitions[FLIGHT], REQUEST_STOP);
    for (uint32_t i = 0; i < 40; i++) {
        (void)core_goes_on(SECOND);
        (void)time_passes(FIRST, MS / 2u);
    }
    assert_non_null(strstr(said, "flight is stopped\n"));
}

static void its_own_timer_wakes_it(void **state)
{
    uint64_t at;

    (void)state;
    has_core(FIRST, SPARE_0);
    (void)guest_exits(FIRST, GUEST_HALTS);
    has_core(FIRST, FLIGHT_0);
    guest_listens(FIRST);
    guest_writes(FIRST, LVT_TIMER, 0x40000 | 0x60);
    at = pc_tsc + 15 * MS;
    guest_writes(FIRST, MSR_TSC_DEADLINE, at);
    assert_int_equal(guest_exits(FIRST, GUEST_HALTS), SLEEPS);
    (void)time_passes(FIRST, 14 * MS);
    assert_int_equal(thread_of(FIRST), FIRST);
    assert_int_equal(time_passes(FIRST, at + 5000 - pc_tsc), IN_GUEST);
    assert_int_equal(thread_of(FIRST), FLIGHT_0);
    assert_int_equal(enters_with(FIRST), 0x60);
}

static void windows(void)
{
    static const struct layout_window table[] = { { .start_ns = 0, .length_ns = 3 * MS, .core = 0, .server = 2 },
                                                  { .start_ns = 5 * MS, .length_ns = 1 * MS, .core = 0, .server = 0 },
                                                  { .start_ns = 0, .length_ns = 9 * MS, .core = 1, .server = 1 } };

    pool.scheduler = LAYOUT_ARINC653;
    pool.windows = table;
    pool.window_count = 3;
    pool.frame_ns = 10 * MS;
}

/* ARINC 653: each in its own windows, idle or not. */
static void windows_are_kept(void **state)
{
    uint64_t had[CPUS] = { 0 };

    (void)state;
    pools_boot(windows);
    has_core(FIRST, SPARE_0);
    for (uint32_t i = 0; i < 2000; i++) {
        had[thread_of(FIRST)]++;
        (void)time_passes(FIRST, MS / 20u);
    }
    assert_in_range(had[FLIGHT_0], 195, 205);
    assert_in_range(had[SPARE_0], 595, 605);
}

/* ---------------------------------------------------------------- with which state */

static void both_vendors_speculation(void)
{
    pc_cpuid(7)->reg[3] |= 1u << 26;
}

/* What a core has for one vcpu only goes and comes with it; nobody sees a neighbour's. */
static void state_goes_with_the_vcpu(void **state)
{
    static const uint32_t moved[] = { MSR_TSC_AUX, MSR_SPEC_CTRL };

    (void)state;
    pools_boot(both_vendors_speculation);
    has_core(FIRST, FLIGHT_0);
    for (uint32_t i = 0; i < ARRAY_COUNT(moved); i++) {
        (void)on(FIRST);
        assert_int_equal(*pc_msr(moved[i]), 0);
        *pc_msr(moved[i]) = 3 + i;
    }
    has_core(FIRST, SPARE_0);
    for (uint32_t i = 0; i < ARRAY_COUNT(moved); i++) {
        assert_int_equal(msr_of_core(FIRST, moved[i]), 0);
        *pc_msr(moved[i]) = 7;
    }
    has_core(FIRST, FLIGHT_0);
    for (uint32_t i = 0; i < ARRAY_COUNT(moved); i++) {
        assert_int_equal(msr_of_core(FIRST, moved[i]), 3 + i);
    }
}

static uint32_t place_of(const char *instruction)
{
    for (uint32_t i = 0; i < instruction_count; i++) {
        if (strstr(instructions[i], instruction) != NULL) {
            return i;
        }
    }
    return UINT32_MAX;
}

static void all_of_the_state(void)
{
    *pc_cpuid(0xd) = (struct cpuid){ { 0xe7, 2696, 2696, 0 } };
}

/* The one's state has been stored before the other's is loaded; all of XCR0's components are on for both. */
static void the_old_state_is_stored_first(void **state)
{
    static const char *const order[] = { "vmsave", "xgetbv", "xsetbv", "xsave64", "vmload", "xrstor64" };

    (void)state;
    pools_boot(all_of_the_state);
    has_core(FIRST, FLIGHT_0);
    (void)guest_exits(FIRST, GUEST_HALTS);
    assert_int_equal(thread_of(FIRST), SPARE_0);
    for (uint32_t i = 0; i < ARRAY_COUNT(order); i++) {
        assert_true(place_of(order[i]) < instruction_count);
        assert_true(i == 0 || place_of(order[i - 1]) < place_of(order[i]));
    }
}

static void one_core_for_all(void)
{
    pool_servers[1].core = 0;
}

/* Two vcpus of a partition have one ASID, but not the same translations. */
static void translations_of_a_sibling_are_dropped(void **state)
{
    (void)state;
    pools_boot(one_core_for_all);
    assert_true(vcpu_start(&cpu_at(FLIGHT_1)->vcpu, 0x9000, START_BY_SIPI));
    has_core(FIRST, FLIGHT_1);
    (void)guest_exits(FIRST, GUEST_CPUID);
    for (uint32_t i = 0; i < 3; i++) {
        has_core(FIRST, FLIGHT_0);
        assert_int_not_equal(vmcb_of_guest(FIRST)->tlb_control, 0);
        (void)guest_exits(FIRST, GUEST_CPUID);
        assert_int_equal(vmcb_of_guest(FIRST)->tlb_control, 0);
        has_core(FIRST, FLIGHT_1);
        assert_int_not_equal(vmcb_of_guest(FIRST)->tlb_control, 0);
        (void)guest_exits(FIRST, GUEST_CPUID);
    }
    (void)guest_exits(FIRST, GUEST_HALTS);
    has_core(FIRST, FLIGHT_0);
    (void)guest_exits(FIRST, GUEST_CPUID);
    has_core(FIRST, SPARE_0);                    /* another's, with an ASID of its own */
    has_core(FIRST, FLIGHT_0);
    assert_int_equal(vmcb_of_guest(FIRST)->tlb_control, 0);
}

static void anywhere(void)
{
    for (uint32_t i = 0; i < 3; i++) {
        pool_servers[i].core = LAYOUT_ANY_CORE;
        pool_servers[i].period_ns = (5 + 2 * i) * MS;
    }
}

/* It may have dropped translations on the other core only. */
static void translations_are_dropped_where_it_comes_back(void **state)
{
    uint32_t moves = 0, last[CPUS] = { 0 };

    (void)state;
    pools_boot(anywhere);
    assert_true(vcpu_start(&cpu_at(FLIGHT_1)->vcpu, 0x9000, START_BY_SIPI));
    for (uint32_t i = 0; i < 400; i++) {
        for (uint32_t core = FIRST; core <= SECOND; core++) {
            uint32_t vcpu = thread_of(core);
            uint64_t at = timer_of(core);

            /* One event at a time. */
            if (time_passes(core, at == UINT64_MAX ? MS / 10u : at > pc_tsc ? at - pc_tsc : 0) == IN_GUEST && thread_of(core) != vcpu) {
                vcpu = thread_of(core);
                if (last[vcpu] != 0 && last[vcpu] != core) {
                    assert_int_not_equal(vmcb_of_guest(core)->tlb_control, 0);
                    moves++;
                }
                last[vcpu] = core;
            }
            pools_forget();
        }
    }
    assert_true(moves > 0);
}

static void state_that_is_too_large_is_refused(void **state)
{
    (void)state;
    pools_power_on(NULL);
    *pc_cpuid(0xd) = (struct cpuid){ { 0x602e7, 2753, 11008, 0 } };
    (void)on(FIRST);
    expect_halt(pool_core_init(FIRST));
    assert_string_equal(said, "pool shared: the state of this CPU's vectors takes 2753 bytes, more than pools switch");
}

/* ---------------------------------------------------------------- interrupts */

static void a_line_waits_for_its_guest(void **state)
{
    (void)state;
    has_core(FIRST, FLIGHT_0);
    guest_listens(FIRST);
    program_line(LINE, 0, LEVEL | 0x45);
    assert_int_equal(pc_lines[2 * LINE], LEVEL | (POOL_LINES + LINE));    /* the core's vector, not the guest's */
    assert_int_equal(pc_lines[2 * LINE + 1] >> 24, board_cpus[FIRST].apic_id);
    has_core(FIRST, SPARE_0);
    line_comes(LINE);
    guest_is_interrupted(FIRST);
    (void)core_goes_on(FIRST);
    assert_true(thread_of(FIRST) != SPARE_0 || enters_with(FIRST) == 0);
    assert_true((pc_lines[2 * LINE] & MASKED) != 0);      /* a level stays until somebody has looked after it */
    has_core(FIRST, FLIGHT_0);
    if (enters_with(FIRST) == 0) {
        (void)guest_exits(FIRST, GUEST_CPUID);
    }
    guest_writes(FIRST, EOI, 0);
    assert_int_equal(pc_lines[2 * LINE], LEVEL | (POOL_LINES + LINE));
}

static void a_line_wakes_its_guest(void **state)
{
    (void)state;
    has_core(FIRST, FLIGHT_0);
    guest_listens(FIRST);
    program_line(LINE, 0, 0x45);
    (void)guest_exits(FIRST, GUEST_HALTS);
    has_core(FIRST, SPARE_0);
    (void)guest_exits(FIRST, GUEST_HALTS);
    line_comes(LINE);
    assert_int_equal(core_goes_on(FIRST), IN_GUEST);
    assert_int_equal(thread_of(FIRST), FLIGHT_0);
    assert_int_equal(enters_with(FIRST), 0x45);
    assert_true((pc_lines[2 * LINE] & MASKED) == 0);      /* an edge: there is nothing to wait for */
}

/* A line that its guest has masked, or that is nobody's, is masked for good: it would come for ever. */
static void a_line_that_nobody_wants_is_shut(void **state)
{
    (void)state;
    has_core(FIRST, SPARE_0);
    pc_lines[2 * LINE] = LEVEL | (POOL_LINES + LINE);
    pc_lines[2 * LINE + 1] = (uint32_t)board_cpus[FIRST].apic_id << 24;
    line_comes(LINE);
    guest_is_interrupted(FIRST);
    (void)core_goes_on(FIRST);
    assert_true((pc_lines[2 * LINE] & MASKED) != 0);
    pc_lines[2 * 20] = POOL_LINES + 20;
    pc_lines[2 * 20 + 1] = (uint32_t)board_cpus[FIRST].apic_id << 24;
    line_comes(20);
    guest_is_interrupted(FIRST);
    (void)core_goes_on(FIRST);
    assert_true((pc_lines[2 * 20] & MASKED) != 0);
}

static void a_doorbell_wakes_its_guest(void **state)
{
    (void)state;
    board_partitions[FLIGHT].pc.bells = 1u << 7;
    arch_partition_reset(&board_partitions[FLIGHT]);
    has_core(FIRST, FLIGHT_0);
    guest_listens(FIRST);
    program_line(7, 0, 0x4a);
    (void)guest_exits(FIRST, GUEST_HALTS);
    has_core(FIRST, SPARE_0);
    (void)guest_exits(FIRST, GUEST_HALTS);
    (void)on(0);
    ioapic_ring(&board_partitions[FLIGHT], 7);            /* from a core of linux' */
    assert_int_equal(sent_count, 1);
    assert_int_equal(sent[0].value, board_cpus[FIRST].apic_id << 32 | FIXED | POOL_KICK);
    assert_int_equal(core_goes_on(FIRST), IN_GUEST);
    assert_int_equal(thread_of(FIRST), FLIGHT_0);
    assert_int_equal(enters_with(FIRST), 0x4a);
}

/* The core's own priority is the scheduler's: an interrupt for a guest that has no budget left brings no switch. */
static void an_interrupt_does_not_buy_budget(void **state)
{
    (void)state;
    has_core(FIRST, SPARE_0);
    (void)guest_exits(FIRST, GUEST_HALTS);
    has_core(FIRST, FLIGHT_0);
    guest_listens(FIRST);
    program_line(LINE, 0, 0x45);
    while (thread_of(FIRST) == FLIGHT_0) {
        (void)time_passes(FIRST, MS / 10u);
    }
    for (uint32_t i = 0; i < 10; i++) {
        line_comes(LINE);
        (void)core_goes_on(FIRST);
        assert_int_equal(thread_of(FIRST), FIRST);
    }
}

static void console_on_first(void)
{
    board.console_cpu = FIRST;
}

static void the_consoles_interrupts_are_the_hypervisors(void **state)
{
    (void)state;
    pools_boot(console_on_first);
    has_core(FIRST, FLIGHT_0);
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t line = i == 0 ? UART_LINE : PIT_LINE;

        pools_forget();
        pc_irr[FIRST][0] |= UINT64_C(1) << (POOL_LINES + line);
        guest_is_interrupted(FIRST);
        (void)core_goes_on(FIRST);
        assert_int_equal(console_input_count, 1);
        assert_int_equal(console_tick_count, 1);
        assert_int_equal(thread_of(FIRST), FLIGHT_0);
        assert_int_equal(enters_with(FIRST), 0);
    }
    pools_forget();
    pool_kick(FIRST);
    guest_is_interrupted(FIRST);
    (void)core_goes_on(FIRST);
    assert_int_equal(console_input_count, 0);
    assert_int_equal(console_tick_count, 1);
}

static void loading_takes_turns(void)
{
    static struct layout_memory memory;

    memory = (struct layout_memory){ { 0 }, { (uintptr_t)ram }, RAM_SIZE };
    board_partitions[FLIGHT].memory = &memory;
    pool_servers[0].budget_ns = MS / 2u;
}

static void a_restart(void **state)
{
    (void)state;
    pools_boot(loading_takes_turns);
    a_restart_takes_nothing_from_the_neighbour();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_guest_begins_as_any_other, setup),
        cmocka_unit_test_setup(budgets_are_kept, setup),
        cmocka_unit_test_setup(who_halts_gives_its_core_away, setup),
        cmocka_unit_test_setup(a_halt_with_work_to_do_is_none, setup),
        cmocka_unit_test_setup(a_halt_with_interrupts_off, setup),
        cmocka_unit_test_setup(its_own_timer_wakes_it, setup),
        cmocka_unit_test_setup(windows_are_kept, setup),
        cmocka_unit_test_setup(state_goes_with_the_vcpu, setup),
        cmocka_unit_test_setup(the_old_state_is_stored_first, setup),
        cmocka_unit_test_setup(translations_of_a_sibling_are_dropped, setup),
        cmocka_unit_test_setup(translations_are_dropped_where_it_comes_back, setup),
        cmocka_unit_test_setup(state_that_is_too_large_is_refused, setup),
        cmocka_unit_test_setup(a_line_waits_for_its_guest, setup),
        cmocka_unit_test_setup(a_line_wakes_its_guest, setup),
        cmocka_unit_test_setup(a_line_that_nobody_wants_is_shut, setup),
        cmocka_unit_test_setup(a_doorbell_wakes_its_guest, setup),
        cmocka_unit_test_setup(an_interrupt_does_not_buy_budget, setup),
        cmocka_unit_test_setup(the_consoles_interrupts_are_the_hypervisors, setup),
        cmocka_unit_test_setup(a_restart, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
