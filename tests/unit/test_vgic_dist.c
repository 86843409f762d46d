/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/arm64/vgic_dist.c arch/arm64/vgic.c arch/arm64/gicv3.c arch/arm64/cpu.c */
/* tests: arch/arm64/memory.c core/partition.c core/vuart.c ../tests/unit/machine.c */
#include "machine.h"

#include <hv/arch.h>

#define LINUX_WORD1   (1u << 8 | 1u << 9)   /* INTIDs 40, 41 */
#define VUART_BIT     (1u << 1)             /* 33 */
#define LINUX_WORD2   (1u << 15)            /* 79 */
#define FLIGHT_WORD1  (1u << 18)            /* 50 */

static int setup(void **state)
{
    (void)state;
    machine_boot();
    return 0;
}

static uint32_t read32(uint32_t core, uint32_t at)
{
    uint64_t value = 0xdead;

    assert_true(vgic_dist_read(on(core), at, 4, &value));
    return (uint32_t)value;
}

static void write32(uint32_t core, uint32_t at, uint32_t value)
{
    assert_true(vgic_dist_write(on(core), at, 4, value));
}

/* The bits that a bank of one bit an interrupt gained or lost in the physical distributor. */
static void fill(uint32_t *words, uint32_t value)
{
    for (uint32_t i = 0; i < 32; i++) {
        words[i] = value;
    }
}

static void assert_changed(const uint32_t *words, uint32_t before, uint32_t partition)
{
    for (uint32_t i = 0; i < 32; i++) {
        assert_int_equal(words[i] ^ before, board_partitions[partition].spi[i]);
    }
}

static void enables_only_what_it_owns(void **state)
{
    static const uint32_t core_of[] = { 0, 3, 5 };

    (void)state;
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        machine_boot();
        fill(dist.enable, 0);
        write32(core_of[p], GICD_CTLR, GICD_CTLR_G1);
        for (uint32_t word = 0; word < 32; word++) {
            write32(core_of[p], GICD_ISENABLER + 4u * word, UINT32_MAX);
        }
        assert_changed(dist.enable, 0, p);
        fill(dist.enable, UINT32_MAX);
        for (uint32_t word = 0; word < 32; word++) {
            write32(core_of[p], GICD_ICENABLER + 4u * word, UINT32_MAX);
        }
        assert_changed(dist.enable, UINT32_MAX, p);
    }
}

static void states_of_others_are_out_of_reach(void **state)
{
    static const uint32_t sets[] = { GICD_ISPENDR, GICD_ISACTIVER }, clears[] = { GICD_ICPENDR, GICD_ICACTIVER };

    (void)state;
    for (uint32_t bank = 0; bank < 2; bank++) {
        uint32_t *words = bank == 0 ? dist.pending : dist.active;

        fill(words, 0);
        for (uint32_t word = 0; word < 32; word++) {
            write32(0, sets[bank] + 4u * word, UINT32_MAX);
        }
        assert_changed(words, 0, LINUX);
        fill(words, UINT32_MAX);
        for (uint32_t word = 0; word < 32; word++) {
            assert_int_equal(read32(0, sets[bank] + 4u * word), board_partitions[LINUX].spi[word]);
            assert_int_equal(read32(0, clears[bank] + 4u * word), board_partitions[LINUX].spi[word]);
            write32(0, clears[bank] + 4u * word, UINT32_MAX);
        }
        assert_changed(words, UINT32_MAX, LINUX);
    }
}

static void enable_reads_back_what_the_guest_wrote(void **state)
{
    (void)state;
    fill(dist.enable, UINT32_MAX);
    assert_int_equal(read32(0, GICD_ISENABLER + 4), 0);
    write32(0, GICD_ISENABLER + 4, 1u << 8 | 1u << 20 | VUART_BIT);
    assert_int_equal(read32(0, GICD_ISENABLER + 4), 1u << 8 | VUART_BIT);
    assert_int_equal(read32(0, GICD_ICENABLER + 4), 1u << 8 | VUART_BIT);
    write32(0, GICD_ICENABLER + 4, VUART_BIT | 1u << 9);
    assert_int_equal(read32(0, GICD_ISENABLER + 4), 1u << 8);
    assert_int_equal(read32(5, GICD_ISENABLER + 4), 0);
}

static void ctlr_switches_all_of_the_partition(void **state)
{
    (void)state;
    write32(0, GICD_ISENABLER + 4, LINUX_WORD1);
    write32(0, GICD_ISENABLER + 8, LINUX_WORD2);
    assert_int_equal(dist.enable[1] & LINUX_WORD1, 0);  /* the group is still off */
    write32(0, GICD_CTLR, GICD_CTLR_G1 | GICD_CTLR_ARE);
    assert_int_equal(dist.enable[1], LINUX_WORD1 | 1u << (UART_INTID - 32));
    assert_int_equal(dist.enable[2], LINUX_WORD2);
    write32(3, GICD_CTLR, GICD_CTLR_G1);
    write32(3, GICD_ISENABLER + 4, FLIGHT_WORD1);
    write32(0, GICD_CTLR, 0);
    assert_int_equal(dist.enable[1], FLIGHT_WORD1 | 1u << (UART_INTID - 32));
    assert_int_equal(dist.enable[2], 0);
    assert_int_equal(read32(0, GICD_ISENABLER + 4), LINUX_WORD1);
    write32(0, GICD_CTLR, GICD_CTLR_G1);
    assert_int_equal(dist.enable[1] & LINUX_WORD1, LINUX_WORD1);
}

static void the_physical_distributor_stays_on(void **state)
{
    uint32_t before = dist_ctlr;

    (void)state;
    for (uint32_t bit = 0; bit < 32; bit++) {
        write32(0, GICD_CTLR, 1u << bit);
        write32(3, GICD_CTLR, 1u << bit);
        assert_int_equal(dist_ctlr, before);
    }
    assert_int_equal(before, GICD_CTLR_ARE | GICD_CTLR_G1);
}

static void ctlr_reads_as_one_security_state(void **state)
{
    (void)state;
    assert_int_equal(read32(0, GICD_CTLR), GICD_CTLR_ARE | GICD_CTLR_DS);
    write32(0, GICD_CTLR, UINT32_MAX);
    assert_int_equal(read32(0, GICD_CTLR), GICD_CTLR_ARE | GICD_CTLR_DS | GICD_CTLR_G1 | 1u);
    assert_int_equal(read32(3, GICD_CTLR), GICD_CTLR_ARE);  /* direct: what the physical one says */
    dist_ctlr |= GICD_CTLR_DS;
    assert_int_equal(read32(3, GICD_CTLR), GICD_CTLR_ARE | GICD_CTLR_DS);
}

static void typer_offers_no_lpis(void **state)
{
    uint32_t typer;

    (void)state;
    typer = read32(0, GICD_TYPER);
    assert_int_equal(typer & 0x1f, 0x1f);
    assert_int_equal(typer & (1u << 17 | 1u << 16 | 1u << 8), 0);  /* LPIS, MBIS, ESPI */
    assert_int_equal(typer & GICD_TYPER_NO1N, GICD_TYPER_NO1N);
    assert_int_equal(bits(typer, 23, 19), bits(0x037f041f, 23, 19));
    write32(0, GICD_TYPER, 0);
    assert_int_equal(read32(0, GICD_TYPER), typer);
    assert_int_equal(read32(0, GICD_IIDR), 0x43b);
    assert_int_equal(read32(0, GICD_PIDR2), 0x3b);
}

static void groups_read_as_owned(void **state)
{
    (void)state;
    assert_int_equal(read32(0, GICD_IGROUPR + 4), LINUX_WORD1 | VUART_BIT);
    assert_int_equal(read32(3, GICD_IGROUPR + 4), FLIGHT_WORD1);
    machine_forget();
    write32(0, GICD_IGROUPR + 4, 0);
    assert_int_equal(write_count, 0);
}

static void reserved_registers_read_zero(void **state)
{
    static const uint32_t reserved[] = { 0x00c, 0x010, 0x040, 0x048, 0x07c, 0x800, 0x828, 0xbfc, 0xd00, 0xe00, 0xf00,
                                         0xf10, 0xf30, 0xffc, 0x1000, 0x5ffc, 0x6000, 0x60f8, 0x7fe0, 0x8000, 0xffd0,
                                         0xffe4, 0xffec, 0xfffc };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(reserved); i++) {
        assert_int_equal(read32(0, reserved[i]), 0);
        machine_forget();
        write32(0, reserved[i], UINT32_MAX);
        assert_int_equal(write_count, 0);
    }
}

static void priorities_keep_off_the_hypervisors(void **state)
{
    (void)state;
    memset(dist.priority, 0x77, sizeof(dist.priority));
    write32(0, GICD_IPRIORITYR + 40, 0x00000850);  /* 40: 0x50, 41: 0x08, 42 and 43: 0 */
    assert_int_equal(dist.priority[40], 0x50);
    assert_int_equal(dist.priority[41], GIC_GUEST_LOWEST);
    assert_int_equal(dist.priority[42], 0x77);
    assert_int_equal(dist.priority[43], 0x77);
    assert_int_equal(read32(0, GICD_IPRIORITYR + 40), GIC_GUEST_LOWEST << 8 | 0x50);
    write32(3, GICD_IPRIORITYR + 48, 0);           /* direct: 50 is the guest's alone */
    assert_int_equal(dist.priority[50], 0);
    assert_int_equal(dist.priority[48], 0x77);
}

static void priorities_by_the_byte(void **state)
{
    uint64_t value;

    (void)state;
    memset(dist.priority, 0x77, sizeof(dist.priority));
    for (uint32_t intid = 32; intid < 1020; intid++) {
        bool owned = (board_partitions[LINUX].spi[intid / 32] >> (intid % 32) & 1u) != 0;

        assert_true(vgic_dist_write(on(0), GICD_IPRIORITYR + intid, 1, 0x90));
        assert_int_equal(dist.priority[intid], owned ? 0x90 : 0x77);
        assert_true(vgic_dist_read(on(0), GICD_IPRIORITYR + intid, 1, &value));
        assert_int_equal((uint8_t)value, owned || intid == 33 ? 0x90 : 0);
    }
}

static void configuration_by_pairs(void **state)
{
    (void)state;
    memset(dist.config, 0x55, sizeof(dist.config));
    write32(0, GICD_ICFGR + 8, UINT32_MAX);   /* INTIDs 32..47 */
    assert_int_equal(dist.config[2], 0x555f5555);
    assert_int_equal(read32(0, GICD_ICFGR + 8), 0x000f0000);
    write32(0, GICD_ICFGR + 16, UINT32_MAX);  /* 64..79 */
    assert_int_equal(dist.config[4], 0xd5555555);
    write32(5, GICD_ICFGR + 12, UINT32_MAX);  /* 48..63: nothing of it */
    assert_int_equal(dist.config[3], 0x55555555);
    assert_int_equal(read32(5, GICD_ICFGR + 12), 0);
}

static void route(uint32_t core, uint32_t intid, uint64_t affinity)
{
    assert_true(vgic_dist_write(on(core), GICD_IROUTER + 8u * intid, 8, affinity));
}

static uint64_t routed(uint32_t core, uint32_t intid)
{
    uint64_t value;

    assert_true(vgic_dist_read(on(core), GICD_IROUTER + 8u * intid, 8, &value));
    return value;
}


static void routes_are_translated(void **state)
{
    (void)state;
    assert_int_equal(routed(0, 40), 0);
    route(0, 40, 2);
    assert_int_equal(gic_route[40], 0x100);
    assert_int_equal(routed(0, 40), 2);
    route(3, 50, 1);
    assert_int_equal(gic_route[50], UINT64_C(0x100000200));
    assert_int_equal(routed(3, 50), 1);
    route(0, 79, UINT64_C(1) << 31);  /* any core: the first */
    assert_int_equal(gic_route[79], 0);
}

static void routes_to_strangers_are_ignored(void **state)
{
    static const uint64_t strangers[] = { 3, 0x100, 0x101, UINT64_C(0x100000200), UINT64_C(1) << 32, 0xff };

    (void)state;
    route(0, 40, 1);
    for (uint32_t i = 0; i < ARRAY_COUNT(strangers); i++) {
        route(0, 40, strangers[i]);
        assert_int_equal(gic_route[40], 0x001);
    }
    for (uint32_t intid = 32; intid < 1020; intid++) {
        if ((board_partitions[LINUX].spi[intid / 32] >> (intid % 32) & 1u) == 0) {
            uint64_t before = gic_route[intid];

            route(0, intid, 1);
            assert_int_equal(gic_route[intid], before);
            assert_int_equal(routed(0, intid), intid == 33 ? 1 : 0);
        }
    }
    route(3, 1019, 1);
    assert_int_equal(gic_route[1019], UINT64_C(0x100000200));
}

static void the_vuart_is_routed_and_prioritised_here(void **state)
{
    (void)state;
    machine_forget();
    route(0, 33, 2);
    assert_int_equal(routed(0, 33), 2);
    write32(0, GICD_IPRIORITYR + 32, 0x0000c000);
    assert_int_equal(read32(0, GICD_IPRIORITYR + 32), 0x0000c000);
    write32(0, GICD_IPRIORITYR + 32, 0);
    assert_int_equal(read32(0, GICD_IPRIORITYR + 32), GIC_GUEST_LOWEST << 8);
    assert_int_equal(write_count, 0);  /* the physical interrupt 33 is somebody else's */
}

static void pieces_of_words(void **state)
{
    uint64_t value;

    (void)state;
    write32(0, GICD_ISENABLER + 4, LINUX_WORD1);
    assert_true(vgic_dist_read(on(0), GICD_ISENABLER + 5, 1, &value));
    assert_int_equal((uint8_t)value, LINUX_WORD1 >> 8);
    assert_true(vgic_dist_read(on(0), GICD_ISENABLER + 4, 2, &value));
    assert_int_equal((uint16_t)value, LINUX_WORD1);
    assert_false(vgic_dist_read(on(0), GICD_ISENABLER, 8, &value));
    machine_forget();
    assert_false(vgic_dist_write(on(0), GICD_ISENABLER + 4, 8, UINT64_MAX));
    assert_false(vgic_dist_write(on(0), GICD_ISENABLER + 4, 1, 0xff));
    assert_false(vgic_dist_write(on(0), GICD_ISENABLER + 4, 2, 0xffff));
}

/* Whatever is written wherever, at any size: only bits of owned interrupts change. */
static void no_write_touches_what_is_not_owned(void **state)
{
    static const uint32_t sizes[] = { 1, 2, 4, 8 };
    static struct bank before;
    static uint64_t routes[1024];
    uint32_t seed = 99;

    (void)state;
    for (uint32_t i = 0; i < sizeof(dist); i++) {
        ((uint8_t *)&dist)[i] = (uint8_t)(i * 37u);
    }
    memcpy(&before, &dist, sizeof(dist));
    memcpy(routes, gic_route, sizeof(routes));
    for (uint32_t run = 0; run < 100000; run++) {
        uint32_t size, at;

        seed = seed * 1664525u + 1013904223u;
        size = sizes[seed >> 8 & 3u];
        at = ((seed >> 10) % 0x10000u) & ~(size - 1u);
        write_count = 0;
        sgi_count = 0;
        (void)vgic_dist_write(on(run % 3u), at, size, (uint64_t)seed << 32 | ~seed);
    }
    for (uint32_t intid = 32; intid < 1020; intid++) {
        uint32_t word = intid / 32u, bit = 1u << (intid % 32u);

        if ((board_partitions[LINUX].spi[word] & bit) != 0) {
            continue;
        }
        assert_int_equal(dist.group[word] & bit, before.group[word] & bit);
        assert_int_equal(dist.enable[word] & bit, before.enable[word] & bit);
        assert_int_equal(dist.pending[word] & bit, before.pending[word] & bit);
        assert_int_equal(dist.active[word] & bit, before.active[word] & bit);
        assert_int_equal(dist.config[intid / 16u] >> (2u * (intid % 16u)) & 3u,
                         before.config[intid / 16u] >> (2u * (intid % 16u)) & 3u);
        assert_int_equal(dist.priority[intid], before.priority[intid]);
        assert_int_equal(gic_route[intid], routes[intid]);
    }
    assert_int_equal(dist.priority[40] < GIC_GUEST_LOWEST, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(enables_only_what_it_owns, setup),
        cmocka_unit_test_setup(states_of_others_are_out_of_reach, setup),
        cmocka_unit_test_setup(enable_reads_back_what_the_guest_wrote, setup),
        cmocka_unit_test_setup(ctlr_switches_all_of_the_partition, setup),
        cmocka_unit_test_setup(the_physical_distributor_stays_on, setup),
        cmocka_unit_test_setup(ctlr_reads_as_one_security_state, setup),
        cmocka_unit_test_setup(typer_offers_no_lpis, setup),
        cmocka_unit_test_setup(groups_read_as_owned, setup),
        cmocka_unit_test_setup(reserved_registers_read_zero, setup),
        cmocka_unit_test_setup(priorities_keep_off_the_hypervisors, setup),
        cmocka_unit_test_setup(priorities_by_the_byte, setup),
        cmocka_unit_test_setup(configuration_by_pairs, setup),
        cmocka_unit_test_setup(routes_are_translated, setup),
        cmocka_unit_test_setup(routes_to_strangers_are_ignored, setup),
        cmocka_unit_test_setup(the_vuart_is_routed_and_prioritised_here, setup),
        cmocka_unit_test_setup(pieces_of_words, setup),
        cmocka_unit_test_setup(no_write_touches_what_is_not_owned, setup),
    };

    return cmocka_run_group_tests_name("vgic distributor", tests, NULL, NULL);
}
