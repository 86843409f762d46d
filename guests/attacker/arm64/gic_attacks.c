/* SPDX-License-Identifier: Apache-2.0 */
#include "attacks.h"

#define GICD_CTLR         0x0000
#define GICD_SETSPI_NSR   0x0040
#define GICD_IGROUPR      0x0080
#define GICD_ISENABLER    0x0100
#define GICD_ICENABLER    0x0180
#define GICD_ISPENDR      0x0200
#define GICD_ICPENDR      0x0280
#define GICD_ISACTIVER    0x0300
#define GICD_ICACTIVER    0x0380
#define GICD_IPRIORITYR   0x0400
#define GICD_ICFGR        0x0c00
#define GICD_IROUTER      0x6000

#define GICR_CTLR         0x0000
#define GICR_PROPBASER    0x0070
#define GICR_PENDBASER    0x0078
#define GICR_SGI_FRAME    0x10000
#define GICR_STRIDE       0x20000

#define SPI_WORDS 32

static void send_sgi0(uint64_t value) { WRITE_SYSREG(S3_0_C12_C11_7, value); }
static void send_asgi1(uint64_t value) { WRITE_SYSREG(S3_0_C12_C11_6, value); }

/* Its own cores may be among the targets; whether anyone else heard it, its neighbours tell. */
void attack_sgi(const char *name, uint64_t address)
{
    static const uint64_t targets[] = {
        UINT64_C(1) << 40,                       /* IRM: all but self */
        0x000000000000ffff, 0x000000000001ffff, 0x000000000002ffff, 0x00000000000fffff,  /* Aff1 */
        0x000001000000ffff, 0x000002000000ffff,  /* reserved bits and IRM with a list */
        0x000000010000ffff, 0x00010000000000ff,  /* Aff2, Aff3 */
        0x000010000000ffff, 0x0000f0000000ffff,  /* range selector */
        0xffffffffffffffff,
    };
    uint32_t sent = 0;
    (void)address;
    for (uint32_t intid = 0; intid < 16; intid++) {
        gic_enable(intid);
    }
    for (uint32_t i = 0; i < ARRAY_COUNT(targets); i++) {
        for (uint64_t intid = 0; intid < 16; intid++) {
            uint64_t value = (targets[i] & ~(UINT64_C(0xf) << 24)) | (intid << 24);
            WRITE_SYSREG(S3_0_C12_C11_5, value);
            isb();
            trap_try(send_sgi0, value);
            trap_try(send_asgi1, value);
            sent++;
        }
    }
    print("attack %s: %u sent, %u came back to this core", name, sent, take_interrupts());
    verdict(true);
}

/* Bits of word n that stand for interrupts that are not this guest's. */
static uint32_t foreign_bits(uint32_t word)
{
    uint32_t bits = 0;
    for (uint32_t bit = 0; bit < 32; bit++) {
        uint32_t intid = word * 32 + bit;
        if (intid < 1020 && !fdt_owns_interrupt(intid)) {
            bits |= 1u << bit;
        }
    }
    return bits;
}

static uint32_t count_bits(uint32_t value)
{
    uint32_t count = 0;
    for (; value != 0; value &= value - 1) {
        count++;
    }
    return count;
}

static uint32_t stuck_in(uint64_t reg, uint32_t foreign)
{
    mmio_write32(reg, foreign);
    return count_bits(mmio_read32(reg) & foreign);
}

void attack_spis(const char *name, uint64_t address)
{
    uint32_t stuck = 0, routed = 0, lines = 32 * ((mmio_read32(gic.dist + 4) & 0x1f) + 1);
    (void)address;
    for (uint32_t word = 1; word < SPI_WORDS && word * 32 < lines; word++) {
        uint32_t foreign = foreign_bits(word);
        stuck += stuck_in(gic.dist + GICD_ISENABLER + word * 4, foreign);
        stuck += stuck_in(gic.dist + GICD_ISPENDR + word * 4, foreign);
        stuck += stuck_in(gic.dist + GICD_ISACTIVER + word * 4, foreign);
        mmio_write32(gic.dist + GICD_ICPENDR + word * 4, foreign);
        mmio_write32(gic.dist + GICD_ICACTIVER + word * 4, foreign);
        mmio_write32(gic.dist + GICD_ICENABLER + word * 4, foreign);
        mmio_write32(gic.dist + GICD_IGROUPR + word * 4, 0);
        for (uint32_t bit = 0; bit < 32; bit++) {
            uint32_t intid = word * 32 + bit;
            if ((foreign & (1u << bit)) == 0) {
                continue;
            }
            mmio_write32(gic.dist + GICD_SETSPI_NSR, intid);
            mmio_write64(gic.dist + GICD_IROUTER + 8 * intid, 0x1);
            routed += mmio_read64(gic.dist + GICD_IROUTER + 8 * intid) == 0x1;
            mmio_write8(gic.dist + GICD_IPRIORITYR + intid, 0);
        }
        mmio_write32(gic.dist + GICD_ICFGR + word * 8, 0xffffffff);
        mmio_write32(gic.dist + GICD_ICFGR + word * 8 + 4, 0xffffffff);
    }
    mmio_write32(gic.dist + GICD_CTLR, 0);    /* off, for everyone? */
    print("attack %s: %u lines, %u bits stuck, %u routes, %u interrupts", name, lines, stuck, routed,
          take_interrupts());
    verdict(stuck == 0 && routed == 0);
}

/* PPIs that the board keeps for EL2 by SBSA's numbers: 25 maintenance, 26 and 28 timers of EL2. */
void attack_ppis(const char *name, uint64_t address)
{
    uint64_t base = gic_own_redist() + GICR_SGI_FRAME;
    uint32_t hypervisors = (1u << 25) | (1u << 26) | (1u << 28);
    (void)address;
    mmio_write32(base + GICD_ISENABLER, 0xffff0000);
    uint32_t enabled = mmio_read32(base + GICD_ISENABLER) & 0xffff0000;
    mmio_write32(base + GICD_ISPENDR, hypervisors);
    uint32_t pending = mmio_read32(base + GICD_ISPENDR) & hypervisors;
    uint32_t seen = take_interrupts();
    mmio_write32(base + GICD_ICENABLER, 0xffff0000);
    mmio_write32(base + GICD_ICENABLER, hypervisors);
    print("attack %s: enabled 0x%x, pending 0x%x, %u interrupts", name, enabled, pending, seen);
    verdict((enabled & hypervisors) == 0 && pending == 0);
}

void attack_lpis(const char *name, uint64_t address)
{
    uint64_t redist = gic_own_redist();
    (void)address;
    mmio_write64(redist + GICR_PROPBASER, UINT64_C(0x40000000) | 0xf);
    mmio_write64(redist + GICR_PENDBASER, UINT64_C(0x40000000));
    mmio_write32(redist + GICR_CTLR, 1);
    uint32_t control = mmio_read32(redist + GICR_CTLR);
    uint64_t table = mmio_read64(redist + GICR_PROPBASER);
    print("attack %s: GICR_CTLR 0x%x, GICR_PROPBASER 0x%lx", name, control, table);
    verdict((control & 1) == 0);
}

/* ICC_DIR_EL1 takes any INTID: with native interrupts it is the distributor's own active bit that falls. */
void attack_deactivate(const char *name, uint64_t address)
{
    uint32_t written = 0;
    (void)address;
    WRITE_SYSREG(S3_0_C12_C12_4, 2);          /* ICC_CTLR_EL1.EOImode: deactivation apart */
    isb();
    for (uint64_t intid = 0; intid < 1020; intid++) {
        if (!fdt_owns_interrupt((uint32_t)intid)) {
            WRITE_SYSREG(S3_0_C12_C11_1, intid);
            written++;
        }
    }
    isb();
    WRITE_SYSREG(S3_0_C12_C12_4, 0);
    isb();
    print("attack %s: %u foreign interrupts", name, written);
    verdict(true);
}

void attack_dist_wild(const char *name, uint64_t address)
{
    uint64_t redist = gic_own_redist();
    (void)address;
    for (uint64_t at = 0; at < 0x10000; at += 4) {
        (void)mmio_read32(gic.dist + at);
        mmio_write32(gic.dist + at, 0xffffffff);
        mmio_write32(gic.dist + at, 0);
        (void)mmio_read32(redist + at);
        (void)mmio_read32(redist + GICR_SGI_FRAME + at);
        mmio_write32(redist + GICR_SGI_FRAME + at, 0xffffffff);
        mmio_write32(redist + GICR_SGI_FRAME + at, 0);
    }
    print("attack %s: every register written, %u interrupts", name, take_interrupts());
    verdict(true);
}

void attack_redist_other(const char *name, uint64_t address)
{
    (void)address;
    uint64_t next = gic.redist + own_cpus * UINT64_C(GICR_STRIDE);
    mmio_write32(next + GICR_SGI_FRAME + GICD_ICENABLER, 0xffffffff);
    print("attack %s: 0x%lx was possible", name, next);
    verdict(false);
}
