/* SPDX-License-Identifier: Apache-2.0 */
/* The physical GICv3: see gic.h for who has which priority. */
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/watchdog.h>

#include "gic.h"
#include "sysreg.h"
#include "vgic.h"

#define ICC_CTLR_EOIMODE  (1u << 1)
#define ICC_SRE_ALL       0xfu
#define ICH_HCR_TC        (1u << 10)
#define WAIT_NS           UINT64_C(100000000)  /* a GIC that has not answered by then is broken */

static void gicd_write(uint32_t offset, uint32_t value)
{
    mmio_write32(layout.gic.dist.raw + offset, value);
}

/* Waits until (register & mask) == value, and says what it waited for if that does not come. */
static void gic_await(uint64_t address, uint32_t mask, uint32_t value, const char *what)
{
    uint64_t limit = 0;

    while ((mmio_read32(address) & mask) != value) {
        if (limit == 0) {
            limit = arch_time_ns() + WAIT_NS;
        } else if (arch_time_ns() > limit) {
            panic("the GIC's %s has not answered for 100 ms", what);
        }
    }
}

void gic_set_priority(uint64_t base, uint32_t intid, uint8_t priority)
{
    mmio_write8(base + GICD_IPRIORITYR + intid, priority);
}

static uint64_t irouter_of(uint64_t mpidr)
{
    return mpidr & MPIDR_AFFINITY;
}

void arch_console_irq(bool on)
{
    uint32_t intid = layout.uart.intid;

    gicd_write((on ? GICD_ISENABLER : GICD_ICENABLER) + intid / 32u * 4u, 1u << (intid % 32u));
}

static void gic_enable_console(void)
{
    uint32_t intid = layout.uart.intid;

    if (layout.console_irq == 0 || intid < 32) {
        return;
    }
    gic_set_priority(layout.gic.dist.raw, intid, 0);
    mmio_write64(layout.gic.dist.raw + GICD_IROUTER + 8u * intid,
                 irouter_of(layout.cpus[layout.console_cpu].mpidr));
    arch_console_irq(true);
}

uint32_t gic_word_count(void)
{
    return (mmio_read32(layout.gic.dist.raw + GICD_TYPER) & 0x1fu) + 1u;
}

void gic_init(void)
{
    uint32_t words = gic_word_count();

    gicd_write(GICD_CTLR, 0);
    gic_await(layout.gic.dist.raw + GICD_CTLR, GICD_CTLR_RWP, 0, "distributor");
    for (uint32_t i = 1; i < words; i++) {
        gicd_write(GICD_ICENABLER + 4u * i, UINT32_MAX);
        gicd_write(GICD_IGROUPR + 4u * i, UINT32_MAX);
    }
    gicd_write(GICD_CTLR, GICD_CTLR_ARE);
    gicd_write(GICD_CTLR, GICD_CTLR_ARE | GICD_CTLR_G1);
    gic_enable_console();
}

static void gic_wake_redistributor(uint64_t redist)
{
    mmio_write32(redist + GICR_WAKER, mmio_read32(redist + GICR_WAKER) & ~GICR_WAKER_SLEEP);
    gic_await(redist + GICR_WAKER, GICR_WAKER_ASLEEP, 0, "redistributor");
}

/* GICR_TYPER's upper half is the affinity of the core whose frame it is (12.11.40), one byte a level. */
static void gic_check_redistributor(uint64_t redist)
{
    uint64_t mpidr = sysreg_read(mpidr_el1) & MPIDR_AFFINITY;
    uint64_t own = (mpidr >> 32) << 24 | (mpidr & 0xffffffu);

    if (mmio_read64(redist + GICR_TYPER) >> 32 != own) {
        panic("the redistributor at 0x%lx is not the one of the core with MPIDR 0x%lx, as the layout has it",
              redist, mpidr);
    }
}

/* SGIs and PPIs of this core: all in group 1 and off but the kick and the maintenance interrupt. */
static void gic_init_private(uint64_t sgi_base, bool direct)
{
    uint32_t kick = direct ? GIC_KICK_DIRECT : GIC_KICK_VIRTUAL;

    mmio_write32(sgi_base + GICD_ICENABLER, UINT32_MAX);
    mmio_write32(sgi_base + GICD_IGROUPR, UINT32_MAX);
    mmio_write32(sgi_base + GICD_ICPENDR, UINT32_MAX);
    mmio_write32(sgi_base + GICD_ICACTIVER, UINT32_MAX);
    for (uint32_t i = 0; i < 32u; i += 4) {
        mmio_write32(sgi_base + GICD_IPRIORITYR + i, GIC_DEFAULT * 0x01010101u);
    }
    if (!direct) {
        gic_set_priority(sgi_base, kick, 0);
        if (layout.gic.maintenance != 0) {
            gic_set_priority(sgi_base, layout.gic.maintenance, 0);
            mmio_write32(sgi_base + GICD_ISENABLER, 1u << layout.gic.maintenance);
        }
        mmio_write32(sgi_base + GICD_ISENABLER, 1u << kick);
        gic_set_priority(sgi_base, layout.htimer_intid, 0);
        mmio_write32(sgi_base + GICD_ISENABLER, 1u << layout.htimer_intid);
    }
}

void gic_init_core(struct cpu *cpu)
{
    gic_check_redistributor(cpu->vgic.redist - GICR_SGI_BASE);
    gic_wake_redistributor(cpu->vgic.redist - GICR_SGI_BASE);
    gic_init_private(cpu->vgic.redist, cpu->direct);
    sysreg_write(ICC_SRE_EL2, ICC_SRE_ALL);
    isb();
    sysreg_write(ICH_HCR_EL2, cpu->direct ? ICH_HCR_TC : ICH_HCR_EN);
    if (cpu->direct) {
        return;
    }
    sysreg_write(ICC_CTLR_EL1, ICC_CTLR_EOIMODE);
    sysreg_write(ICC_BPR1_EL1, 0);
    sysreg_write(ICC_PMR_EL1, GIC_MASK_NOTHING);
    sysreg_write(ICC_IGRPEN1_EL1, 1);
    isb();
}

void gic_send_sgi(uint64_t mpidr, uint32_t sgi)
{
    uint64_t value = bits(mpidr, 39, 32) << 48 | bits(mpidr, 23, 16) << 32 | bits(mpidr, 15, 8) << 16 |
                     (uint64_t)sgi << 24 | bits(mpidr, 7, 4) << 44 | UINT64_C(1) << bits(mpidr, 3, 0);

    __asm__ volatile("dsb ishst" : : : "memory");
    sysreg_write(ICC_SGI1R_EL1, value);
    isb();
}

void gic_reset_interrupts(const struct layout_partition *config)
{
    uint32_t words = gic_word_count();

    for (uint32_t word = 1; word < words; word++) {
        uint32_t owned = config->spi[word];

        if (owned == 0) {
            continue;
        }
        gicd_write(GICD_ICENABLER + 4u * word, owned);
        gicd_write(GICD_ICPENDR + 4u * word, owned);
        gicd_write(GICD_ICACTIVER + 4u * word, owned);
        for (uint32_t left = owned; left != 0; left &= left - 1u) {
            uint32_t intid = 32u * word + (uint32_t)__builtin_ctz(left);

            gic_set_priority(layout.gic.dist.raw, intid, GIC_DEFAULT);
            mmio_write64(layout.gic.dist.raw + GICD_IROUTER + 8u * intid, irouter_of(config->vcpus[0].mpidr));
        }
    }
}

void gic_reset_interface(void)
{
    sysreg_write(ICC_IGRPEN1_EL1, 0);
    sysreg_write(ICC_PMR_EL1, 0);
    sysreg_write(ICC_CTLR_EL1, 0);
    sysreg_write(ICC_BPR1_EL1, 0);
    sysreg_write(ICC_AP1R0_EL1, 0);
    isb();
}

void gic_mask_guest(bool mask)
{
    sysreg_write(ICC_PMR_EL1, mask ? GIC_MASK_GUEST : GIC_MASK_NOTHING);
    isb();
}

static void gic_finish(uint32_t intid)
{
    sysreg_write(ICC_EOIR1_EL1, intid);
    sysreg_write(ICC_DIR_EL1, intid);
}

/* The hypervisor's own interrupts: rare, so kept out of the guest's path. */
static HV_COLD void gic_own_interrupt(struct cpu *cpu, uint32_t intid)
{
    if (intid == layout.uart.intid) {
        console_input();
    } else {
        vgic_refill(cpu);
    }
    if (cpu->vcpu.cpu == layout.console_cpu) {
        console_tick();
    }
    if (HV_WATCHDOG) {
        watchdog_tick(cpu->vcpu.cpu);
    }
    gic_finish(intid);
}

bool gic_take(struct cpu *cpu)
{
    uint32_t intid = (uint32_t)sysreg_read(ICC_IAR1_EL1);

    if (intid >= GIC_SPURIOUS) {
        return false;
    }
    if (intid < 32u ? (cpu->vcpu.config->ppi_mask >> intid & 1u) == 0 : intid == layout.uart.intid) {
        gic_own_interrupt(cpu, intid);
    } else {
        sysreg_write(ICC_EOIR1_EL1, intid);
        vgic_inject_physical(cpu, intid);
    }
    return true;
}
