/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/arm64/vgic_redist.c arch/arm64/vgic.c arch/arm64/gicv3.c arch/arm64/cpu.c */
/* tests: arch/arm64/memory.c core/partition.c core/vuart.c ../tests/unit/machine.c */
#include "machine.h"

#include <hv/arch.h>

#define PPIS_LINUX   (1u << 27 | 1u << 30)
#define PPI_FLIGHT   (1u << 27)
#define SGI_FRAME    GICR_SGI_BASE

static int setup(void **state)
{
    (void)state;
    machine_boot();
    return 0;
}

/* Register `at` of the frame of vcpu `frame`, as seen by the core. */
static uint32_t read32(uint32_t core, uint32_t frame, uint32_t at)
{
    uint64_t value = 0xdead;

    assert_true(vgic_redist_read(on(core), frame * STRIDE + at, 4, &value));
    return (uint32_t)value;
}

static void write32(uint32_t core, uint32_t frame, uint32_t at, uint32_t value)
{
    assert_true(vgic_redist_write(on(core), frame * STRIDE + at, 4, value));
}

static void frames_are_those_of_its_vcpus(void **state)
{
    uint64_t value;

    (void)state;
    for (uint64_t frame = 0; frame < 8; frame++) {
        assert_int_equal(vgic_redist_read(on(0), frame * STRIDE, 4, &value), frame < 3);
        assert_int_equal(vgic_redist_write(on(0), frame * STRIDE + GICR_WAKER, 4, 0), frame < 3);
        assert_int_equal(vgic_redist_read(on(3), frame * STRIDE + SGI_FRAME, 4, &value), frame < 2);
        assert_int_equal(vgic_redist_write(on(5), frame * STRIDE + SGI_FRAME + GICD_ISENABLER, 4, 1), frame < 1);
    }
    assert_false(vgic_redist_read(on(0), UINT64_MAX & ~UINT64_C(7), 4, &value));
}

static void typer_names_the_vcpu_and_the_last(void **state)
{
    uint64_t value;

    (void)state;
    for (uint32_t frame = 0; frame < 3; frame++) {
        assert_true(vgic_redist_read(on(1), frame * STRIDE + GICR_TYPER, 8, &value));
        assert_int_equal(value >> 32, frame);
        assert_int_equal(bits(value, 23, 8), frame);
        assert_int_equal(value >> 4 & 1, frame == 2);
        assert_int_equal(value & 0xf, 0);  /* no LPIs, physical or virtual */
        assert_int_equal(read32(1, frame, GICR_TYPER), (uint32_t)value);
        assert_int_equal(read32(1, frame, GICR_TYPER + 4), value >> 32);
    }
}

static void the_id_registers_are_the_cores(void **state)
{
    (void)state;
    assert_int_equal(read32(0, 0, GICR_IIDR), 0x143b);
    assert_int_equal(read32(0, 2, GICD_PIDR2), 0x3b);
    assert_int_equal(read32(0, 0, GICR_CTLR), 0);
}

static void waker_sleeps_and_wakes(void **state)
{
    (void)state;
    assert_int_equal(read32(0, 0, GICR_WAKER), GICR_WAKER_SLEEP | GICR_WAKER_ASLEEP);
    machine_forget();
    write32(0, 0, GICR_WAKER, 0);
    assert_int_equal(read32(0, 0, GICR_WAKER), 0);
    write32(0, 0, GICR_WAKER, UINT32_MAX);
    assert_int_equal(read32(0, 0, GICR_WAKER), GICR_WAKER_SLEEP | GICR_WAKER_ASLEEP);
    assert_int_equal(write_count, 0);  /* the physical redistributor stays awake */
    assert_int_equal(read32(0, 1, GICR_WAKER), GICR_WAKER_SLEEP | GICR_WAKER_ASLEEP);
}

/* GICR_CTLR, SETLPIR, PROPBASER, PENDBASER and the like: tables in memory, which would be DMA. */
static void lpi_registers_do_nothing(void **state)
{
    static const uint32_t lpi[] = { 0x0000, 0x0040, 0x0048, 0x0070, 0x0074, 0x0078, 0x007c, 0x00a0, 0x00b0, 0x00c0 };

    (void)state;
    machine_forget();
    for (uint32_t i = 0; i < ARRAY_COUNT(lpi); i++) {
        assert_true(vgic_redist_write(on(3), lpi[i], 8, UINT64_MAX));
        assert_int_equal(read32(3, 0, lpi[i]), 0);
    }
    assert_int_equal(write_count, 0);
}

static void enables_its_ppis_only(void **state)
{
    (void)state;
    private_bank[1].enable[0] = 1;  /* the kick */
    write32(0, 1, SGI_FRAME + GICD_ISENABLER, UINT32_MAX);
    assert_int_equal(private_bank[1].enable[0], PPIS_LINUX | 1);
    assert_int_equal(read32(0, 1, SGI_FRAME + GICD_ISENABLER), PPIS_LINUX | 0xffff);
    private_bank[1].enable[0] = UINT32_MAX;
    write32(0, 1, SGI_FRAME + GICD_ICENABLER, UINT32_MAX);
    assert_int_equal(private_bank[1].enable[0], ~PPIS_LINUX);
    assert_int_equal(read32(0, 1, SGI_FRAME + GICD_ICENABLER), 0);
    assert_int_equal(read32(0, 0, SGI_FRAME + GICD_ISENABLER), 0);
}

static void direct_sgis_are_the_cores_own(void **state)
{
    (void)state;
    private_bank[4].enable[0] = 0;
    write32(3, 1, SGI_FRAME + GICD_ISENABLER, UINT32_MAX);
    assert_int_equal(private_bank[4].enable[0], PPI_FLIGHT | 0xffff);
    private_bank[4].pending[0] = 0;
    write32(3, 1, SGI_FRAME + GICD_ISPENDR, UINT32_MAX);
    assert_int_equal(private_bank[4].pending[0], PPI_FLIGHT | 0xffff);
    assert_int_equal(read32(3, 1, SGI_FRAME + GICD_ISPENDR), PPI_FLIGHT | 0xffff);
    private_bank[4].pending[0] = UINT32_MAX;
    write32(3, 1, SGI_FRAME + GICD_ICPENDR, UINT32_MAX);
    assert_int_equal(private_bank[4].pending[0], ~(PPI_FLIGHT | 0xffff));
}

static void states_of_ppis(void **state)
{
    (void)state;
    private_bank[0].pending[0] = UINT32_MAX;
    private_bank[0].active[0] = UINT32_MAX;
    assert_int_equal(read32(0, 0, SGI_FRAME + GICD_ISPENDR), PPIS_LINUX);
    assert_int_equal(read32(0, 0, SGI_FRAME + GICD_ISACTIVER), PPIS_LINUX);
    write32(0, 0, SGI_FRAME + GICD_ICACTIVER, UINT32_MAX);
    write32(0, 0, SGI_FRAME + GICD_ICPENDR, UINT32_MAX);
    assert_int_equal(private_bank[0].pending[0], ~PPIS_LINUX);
    assert_int_equal(private_bank[0].active[0], ~PPIS_LINUX);
    private_bank[0].active[0] = 0;
    write32(0, 0, SGI_FRAME + GICD_ISACTIVER, UINT32_MAX);
    assert_int_equal(private_bank[0].active[0], PPIS_LINUX);
}

static void an_sgi_set_pending_waits_to_be_enabled(void **state)
{
    (void)state;
    write32(0, 0, SGI_FRAME + GICD_ISPENDR, 1u << 5);
    assert_int_equal(read32(0, 0, SGI_FRAME + GICD_ISPENDR), 1u << 5);
    assert_int_equal(guest_take(), 1023);
    write32(0, 0, SGI_FRAME + GICD_ISENABLER, 1u << 5);
    assert_int_equal(guest_take(), 5);
    guest_end(5);
    write32(0, 0, SGI_FRAME + GICD_ICENABLER, 1u << 5);
    write32(0, 0, SGI_FRAME + GICD_ISPENDR, 1u << 5);
    write32(0, 0, SGI_FRAME + GICD_ICPENDR, 1u << 5);
    write32(0, 0, SGI_FRAME + GICD_ISENABLER, 1u << 5);
    assert_int_equal(guest_take(), 1023);
}

static void an_sgi_set_pending_for_another_kicks_it(void **state)
{
    (void)state;
    write32(2, 2, SGI_FRAME + GICD_ISENABLER, 1u << 3);
    machine_forget();
    write32(0, 2, SGI_FRAME + GICD_ISPENDR, 1u << 3);
    assert_int_equal(sgi_count, 1);
    assert_int_equal(machine_sgi_cores(sgis[0].value), 1u << 2);
    vgic_refill(on(2));
    assert_int_equal(guest_take(), 3);
}

static void priorities_of_private_interrupts(void **state)
{
    uint64_t value;

    (void)state;
    write32(0, 0, SGI_FRAME + GICD_IPRIORITYR + 24, 0x40302010);
    assert_int_equal(read32(0, 0, SGI_FRAME + GICD_IPRIORITYR + 24), 0x40302010);
    assert_true(vgic_redist_write(on(0), SGI_FRAME + GICD_IPRIORITYR + 27, 1, 0x88));
    assert_true(vgic_redist_read(on(0), SGI_FRAME + GICD_IPRIORITYR + 27, 1, &value));
    assert_int_equal((uint8_t)value, 0x88);
    assert_int_equal(read32(0, 0, SGI_FRAME + GICD_IPRIORITYR + 24), 0x88302010);
    assert_int_equal(read32(0, 1, SGI_FRAME + GICD_IPRIORITYR + 24), GIC_DEFAULT * 0x01010101u);
    /* the kick's and the maintenance interrupt's are the hypervisor's */
    write32(0, 0, SGI_FRAME + GICD_IPRIORITYR, 0xffffffff);
    assert_int_equal(private_bank[0].priority[GIC_KICK_VIRTUAL], 0);
    assert_int_equal(private_bank[0].priority[MAINTENANCE], 0);
}

static void priorities_of_a_direct_core(void **state)
{
    (void)state;
    memset(private_bank[3].priority, 0x77, sizeof(private_bank[3].priority));
    write32(3, 0, SGI_FRAME + GICD_IPRIORITYR + 24, 0x11223344);
    assert_int_equal(private_bank[3].priority[27], 0x11);
    assert_int_equal(private_bank[3].priority[26], 0x77);
    assert_int_equal(read32(3, 0, SGI_FRAME + GICD_IPRIORITYR + 24), 0x11000000);
    write32(3, 0, SGI_FRAME + GICD_IPRIORITYR, 0x01020304);
    assert_int_equal(private_bank[3].priority[0], 4);
    assert_int_equal(private_bank[3].priority[3], 1);
}

static void configuration_of_ppis(void **state)
{
    (void)state;
    assert_int_equal(read32(0, 0, SGI_FRAME + GICD_ICFGR), 0xaaaaaaaa);
    private_bank[0].config[1] = 0x55555555;
    write32(0, 0, SGI_FRAME + GICD_ICFGR + 4, UINT32_MAX);
    assert_int_equal(private_bank[0].config[1], 0x75d55555);
    assert_int_equal(read32(0, 0, SGI_FRAME + GICD_ICFGR + 4), 0x30c00000);
    machine_forget();
    write32(0, 0, SGI_FRAME + GICD_ICFGR, 0);
    write32(0, 0, SGI_FRAME + GICD_IGROUPR, 0);
    assert_int_equal(write_count, 0);
    assert_int_equal(read32(0, 0, SGI_FRAME + GICD_IGROUPR), UINT32_MAX);
}

/* Whatever is written wherever: other partitions' cores and interrupts that are not its own stay. */
static void no_write_touches_what_is_not_owned(void **state)
{
    static const uint32_t sizes[] = { 1, 2, 4, 8 };
    static struct bank before[CORES];
    uint32_t seed = 4711;

    (void)state;
    for (uint32_t core = 0; core < CORES; core++) {
        for (uint32_t i = 0; i < sizeof(struct bank); i++) {
            ((uint8_t *)&private_bank[core])[i] = (uint8_t)(i * 41u + core);
        }
    }
    memcpy(before, private_bank, sizeof(before));
    for (uint32_t run = 0; run < 100000; run++) {
        uint32_t size;
        uint64_t at;

        seed = seed * 1664525u + 1013904223u;
        size = sizes[seed >> 8 & 3u];
        at = (seed >> 10) % (CORES * STRIDE);
        at = (run % 2 == 0 ? at : (at & ~UINT64_C(0x1f000)) | SGI_FRAME) & ~(uint64_t)(size - 1u);
        write_count = sgi_count = 0;
        (void)vgic_redist_write(on(run % 3u), at, size, (uint64_t)seed << 32 | ~seed);
    }
    for (uint32_t core = 0; core < CORES; core++) {
        uint32_t mine = core < 3 ? PPIS_LINUX : 0;
        const struct bank *now = &private_bank[core], *was = &before[core];

        assert_int_equal((now->enable[0] ^ was->enable[0]) & ~mine, 0);
        assert_int_equal((now->pending[0] ^ was->pending[0]) & ~mine, 0);
        assert_int_equal((now->active[0] ^ was->active[0]) & ~mine, 0);
        assert_int_equal(now->group[0], was->group[0]);
        assert_memory_equal(now->priority, was->priority, sizeof(now->priority));
        for (uint32_t intid = 16; intid < 32; intid++) {
            uint32_t shift = 2u * (intid - 16u);

            assert_true((mine >> intid & 1u) != 0 || (now->config[1] >> shift & 3u) == (was->config[1] >> shift & 3u));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(frames_are_those_of_its_vcpus, setup),
        cmocka_unit_test_setup(typer_names_the_vcpu_and_the_last, setup),
        cmocka_unit_test_setup(the_id_registers_are_the_cores, setup),
        cmocka_unit_test_setup(waker_sleeps_and_wakes, setup),
        cmocka_unit_test_setup(lpi_registers_do_nothing, setup),
        cmocka_unit_test_setup(enables_its_ppis_only, setup),
        cmocka_unit_test_setup(direct_sgis_are_the_cores_own, setup),
        cmocka_unit_test_setup(states_of_ppis, setup),
        cmocka_unit_test_setup(an_sgi_set_pending_waits_to_be_enabled, setup),
        cmocka_unit_test_setup(an_sgi_set_pending_for_another_kicks_it, setup),
        cmocka_unit_test_setup(priorities_of_private_interrupts, setup),
        cmocka_unit_test_setup(priorities_of_a_direct_core, setup),
        cmocka_unit_test_setup(configuration_of_ppis, setup),
        cmocka_unit_test_setup(no_write_touches_what_is_not_owned, setup),
    };

    return cmocka_run_group_tests_name("vgic redistributors", tests, NULL, NULL);
}
