/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/arm64/exits.c arch/arm64/traps.c arch/arm64/psci.c arch/arm64/vgic.c arch/arm64/channel.c core/channel.c */
/* tests: arch/arm64/vgic_dist.c arch/arm64/vgic_redist.c arch/arm64/gicv3.c arch/arm64/cpu.c */
/* tests: arch/arm64/memory.c core/fault.c core/partition.c core/vuart.c ../tests/unit/machine.c */
/* with: CHANNELS */
/* A guest's accesses to the pages of its doorbells: whom they ring, and that none of them is a fault. */
#include "machine.h"

#include <arch/arm64/traps.h>
#include <arch/arm64/vgic.h>
#include <hv/arch.h>
#include <hv/channel.h>

#define PC       UINT64_C(0x40009000)
#define PAGE     UINT64_C(0x0a000000)
#define OTHER    UINT64_C(0x0a001000)
#define XZR      31u
#define OLD      UINT64_C(0xdeadbeefdeadbeef)

static const uint32_t one[] = { 50 }, two[] = { 35, 1019 };
static const struct layout_doorbell bells[] = { { .page = { PAGE }, .intids = one, .intid_count = 1 },
                                                { .page = { OTHER }, .intids = two, .intid_count = 2 } };

static int setup(void **state)
{
    (void)state;
    machine_boot();
    board_partitions[LINUX].doorbells = bells;
    board_partitions[LINUX].doorbell_count = 2;
    REG(elr_el2) = PC;
    return 0;
}

/* By the way that vectors.S takes: x0..x18 by the short one. True: the guest goes on behind the instruction. */
static void abort_to(struct cpu *cpu, uint64_t esr)
{
    if (bits(esr, 20, 16) <= 18) {
        trap_data_abort(cpu, esr);
    } else {
        trap_slow(cpu, esr);
    }
}

static bool passes(uint32_t core, uint64_t ipa, uint64_t iss, bool wide)
{
    struct cpu *cpu = on(core);

    REG(hpfar_el2) = (ipa >> 12) << 4;
    REG(far_el2) = UINT64_C(0xffff800000000000) | (ipa & 0xfffu);
    REG(elr_el2) = PC;
    machine_forget();
    memset(&dist.pending, 0, sizeof(dist.pending));
    return comes_back(abort_to, cpu, (uint64_t)EC_DATA_ABORT_LOW << 26 | (wide ? ESR_IL : 0) | iss | 0x6) &&
           said[0] == '\0' && REG(elr_el2) == PC + (wide ? 4 : 2);
}

static bool pends(uint32_t intid)
{
    return (dist.pending[intid / 32] >> (intid % 32) & 1u) != 0;
}

/* What the guest's registers were, and are. */
static void fill(void)
{
    for (uint32_t i = 0; i < 31; i++) {
        cpu_at(0)->x[i] = OLD + i;
    }
}

static void assert_filled_but(uint32_t reg)
{
    for (uint32_t i = 0; i < 31; i++) {
        assert_int_equal(cpu_at(0)->x[i], i == reg ? 0 : OLD + i);
    }
}

static void every_store_rings(void **state)
{
    (void)state;
    for (uint64_t size = 0; size < 4; size++) {
        for (uint64_t reg = 0; reg <= XZR; reg++) {
            for (uint64_t at = 0; at < 0x1000; at += 0x3ff) {
                fill();
                assert_true(passes(0, PAGE + at, ISS_ISV | size << 22 | reg << 16 | ISS_WNR, true));
                assert_true(pends(50) && !pends(35) && !pends(1019));
                assert_filled_but(XZR);
            }
        }
    }
    assert_true(passes(0, PAGE, ISS_ISV | ISS_WNR, false));         /* a 16-bit instruction */
    assert_true(pends(50));
    assert_true(passes(0, PAGE, ISS_WNR | 7u << 16, true));         /* a pair: the syndrome does not say what */
    assert_true(pends(50));
    assert_true(passes(0, PAGE, ISS_WNR | ISS_CM, true));           /* cache maintenance */
}

static void short_loads_give_zero(void **state)
{
    (void)state;
    for (uint64_t size = 0; size < 3; size++) {
        for (uint64_t reg = 0; reg <= XZR; reg++) {
            fill();
            assert_true(passes(0, PAGE + 0x7f0, ISS_ISV | size << 22 | reg << 16 | ISS_SSE, true));
            assert_false(pends(50));
            assert_filled_but((uint32_t)reg);
        }
    }
    fill();
    assert_true(passes(0, PAGE, 9u << 16, true));                   /* of a pair: nobody knows which registers */
    assert_filled_but(XZR);
    assert_int_equal(write_count, 0);
}

/* Of whatever the guest's own counter began with. */
static void loads_of_eight_bytes_give_the_boards_count(void **state)
{
    (void)state;
    for (uint64_t reg = 0; reg <= XZR; reg++) {
        uint64_t before = machine_ticks;

        fill();
        assert_true(passes(0, PAGE + 0x7f0, ISS_ISV | UINT64_C(3) << 22 | reg << 16 | ISS_SF, true));
        if (reg != XZR) {
            assert_in_range(cpu_at(0)->x[reg], before + 1, machine_ticks);
            cpu_at(0)->x[reg] = 0;
        }
        assert_filled_but((uint32_t)reg);
        assert_false(pends(50));
    }
    assert_int_equal(write_count, 0);
}

/* Whatever an earlier life made of them; those of others are left alone. */
static void the_interrupts_are_edge_triggered_at_each_start(void **state)
{
    (void)state;
    memset(dist.config, 0, sizeof(dist.config));
    vgic_reset(&board_partitions[FLIGHT]);
    for (uint32_t i = 0; i < ARRAY_COUNT(dist.config); i++) {
        assert_int_equal(dist.config[i], i == 50 / 16 ? 2u << 2 * (50 % 16) : i == 1019 / 16 ? 2u << 2 * (1019 % 16) : 0);
    }
    vgic_reset(&board_partitions[SPARE]);
    assert_int_equal(dist.config[35 / 16], 2u << 2 * (35 % 16));
    vgic_reset(&board_partitions[LINUX]);                           /* rung by nobody */
    assert_int_equal(dist.config[40 / 16], 2u << 2 * (35 % 16));
}

/* What was stored before the ring is there before the interrupt. */
static void a_barrier_comes_first(void **state)
{
    (void)state;
    assert_true(passes(0, PAGE, ISS_ISV | ISS_WNR, true));
    assert_true(machine_did("dmb sy"));
}

static void each_page_has_its_receivers(void **state)
{
    (void)state;
    assert_true(passes(0, OTHER + 0xfff, ISS_ISV | ISS_WNR, true));
    assert_true(pends(35) && pends(1019) && !pends(50));
    for (uint32_t i = 0; i < write_count; i++) {                    /* and nothing else is written anywhere */
        assert_true(writes[i].address == DIST + GICD_ISPENDR + 4 || writes[i].address == DIST + GICD_ISPENDR + 124);
    }
    assert_int_equal(write_count, 2);
}

static void beside_the_pages_is_a_fault(void **state)
{
    static const uint64_t outside[] = { PAGE - 1, OTHER + 0x1000, 0, UINT64_C(0xfffffffff000) };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(outside); i++) {
        (void)setup(NULL);
        assert_false(passes(0, outside[i], ISS_ISV | ISS_WNR, true));
        assert_non_null(strstr(said, "FAULT linux, vcpu 0: write to"));
        assert_false(pends(50) || pends(35) || pends(1019));
    }
    (void)setup(NULL);
    assert_false(passes(0, PAGE, ISS_ISV | ISS_S1PTW, true));       /* page tables there: its own fault */
    assert_non_null(strstr(said, "its page tables lie at"));
    (void)setup(NULL);
    assert_false(passes(5, PAGE, ISS_ISV | ISS_WNR, true));         /* another partition has no doorbell there */
    assert_non_null(strstr(said, "FAULT spare, vcpu 0: write to"));
    assert_false(pends(50));
}

/* What caches held goes first, then zeros go to memory; both through the loader map of a partition that has it. */
static void memory_of_a_channel(void **state)
{
    static const struct layout_channel channel = { .name = "a", .pa = { 0x60000000 }, .size = 0x1000, .loader = FLIGHT };
    uint32_t dropped = 0, zeroed = 0;

    (void)state;
    board.channels = &channel;
    board.channel_count = 1;
    REG(ttbr0_el2) = 0;
    machine_forget();
    channel_init();
    for (uint32_t i = 0; i < instruction_count; i++) {
        zeroed += strncmp(instructions[i], "stp xzr, xzr", 12) == 0 ? 1u : 0;
        if (strncmp(instructions[i], "dc civac", 8) == 0) {
            assert_int_equal(zeroed, 0);
            dropped++;
        }
    }
    assert_int_equal(dropped, 0x1000 / 64);
    assert_int_equal(zeroed, 0x1000 / 16);
    assert_int_equal(REG(ttbr0_el2), board.el2_ttbr);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_store_rings, setup),
        cmocka_unit_test_setup(short_loads_give_zero, setup),
        cmocka_unit_test_setup(loads_of_eight_bytes_give_the_boards_count, setup),
        cmocka_unit_test_setup(the_interrupts_are_edge_triggered_at_each_start, setup),
        cmocka_unit_test_setup(a_barrier_comes_first, setup),
        cmocka_unit_test_setup(each_page_has_its_receivers, setup),
        cmocka_unit_test_setup(beside_the_pages_is_a_fault, setup),
        cmocka_unit_test_setup(memory_of_a_channel, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
