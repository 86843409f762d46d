/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts into a guest through list registers (IHI 0069 12.4.10). No maintenance interrupt is asked for
 * unless more is pending than list registers can hold; then the guest's physical interrupts wait in the
 * GIC behind the priority mask, so nothing has to be queued.
 */
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/types.h>

#include "gic.h"
#include "pool.h"
#include "sysreg.h"
#include "vgic.h"

#define LR_PENDING    (UINT64_C(1) << 62)
#define LR_ACTIVE     (UINT64_C(1) << 63)
#define LR_HW         (UINT64_C(1) << 61)
#define LR_GROUP1     (UINT64_C(1) << 60)
#define ICH_HCR_UIE   (UINT64_C(1) << 1)

static struct vgic_dist dists[LAYOUT_MAX_PARTITIONS] HV_LATE;

struct vgic_dist *vgic_dist(const struct layout_partition *config)
{
    return &dists[partition_index(config)];
}

/* List registers cannot be indexed: one case each. */
#define LR_CASES(op)                                                               \
    op(0, S3_4_C12_C12_0) op(1, S3_4_C12_C12_1) op(2, S3_4_C12_C12_2) op(3, S3_4_C12_C12_3)
#define LR_WRITE_CASE(n, reg) case n: sysreg_write(reg, value); break;
#define LR_READ_CASE(n, reg)  case n: return sysreg_read(reg);

void lr_write_any(uint32_t index, uint64_t value)
{
    switch (index) {
    LR_CASES(LR_WRITE_CASE)
    default:
        break;
    }
}

uint64_t lr_read(uint32_t index)
{
    switch (index) {
    LR_CASES(LR_READ_CASE)
    default:
        return 0;
    }
}

static inline void lr_write(struct cpu *cpu, uint32_t index, uint64_t value)
{
    cpu->vgic.lr_intid[index] = (uint16_t)value;
    if (index == 0) {
        sysreg_write(S3_4_C12_C12_0, value);
    } else {
        lr_write_any(index, value);
    }
}

static inline uint32_t lr_free(const struct cpu *cpu)
{
    return (uint32_t)sysreg_read(ICH_ELRSR_EL2) & cpu->vgic.lr_mask;
}

/* More is pending than fits: hold back the guest's interrupts and ask to be told of a free register. */
static HV_COLD void vgic_overflow(const struct cpu *cpu)
{
    if (!HV_POOLS || !cpu->pooled) {  /* a pool's core takes them, for other vcpus too, and keeps them */
        gic_mask_guest(true);
    }
    sysreg_write(ICH_HCR_EL2, ICH_HCR_EN | ICH_HCR_UIE);
}

static inline uint32_t priority_of(const struct cpu *cpu, uint32_t intid)
{
    return intid < 32u ? cpu->vgic.priority[intid] : mmio_read8(layout.gic.dist.raw + GICD_IPRIORITYR + intid);
}

void vgic_inject_physical(struct cpu *cpu, uint32_t intid)
{
    uint32_t free = lr_free(cpu);

    lr_write(cpu, (uint32_t)__builtin_ctz(free),
             LR_PENDING | LR_HW | LR_GROUP1 | (uint64_t)priority_of(cpu, intid) << 48 | (uint64_t)intid << 32 |
                 intid);
    /* The last register is never left free for a physical interrupt that nothing could hold. */
    if ((free & (free - 1u)) == 0) {
        vgic_overflow(cpu);
    }
}

/* Index of the list register in use that holds intid, or MAX_LRS. */
static uint32_t lr_find(const struct cpu *cpu, uint32_t intid, uint32_t free)
{
    uint32_t used = cpu->vgic.lr_mask & ~free;

    for (uint32_t i = 0; i < MAX_LRS; i++) {
        if ((used >> i & 1u) != 0 && cpu->vgic.lr_intid[i] == intid) {
            return i;
        }
    }
    return MAX_LRS;
}

/* One software interrupt into a list register. False: none is free. */
static bool inject_software(struct cpu *cpu, uint32_t intid, uint32_t priority)
{
    uint32_t free = lr_free(cpu);
    uint32_t index = lr_find(cpu, intid, free);

    if (index < MAX_LRS) {
        lr_write(cpu, index, lr_read(index) | LR_PENDING);
        return true;
    }
    if (free == 0) {
        return false;
    }
    lr_write(cpu, (uint32_t)__builtin_ctz(free), LR_PENDING | LR_GROUP1 | (uint64_t)priority << 48 | intid);
    return true;
}

static bool vuart_enabled(const struct vgic_dist *dist)
{
    return (dist->ctlr & GICD_CTLR_G1) != 0 && (dist->enabled[dist->vuart_word] & dist->vuart_bit) != 0;
}

/* The interrupt in a list register goes back to where it came from: the GIC, or the software's pending bits. */
static void lr_return(struct cpu *cpu, uint32_t index, uint64_t base)
{
    uint32_t intid = cpu->vgic.lr_intid[index];
    uint64_t word = base + intid / 32u * 4u;
    uint64_t config = base + GICD_ICFGR + intid / 16u * 4u;
    bool hw = (lr_read(index) & LR_HW) != 0;

    lr_write(cpu, index, 0);
    if (!hw) {
        __atomic_fetch_or(&cpu->vgic.pending, 1u << (intid % 32u), __ATOMIC_RELAXED);
        return;
    }
    if ((mmio_read32(config) >> (2u * (intid % 16u) + 1u) & 1u) != 0) {  /* a level is still there by itself */
        mmio_write32(word + GICD_ISPENDR, 1u << (intid % 32u));
    }
    mmio_write32(word + GICD_ICACTIVER, 1u << (intid % 32u));
}

bool vgic_idle(const struct cpu *cpu)
{
    return cpu->direct || lr_free(cpu) == cpu->vgic.lr_mask;
}

void vgic_withdraw(struct cpu *cpu, uint64_t base, uint32_t word, uint32_t disabled)
{
    uint32_t used = cpu->direct ? 0 : cpu->vgic.lr_mask & ~lr_free(cpu);

    for (uint32_t i = 0; i < MAX_LRS; i++) {
        uint32_t intid = cpu->vgic.lr_intid[i];

        if ((used >> i & 1u) != 0 && intid / 32u == word && (disabled >> (intid % 32u) & 1u) != 0 &&
            (lr_read(i) & (LR_PENDING | LR_ACTIVE)) == LR_PENDING) {
            lr_return(cpu, i, base);
        }
    }
}

/* The vUART's line: raised, into a list register; lowered, out of it again if it has not been taken. */
static bool refill_vuart(struct cpu *cpu)
{
    uint32_t intid = cpu->vcpu.config->vuart.intid;
    const struct vgic_dist *dist = cpu->vgic.dist;
    uint32_t index;

    if (__atomic_load_n(&dist->vuart_line, __ATOMIC_ACQUIRE) != 0 && vuart_enabled(dist)) {
        return inject_software(cpu, intid, dist->vuart_priority);
    }
    index = lr_find(cpu, intid, lr_free(cpu));
    if (index < MAX_LRS) {
        lr_write(cpu, index, lr_read(index) & ~LR_PENDING);
    }
    return true;
}

void vgic_refill(struct cpu *cpu)
{
    uint32_t taken, left, now;
    bool full = false;

    if (cpu->direct || cpu->vcpu.run != VCPU_ON) {
        return;
    }
    if (HV_POOLS && cpu->pooled) {
        pool_refill(cpu);
    }
    taken = __atomic_exchange_n(&cpu->vgic.pending, 0, __ATOMIC_ACQUIRE);
    left = taken & ~(cpu->vgic.enabled | VGIC_PENDING_VUART);  /* disabled SGIs stay pending */
    for (now = taken & ~left; now != 0; now &= now - 1u) {
        uint32_t bit = (uint32_t)__builtin_ctz(now);

        full = bit < 16u ? !inject_software(cpu, bit, cpu->vgic.priority[bit]) : !refill_vuart(cpu);
        if (full) {
            break;
        }
    }
    if ((left | now) != 0) {
        __atomic_fetch_or(&cpu->vgic.pending, left | now, __ATOMIC_RELAXED);
    }
    if (full || lr_free(cpu) == 0) {
        vgic_overflow(cpu);
    } else {
        sysreg_write(ICH_HCR_EL2, ICH_HCR_EN);
        gic_mask_guest(false);
    }
}

void vgic_set_pending(struct cpu *target, uint32_t mask, struct cpu *here)
{
    __atomic_fetch_or(&target->vgic.pending, mask, __ATOMIC_RELEASE);
    if (target == here) {
        vgic_refill(target);
    } else {
        arch_kick(target->vcpu.cpu);
    }
}

/* Every vcpu that the value names (IRM, or target list of one Aff1; RS 0 since Aff0 < 16). */
static uint64_t sgi_targets(const struct cpu *cpu, uint64_t value)
{
    uint32_t count = cpu->vcpu.config->vcpu_count;
    uint64_t all = UINT64_MAX >> (64u - count);

    if ((value >> 40 & 1u) != 0) {
        return all & ~(UINT64_C(1) << cpu->vcpu.index);
    }
    if (bits(value, 55, 48) != 0 || bits(value, 47, 44) != 0 || bits(value, 39, 32) != 0 ||
        bits(value, 23, 16) >= 4) {
        return 0;
    }
    return (value & 0xffffu) << (16u * bits(value, 23, 16)) & all;
}

/* The commonest case: an enabled SGI to this vcpu itself, and every list register is empty. */
static inline bool sgi_to_self(struct cpu *cpu, uint32_t sgi, uint64_t targets)
{
    if (targets != UINT64_C(1) << cpu->vcpu.index || (cpu->vgic.enabled >> sgi & 1u) == 0 || cpu->direct ||
        lr_free(cpu) != cpu->vgic.lr_mask) {
        return false;
    }
    lr_write(cpu, 0, LR_PENDING | LR_GROUP1 | (uint64_t)cpu->vgic.priority[sgi] << 48 | sgi);
    return true;
}

/* The architecture ignores targets that do not exist; people should hear of it all the same. */
static HV_COLD void report_foreign(struct cpu *cpu, uint32_t sgi, uint64_t value)
{
    if (cpu->vgic.foreign_sgis++ == 0) {
        print("%s, vcpu %u: SGI %u to cores that it does not have (0x%lx) is ignored; said once\n",
              cpu->vcpu.config->name, cpu->vcpu.index, sgi, value);
    }
}

void vgic_write_sgi1r(struct cpu *cpu, uint64_t value)
{
    uint32_t sgi = (uint32_t)bits(value, 27, 24);
    uint64_t targets = sgi_targets(cpu, value);

    if (sgi_to_self(cpu, sgi, targets)) {
        return;
    }
    if ((value >> 40 & 1u) == 0 && (value & 0xffffu) != (targets >> (16u * bits(value, 17, 16)) & 0xffffu)) {
        report_foreign(cpu, sgi, value);
    }
    for (; targets != 0; targets &= targets - 1u) {
        const struct layout_vcpu *target = &cpu->vcpu.config->vcpus[__builtin_ctzll(targets)];

        if (cpu->direct) {
            gic_send_sgi(target->mpidr, sgi);
        } else {
            vgic_set_pending(cpu_at(target->cpu), 1u << sgi, cpu);
        }
    }
}

void vgic_vuart_changed(struct cpu *here)
{
    const struct vgic_dist *dist = here->vgic.dist;

    if (dist->vuart_word != 0) {
        vgic_set_pending(cpu_at(here->vcpu.config->vcpus[dist->vuart_vcpu].cpu), VGIC_PENDING_VUART, here);
    }
}

void arch_irq_line(const struct layout_partition *config, uint32_t intid, bool level)
{
    struct vgic_dist *dist = vgic_dist(config);
    struct cpu *here = (struct cpu *)sysreg_read(tpidr_el2);

    if (config->irq_mode == LAYOUT_IRQ_DIRECT) {
        mmio_write32(layout.gic.dist.raw + (level ? GICD_ISPENDR : GICD_ICPENDR) + intid / 32u * 4u,
                     1u << (intid % 32u));
        return;
    }
    if (__atomic_exchange_n(&dist->vuart_line, level, __ATOMIC_ACQ_REL) != level || level) {
        vgic_set_pending(cpu_at(config->vcpus[dist->vuart_vcpu].cpu), VGIC_PENDING_VUART, here);
    }
}

void vgic_reset(const struct layout_partition *config)
{
    struct vgic_dist *dist = vgic_dist(config);

    dist->typer = (mmio_read32(layout.gic.dist.raw + GICD_TYPER) & GICD_TYPER_KEPT) | GICD_TYPER_NO1N;
    dist->ctlr = 0;
    dist->vuart_vcpu = 0;
    dist->vuart_line = 0;
    dist->vuart_word = config->irq_mode == LAYOUT_IRQ_DIRECT ? 0 : config->vuart.intid / 32u;
    dist->vuart_bit = 1u << (config->vuart.intid % 32u);
    dist->vuart_priority = GIC_DEFAULT;
    for (uint32_t i = gic_word_count(); i-- > 0;) {
        dist->enabled[i] = 0;
    }
    gic_reset_interrupts(config);
    if (HV_CHANNELS) {
        vgic_reset_bells(config);
    }
}

void vgic_reset_core(struct cpu *cpu)
{
    uint32_t mine = cpu->vcpu.config->ppi_mask | (cpu->direct ? 0xffffu : 0);

    mmio_write32(cpu->vgic.redist + GICD_ICENABLER, mine);
    if (HV_POOLS && cpu->pooled) {
        pool_note_ppis(cpu, mine, false);
    }
    mmio_write32(cpu->vgic.redist + GICD_ICACTIVER, mine);
    mmio_write32(cpu->vgic.redist + GICD_ICPENDR, mine);
    cpu->vgic.enabled = 0;
    cpu->vgic.foreign_sgis = 0;
    cpu->vgic.asleep = GICR_WAKER_SLEEP;
    __atomic_store_n(&cpu->vgic.pending, 0, __ATOMIC_RELAXED);
    if (cpu->direct) {
        for (uint32_t intid = 0; intid < 32u; intid++) {
            if ((mine >> intid & 1u) != 0) {
                gic_set_priority(cpu->vgic.redist, intid, GIC_DEFAULT);
            }
        }
        gic_reset_interface();
        return;
    }
    for (uint32_t i = 0; i < 32u; i++) {
        cpu->vgic.priority[i] = GIC_DEFAULT;
    }
    for (uint32_t left = cpu->vgic.lr_mask; left != 0; left &= left - 1u) {
        lr_write(cpu, (uint32_t)__builtin_ctz(left), 0);
    }
    sysreg_write(ICH_VMCR_EL2, 0);
    sysreg_write(ICH_AP0R0_EL2, 0);
    sysreg_write(ICH_AP1R0_EL2, 0);
    sysreg_write(ICH_HCR_EL2, ICH_HCR_EN);
    isb();
}
