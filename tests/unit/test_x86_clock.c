/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/x86/clock.c arch/x86/svm/svm.c arch/x86/core.c arch/x86/apic.c arch/x86/icr.c arch/x86/ioapic.c */
/* tests: arch/x86/access.c arch/x86/msr.c arch/x86/state.c arch/x86/insn.c arch/x86/exits.c arch/x86/memory.c */
/* tests: core/partition.c core/fault.c core/vuart_16550.c ../tests/unit/pc.c */
#include "pc.h"

#include <arch/x86/clock.h>

#define GHZ   UINT64_C(1000000000)
#define PAGE  0x5000u

struct record {                     /* Linux arch/x86/include/asm/pvclock-abi.h */
    uint32_t version, pad;
    uint64_t tsc, system_time;
    uint32_t multiplier;
    int8_t   shift;
    uint8_t  flags, reserved[2];
};

static int setup(void **state)
{
    (void)state;
    pc_reset();
    return 0;
}

static struct record *record(void)
{
    return (struct record *)(void *)(ram + PAGE);
}

/* __pvclock_read_cycles() with pvclock_scale_delta(). */
static uint64_t linux_ns(const struct record *clock, uint64_t tsc)
{
    uint64_t delta = tsc - clock->tsc;

    delta = clock->shift < 0 ? delta >> -clock->shift : delta << clock->shift;
    return clock->system_time + (uint64_t)((unsigned __int128)delta * clock->multiplier >> 32);
}

/* pvclock_tsc_khz(). */
static uint64_t linux_khz(const struct record *clock)
{
    uint64_t khz = (UINT64_C(1000000) << 32) / clock->multiplier;

    return clock->shift < 0 ? khz << -clock->shift : khz >> clock->shift;
}

static void a_frequency_that_the_board_knows(void **state)
{
    uint64_t before, start;

    (void)state;
    board.pc.tsc_hz = 3 * GHZ;
    clock_init();
    before = arch_time_ns();
    start = pc_tsc;
    pc_tsc += 30 * GHZ;
    assert_in_range(arch_time_ns() - before, 10 * GHZ, 10 * GHZ + 10);
    assert_int_equal(arch_counter(), start + 30 * GHZ + 20);
}

static void time_never_goes_back(void **state)
{
    uint64_t last = 0;

    (void)state;
    board.pc.tsc_hz = 3 * GHZ;
    clock_init();
    pc_tsc = 3 * GHZ - 5000;
    pc_tsc_step = 1;                /* over a whole second, count by count */
    for (uint32_t i = 0; i < 10000; i++) {
        uint64_t now = arch_time_ns();

        assert_true(now >= last && (last == 0 || now - last <= 1));
        last = now;
    }
    pc_tsc = UINT64_MAX - 1000000;  /* 195 years; and nothing overflows before */
    assert_true(arch_time_ns() > last);
}

static void a_frequency_that_the_cpu_knows(void **state)
{
    uint64_t before;

    (void)state;
    board.pc.tsc_hz = 0;
    pc_cpuid(0)->reg[0] = 0x16;
    *pc_cpuid(0x15) = (struct cpuid){ { 2, 216, 24000000, 0 } };  /* 2.592 GHz */
    clock_init();
    before = arch_time_ns();
    pc_tsc += UINT64_C(25920000000);
    assert_in_range(arch_time_ns() - before, 10 * GHZ, 10 * GHZ + 10);
}

static void measure_at(uint64_t hz)
{
    uint64_t before, last;

    board.pc.tsc_hz = 0;
    pc_tsc_hz = hz;
    pc_tsc_step = hz / 500000;  /* 2 us from one reading to the next */
    pc_cpuid(0)->reg[0] = 0x0d;
    clock_init();
    pc_forget();
    last = arch_time_ns();
    for (uint64_t end = pc_tsc + hz / 50; pc_tsc < end;) {  /* 20 ms of readings */
        uint64_t now = arch_time_ns();

        assert_true(now >= last && now - last < 100000);     /* neither back nor far ahead when it becomes known */
        last = now;
    }
    before = arch_time_ns();
    pc_tsc += 10 * hz;
    assert_in_range(arch_time_ns() - before, 10 * GHZ - GHZ / 100, 10 * GHZ + GHZ / 100);
}

static void a_frequency_that_is_measured(void **state)
{
    (void)state;
    measure_at(GHZ);
    measure_at(2 * GHZ + 345678901);
    measure_at(5 * GHZ);
    measure_at(200000000);
}

static void half_of_what_the_cpu_tells_is_not_enough(void **state)
{
    static const struct cpuid partial[] = { { { 0, 0, 0, 0 } }, { { 2, 216, 0, 0 } }, { { 0, 216, 24000000, 0 } },
                                            { { 2, 0, 24000000, 0 } } };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(partial); i++) {
        pc_cpuid(0)->reg[0] = 0x16;
        *pc_cpuid(0x15) = partial[i];
        measure_at(2 * GHZ);
    }
}

/* Wherever the host stops for a second: the frequency that is found is right. */
static void a_pause_between_two_readings(void **state)
{
    (void)state;
    for (uint32_t first = 0; first < 2; first++) {
        for (uint32_t at = 1; at <= 40; at++) {
            uint64_t before;

            pc_reset();
            board.pc.tsc_hz = 0;
            pc_cpuid(0)->reg[0] = 0x0d;
            pc_tsc_hz = GHZ;
            pc_tsc_step = 2000;
            pc_pause_at = first ? at : 0;
            clock_init();
            pc_forget();
            pc_tsc += GHZ / 50;
            pc_pause_at = first ? pc_pause_at : at;
            for (uint32_t i = 0; i < 40; i++) {
                (void)arch_time_ns();
            }
            pc_tsc += 3 * GHZ;      /* where the pair had to be begun anew */
            (void)arch_time_ns();
            pc_tsc += GHZ / 50;
            (void)arch_time_ns();
            before = arch_time_ns();
            pc_tsc += 10 * GHZ;
            assert_in_range(arch_time_ns() - before, 10 * GHZ - GHZ / 100, 10 * GHZ + GHZ / 100);
        }
    }
}

/* Nobody asked for so long that the ACPI timer has gone round: the pair of readings is begun anew. */
static void a_pair_that_is_too_far_apart(void **state)
{
    uint64_t before;

    (void)state;
    board.pc.tsc_hz = 0;
    pc_tsc_hz = GHZ;
    clock_init();
    pc_tsc += 5 * GHZ;
    (void)arch_time_ns();
    pc_tsc += GHZ / 50;
    (void)arch_time_ns();
    before = arch_time_ns();
    pc_tsc += 10 * GHZ;
    assert_in_range(arch_time_ns() - before, 10 * GHZ - GHZ / 100, 10 * GHZ + GHZ / 100);
}

static void the_acpi_timer_wraps_between_two_readings(void **state)
{
    uint64_t before, ticks = 0x1000000 - 1000;

    (void)state;
    board.pc.tsc_hz = 0;
    pc_tsc_hz = GHZ;
    pc_tsc = (pc_tsc / (UINT64_C(16) * GHZ) + 1) * UINT64_C(16) * GHZ;
    while ((pc_tsc / 1000 * 3579545 / 1000000 & 0xffffff) < ticks) {
        pc_tsc += 100000;
    }
    clock_init();
    pc_tsc += GHZ / 20;
    (void)arch_time_ns();
    before = arch_time_ns();
    pc_tsc += 10 * GHZ;
    assert_in_range(arch_time_ns() - before, 10 * GHZ - GHZ / 100, 10 * GHZ + GHZ / 100);
}

static void without_any_clock(void **state)
{
    uint64_t before;

    (void)state;
    board.pc.tsc_hz = 0;
    board.pc.pm_timer = 0;
    clock_init();
    before = arch_time_ns();
    pc_tsc += 8 * GHZ;
    assert_in_range(arch_time_ns() - before, GHZ, GHZ + 100);
    clock_page(&board_partitions[LINUX], PAGE | 1);   /* it does not wait for ever */
    assert_int_equal(record()->version, 2);
}

/* ---------------------------------------------------------------- the guest's page */

static void the_guest_counts_as_linux_does(void **state)
{
    static const uint64_t frequencies[] = { 1, 999, 1000000, 33333333, 999999999, GHZ, GHZ + 1, 1500000000, 1999999999,
                                            2 * GHZ, 2 * GHZ + 1, 2593906000, 3 * GHZ, 4 * GHZ, 4 * GHZ + 1, 5700000000,
                                            UINT64_C(20000000000) };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(frequencies); i++) {
        uint64_t hz = frequencies[i];

        board.pc.tsc_hz = hz;
        clock_init();
        memset(ram + PAGE, 0xee, 64);
        clock_page(&board_partitions[LINUX], PAGE | 1);
        assert_int_equal(record()->version & 1, 0);
        assert_int_equal(record()->flags, 1);
        assert_int_equal(record()->multiplier >> 31, 1);
        for (uint64_t seconds = 1; seconds <= 1000 && seconds * hz < UINT64_C(1) << 40; seconds *= 10) {
            uint64_t ns = linux_ns(record(), seconds * hz);

            assert_in_range(ns, seconds * GHZ - seconds * 10 - 2, seconds * GHZ + seconds * 10);
        }
        if (hz >= 1000000) {
            assert_in_range(linux_khz(record()), hz / 1000 - 1, hz / 1000 + 1);
        }
        assert_int_equal(ram[PAGE + 32], 0xee);
    }
}

static void a_page_is_only_written_in_the_partitions_ram(void **state)
{
    static const uint64_t elsewhere[] = { RAM_SIZE - 28, RAM_SIZE, 0xfec00000, HIGH_RAM - 32, HIGH_RAM - 4,
                                          HIGH_RAM + HIGH_SIZE - 28, UINT64_MAX, UINT64_MAX - 31, 0x8000000000000000 };
    static uint8_t before[RAM_SIZE], high_before[HIGH_SIZE];

    (void)state;
    memcpy(before, ram, RAM_SIZE);
    memcpy(high_before, high_ram, HIGH_SIZE);
    for (uint32_t i = 0; i < ARRAY_COUNT(elsewhere); i++) {
        clock_page(&board_partitions[LINUX], elsewhere[i] | 1);
    }
    clock_page(&board_partitions[LINUX], PAGE);        /* off */
    clock_page(&board_partitions[LINUX], PAGE | 2);
    assert_memory_equal(before, ram, RAM_SIZE);
    assert_memory_equal(high_before, high_ram, HIGH_SIZE);
    clock_page(&board_partitions[LINUX], (RAM_SIZE - 32) | 1);
    assert_int_equal(ram[RAM_SIZE - 32], 2);
    clock_page(&board_partitions[LINUX], (HIGH_RAM + 0x100) | 3);
    assert_int_equal(high_ram[0x100], 2);
    assert_int_equal(pc_cr3[0], HOST_CR3);
}

/* A guest that asks before the frequency is known waits a moment for it. */
static void a_page_before_the_measurement(void **state)
{
    (void)state;
    board.pc.tsc_hz = 0;
    pc_tsc_hz = 3 * GHZ;
    pc_tsc_step = 10000;
    clock_init();
    clock_page(&board_partitions[LINUX], PAGE | 1);
    assert_in_range(linux_khz(record()), 2997000, 3003000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_frequency_that_the_board_knows, setup),
        cmocka_unit_test_setup(time_never_goes_back, setup),
        cmocka_unit_test_setup(a_frequency_that_the_cpu_knows, setup),
        cmocka_unit_test_setup(a_frequency_that_is_measured, setup),
        cmocka_unit_test_setup(a_pause_between_two_readings, setup),
        cmocka_unit_test_setup(half_of_what_the_cpu_tells_is_not_enough, setup),
        cmocka_unit_test_setup(a_pair_that_is_too_far_apart, setup),
        cmocka_unit_test_setup(the_acpi_timer_wraps_between_two_readings, setup),
        cmocka_unit_test_setup(without_any_clock, setup),
        cmocka_unit_test_setup(the_guest_counts_as_linux_does, setup),
        cmocka_unit_test_setup(a_page_is_only_written_in_the_partitions_ram, setup),
        cmocka_unit_test_setup(a_page_before_the_measurement, setup),
    };

    return cmocka_run_group_tests_name("x86_clock", tests, NULL, NULL);
}
