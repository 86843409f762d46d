/* SPDX-License-Identifier: Apache-2.0 */
/* Generic Interrupt Controller: v3 (IHI 0069) by system registers, v2 (IHI 0048) by memory. */
#include "guest.h"

#define GICD_CTLR        0x0000
#define GICD_IGROUPR     0x0080
#define GICD_ISENABLER   0x0100
#define GICD_ICENABLER   0x0180
#define GICD_IPRIORITYR  0x0400
#define GICD_ITARGETSR   0x0800
#define GICD_ICFGR       0x0c00
#define GICD_SGIR        0x0f00
#define GICD_IROUTER     0x6000

#define GICD_CTLR_GRP1   (1u << 1)
#define GICD_CTLR_ARE    (1u << 4)
#define GICD_CTLR_RWP    (1u << 31)

#define GICR_TYPER       0x0008
#define GICR_WAKER       0x0014
#define GICR_SGI_FRAME   0x10000
#define GICR_STRIDE      0x20000
#define GICR_WAKER_PROCESSOR_SLEEP  (1u << 1)
#define GICR_WAKER_CHILDREN_ASLEEP  (1u << 2)
#define GICR_TYPER_LAST  (1u << 4)

#define GICC_CTLR        0x0000
#define GICC_PMR         0x0004
#define GICC_IAR         0x000c
#define GICC_EOIR        0x0010

#define PRIORITY         0xa0a0a0a0u

struct gic gic;

void gic_dispatch(void);

/* Affinity of this core as GICR_TYPER has it in its upper half: Aff3.Aff2.Aff1.Aff0. */
static uint32_t own_affinity(void)
{
    uint64_t mpidr = READ_SYSREG(mpidr_el1);
    return (uint32_t)((mpidr & 0xffffff) | ((mpidr >> 8) & 0xff000000));
}

uint64_t gic_own_redist(void)
{
    for (uint64_t frame = gic.redist; frame < gic.redist + gic.redist_size; frame += GICR_STRIDE) {
        uint64_t typer = mmio_read64(frame + GICR_TYPER);
        if ((uint32_t)(typer >> 32) == own_affinity()) {
            return frame;
        }
        if ((typer & GICR_TYPER_LAST) != 0) {
            break;
        }
    }
    return 0;
}

/* Where the registers of an interrupt of this core or of all cores stand. */
static uint64_t bank(uint32_t intid)
{
    return gic.version == 3 && intid < 32 ? gic_own_redist() + GICR_SGI_FRAME : gic.dist;
}

static void wake_redist(uint64_t redist)
{
    mmio_write32(redist + GICR_WAKER, mmio_read32(redist + GICR_WAKER) & ~GICR_WAKER_PROCESSOR_SLEEP);
    while ((mmio_read32(redist + GICR_WAKER) & GICR_WAKER_CHILDREN_ASLEEP) != 0) {
    }
}

void gic_init_core(void)
{
    uint64_t base = bank(0);
    if (gic.version == 3) {
        wake_redist(gic_own_redist());
    }
    mmio_write32(base + GICD_IGROUPR, gic.version == 3 ? 0xffffffff : 0);
    mmio_write32(base + GICD_ICENABLER, 0xffffffff);
    for (uint32_t intid = 0; intid < 32; intid += 4) {
        mmio_write32(base + GICD_IPRIORITYR + intid, PRIORITY);
    }
    if (gic.version == 3) {
        WRITE_SYSREG(S3_0_C12_C12_5, 1);      /* ICC_SRE_EL1 */
        isb();
        WRITE_SYSREG(S3_0_C4_C6_0, 0xf0);     /* ICC_PMR_EL1 */
        WRITE_SYSREG(S3_0_C12_C12_4, 0);      /* ICC_CTLR_EL1: EOI drops priority and deactivates */
        WRITE_SYSREG(S3_0_C12_C12_7, 1);      /* ICC_IGRPEN1_EL1 */
        isb();
    } else {
        mmio_write32(gic.cpu + GICC_PMR, 0xf0);
        mmio_write32(gic.cpu + GICC_CTLR, 1);
    }
}

static void find_gic(void)
{
    struct range dist, second;
    int node = fdt_compatible("arm,gic-v3", FDT_NONE);
    gic.version = 3;
    if (node == FDT_NONE) {
        node = fdt_compatible("arm,cortex-a15-gic", FDT_NONE);
        gic.version = 2;
    }
    if (node == FDT_NONE) {
        node = fdt_compatible("arm,gic-400", FDT_NONE);
    }
    if (node == FDT_NONE || !fdt_reg(node, 0, &dist) || !fdt_reg(node, 1, &second)) {
        gic.version = 0;
        return;
    }
    gic.dist = dist.base;
    gic.redist = second.base;
    gic.redist_size = second.size;
    gic.cpu = second.base;
}

void gic_init(void)
{
    find_gic();
    if (gic.version == 0) {
        print("guest: no interrupt controller in the devicetree\n");
        return;
    }
    mmio_write32(gic.dist + GICD_CTLR, gic.version == 3 ? GICD_CTLR_ARE | GICD_CTLR_GRP1 : 1);
    while (gic.version == 3 && (mmio_read32(gic.dist + GICD_CTLR) & GICD_CTLR_RWP) != 0) {
    }
    gic_init_core();
}

static void set_priority(uint32_t intid)
{
    uint64_t at = bank(intid) + GICD_IPRIORITYR + (intid & ~3u);
    uint32_t shift = (intid & 3) * 8;
    mmio_write32(at, (mmio_read32(at) & ~(0xffu << shift)) | ((PRIORITY & 0xff) << shift));
}

static void route_here(uint32_t intid)
{
    if (gic.version == 3) {
        uint64_t affinity = own_affinity();
        mmio_write64(gic.dist + GICD_IROUTER + 8 * intid,
                     (affinity & 0xffffff) | ((affinity & 0xff000000) << 8));
    } else {
        uint64_t at = gic.dist + GICD_ITARGETSR + (intid & ~3u);
        uint32_t shift = (intid & 3) * 8;
        uint32_t self = mmio_read32(gic.dist + GICD_ITARGETSR) & 0xff;  /* of INTID 0: this core */
        mmio_write32(at, (mmio_read32(at) & ~(0xffu << shift)) | (self << shift));
    }
}

void gic_enable(uint32_t intid)
{
    if (intid >= 32) {
        uint64_t group = gic.dist + GICD_IGROUPR + intid / 32 * 4;
        if (gic.version == 3) {
            mmio_write32(group, mmio_read32(group) | (1u << (intid % 32)));
        }
        set_priority(intid);
        route_here(intid);
    }
    mmio_write32(bank(intid) + GICD_ISENABLER + intid / 32 * 4, 1u << (intid % 32));
}

void gic_disable(uint32_t intid)
{
    mmio_write32(bank(intid) + GICD_ICENABLER + intid / 32 * 4, 1u << (intid % 32));
}

void gic_edge(uint32_t intid, bool edge)
{
    uint64_t at = bank(intid) + GICD_ICFGR + intid / 16 * 4;
    uint32_t bit = 2u << (intid % 16 * 2);
    mmio_write32(at, edge ? mmio_read32(at) | bit : mmio_read32(at) & ~bit);
}

void line_init(void)
{
    gic_init();
}

void line_on(uint32_t intid)
{
    gic_enable(intid);
}

void line_off(uint32_t intid)
{
    gic_disable(intid);
}

void listen_to_neighbours(void)
{
    for (uint32_t sgi = 0; sgi < 16; sgi++) {
        gic_enable(sgi);
    }
}

void gic_sgi(uint32_t intid, uint64_t mpidr)
{
    dsb();
    if (gic.version == 3) {
        uint64_t value = ((mpidr >> 32 & 0xff) << 48) | ((mpidr >> 16 & 0xff) << 32) |
                         ((mpidr >> 8 & 0xff) << 16) | ((mpidr >> 4 & 0xf) << 44) |
                         ((uint64_t)intid << 24) | (UINT64_C(1) << (mpidr & 0xf));
        WRITE_SYSREG(S3_0_C12_C11_5, value);  /* ICC_SGI1R_EL1 */
        isb();
    } else {
        mmio_write32(gic.dist + GICD_SGIR, (1u << (16 + (mpidr & 7))) | intid);
    }
}

void gic_dispatch(void)
{
    uint32_t raw = gic.version == 3 ? (uint32_t)READ_SYSREG(S3_0_C12_C12_0)  /* ICC_IAR1_EL1 */
                                    : mmio_read32(gic.cpu + GICC_IAR);
    uint32_t intid = gic.version == 3 ? raw & 0xffffff : raw & 0x3ff;
    if (intid >= 1020 && intid <= 1023) {
        return;
    }
    guest_irq(intid);
    if (gic.version == 3) {
        WRITE_SYSREG(S3_0_C12_C12_1, intid);  /* ICC_EOIR1_EL1 */
        isb();
    } else {
        mmio_write32(gic.cpu + GICC_EOIR, raw);
    }
}
