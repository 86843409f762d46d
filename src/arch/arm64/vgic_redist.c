/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The emulated redistributors (IHI 0069 12.11): one frame a vcpu, in the order of vcpus. PPIs that the
 * partition owns are the physical redistributor's; SGIs too in `direct` mode, else they are kept in
 * struct vgic_cpu.
 */
#include <hv/types.h>

#include "gic.h"
#include "pool.h"
#include "sysreg.h"
#include "vgic.h"
#include "vgic_mask.h"

static uint32_t private_mask(const struct cpu *target)
{
    return target->vcpu.config->ppi_mask | (target->direct ? 0xffffu : 0);
}

/* Those of which the registers of the core that it runs on may be changed now; in a pool, only by itself. */
static inline __attribute__((always_inline)) uint32_t present_mask(const struct cpu *target)
{
    return !HV_POOLS || !target->pooled || target == cpu_here() ? private_mask(target) : 0;
}

/* A pool's core serves several: the guest's word on what is pending, active or edge-triggered does not reach it. */
static inline __attribute__((always_inline)) uint32_t lasting_mask(const struct cpu *target)
{
    return !HV_POOLS || !target->pooled ? private_mask(target) : 0;
}

static uint64_t redist_typer(const struct cpu *target)
{
    const struct layout_partition *config = target->vcpu.config;
    uint32_t index = target->vcpu.index;
    uint64_t affinity = config->vcpus[index].vmpidr & 0xffffffu;

    return affinity << 32 | (uint64_t)index << 8 | (index + 1u == config->vcpu_count ? 1u << 4 : 0);
}

static uint32_t redist_read_rd(const struct cpu *target, uint32_t at)
{
    switch (at & ~3u) {
    case GICR_IIDR:        return mmio_read32(target->vgic.redist - GICR_SGI_BASE + GICR_IIDR);
    case GICR_TYPER:       return (uint32_t)redist_typer(target);
    case GICR_TYPER + 4u:  return (uint32_t)(redist_typer(target) >> 32);
    case GICR_WAKER:       return target->vgic.asleep != 0 ? GICR_WAKER_SLEEP | GICR_WAKER_ASLEEP : 0;
    case GICD_PIDR2:       return mmio_read32(target->vgic.redist - GICR_SGI_BASE + GICD_PIDR2);
    default:               return 0;
    }
}

static uint32_t redist_read_priority(const struct cpu *target, uint32_t at)
{
    uint32_t first = (at & ~3u) - GICD_IPRIORITYR;
    uint32_t value = 0;

    if (target->direct) {
        uint32_t owned = private_mask(target) >> first & 0xfu;

        return mmio_read32(target->vgic.redist + (at & ~3u)) & mask_bytes(owned);
    }
    for (uint32_t i = 0; i < 4u; i++) {
        value |= (uint32_t)target->vgic.priority[first + i] << (8u * i);
    }
    return value;
}

static uint32_t redist_read_sgi(const struct cpu *target, uint32_t at)
{
    uint32_t owned = present_mask(target);
    uint32_t soft = target->direct ? 0 : 0xffffu;

    switch (at & ~3u) {
    case GICD_IGROUPR:     return UINT32_MAX;
    case GICD_ISENABLER:
    case GICD_ICENABLER:   return target->vgic.enabled;
    case GICD_ISPENDR:
    case GICD_ICPENDR:
        return (mmio_read32(target->vgic.redist + GICD_ISPENDR) & owned) |
               (__atomic_load_n(&target->vgic.pending, __ATOMIC_RELAXED) & soft);
    case GICD_ISACTIVER:
    case GICD_ICACTIVER:   return mmio_read32(target->vgic.redist + GICD_ISACTIVER) & owned;
    case GICD_ICFGR:       return 0xaaaaaaaau;  /* SGIs are edge-triggered */
    case GICD_ICFGR + 4u:  return mmio_read32(target->vgic.redist + GICD_ICFGR + 4u) & mask_pairs(owned >> 16);
    default:               return 0;
    }
}

static struct cpu *redist_target(const struct cpu *cpu, uint64_t offset)
{
    uint64_t index = offset / layout.gic.redist_stride;

    return index < cpu->vcpu.config->vcpu_count ? cpu_at(cpu->vcpu.config->vcpus[index].cpu) : NULL;
}

bool vgic_redist_read(struct cpu *cpu, uint64_t offset, uint32_t size, uint64_t *value)
{
    const struct cpu *target = redist_target(cpu, offset);
    uint32_t at = (uint32_t)(offset % layout.gic.redist_stride);

    if (target == NULL) {
        return false;
    }
    if (at < GICR_SGI_BASE) {
        *value = redist_read_rd(target, at) >> (8u * (at % 4u));
        if (size == 8u && at == GICR_TYPER) {
            *value = redist_typer(target);
        }
        return true;
    }
    at -= GICR_SGI_BASE;
    if (at >= GICD_IPRIORITYR && at < GICD_IPRIORITYR + 32u) {
        *value = redist_read_priority(target, at) >> (8u * (at % 4u));
    } else {
        *value = redist_read_sgi(target, at);
    }
    return true;
}

static void redist_enable(struct cpu *target, struct cpu *cpu, uint32_t value, bool enable)
{
    uint32_t owned = private_mask(target);
    uint32_t soft = target->direct ? 0 : 0xffffu;

    if (enable) {
        __atomic_fetch_or(&target->vgic.enabled, value & (owned | soft), __ATOMIC_RELAXED);
    } else {
        __atomic_fetch_and(&target->vgic.enabled, ~(value & (owned | soft)), __ATOMIC_RELAXED);
    }
    if ((value & (HV_POOLS ? present_mask(target) : owned)) != 0) {
        mmio_write32(target->vgic.redist + (enable ? GICD_ISENABLER : GICD_ICENABLER), value & owned);
        if (HV_POOLS && target->pooled) {
            pool_note_ppis(target, value & owned, enable);
        }
    }
    if (!enable && target == cpu) {
        vgic_withdraw(cpu, cpu->vgic.redist, 0, value & (owned | soft));
    }
    if (enable && (value & soft) != 0) {
        vgic_set_pending(target, 0, cpu);  /* an SGI that waited for this */
    }
}

static void redist_pend(struct cpu *target, struct cpu *cpu, uint32_t at, uint32_t value)
{
    uint32_t owned = lasting_mask(target);
    uint32_t soft = target->direct ? 0 : value & 0xffffu;

    if ((value & owned) != 0) {
        mmio_write32(target->vgic.redist + at, value & owned);
    }
    if (soft != 0 && at == GICD_ISPENDR) {
        vgic_set_pending(target, soft, cpu);
    } else if (soft != 0) {
        __atomic_fetch_and(&target->vgic.pending, ~soft, __ATOMIC_RELAXED);
    }
}

static void redist_write_priority(struct cpu *target, uint32_t at, uint32_t size, uint32_t value)
{
    uint32_t first = at - GICD_IPRIORITYR;

    for (uint32_t intid = first; intid < first + size && intid < 32u; intid++, value >>= 8) {
        if (target->direct && (private_mask(target) >> intid & 1u) != 0) {
            gic_set_priority(target->vgic.redist, intid, (uint8_t)value);
        } else {
            target->vgic.priority[intid] = (uint8_t)value;
        }
    }
}

static void redist_write_sgi(struct cpu *target, struct cpu *cpu, uint32_t at, uint32_t value)
{
    uint32_t owned = lasting_mask(target);
    uint32_t mask;

    switch (at & ~3u) {
    case GICD_ISENABLER:
    case GICD_ICENABLER:
        redist_enable(target, cpu, value, (at & ~3u) == GICD_ISENABLER);
        break;
    case GICD_ISPENDR:
    case GICD_ICPENDR:
        redist_pend(target, cpu, at & ~3u, value);
        break;
    case GICD_ICACTIVER:
    case GICD_ISACTIVER:
        owned = HV_POOLS && (at & ~3u) == GICD_ICACTIVER ? present_mask(target) : owned;
        mmio_write32(target->vgic.redist + (at & ~3u), value & owned);
        break;
    case GICD_ICFGR + 4u:
        mask = mask_pairs(owned >> 16);
        mmio_write32(target->vgic.redist + GICD_ICFGR + 4u,
                     (mmio_read32(target->vgic.redist + GICD_ICFGR + 4u) & ~mask) | (value & mask));
        break;
    default:
        break;
    }
}

bool vgic_redist_write(struct cpu *cpu, uint64_t offset, uint32_t size, uint64_t value)
{
    struct cpu *target = redist_target(cpu, offset);
    uint32_t at = (uint32_t)(offset % layout.gic.redist_stride);

    if (target == NULL) {
        return false;
    }
    if (at < GICR_SGI_BASE) {
        if (at == GICR_WAKER) {
            target->vgic.asleep = (uint32_t)value & GICR_WAKER_SLEEP;
        }
        return true;
    }
    at -= GICR_SGI_BASE;
    if (at >= GICD_IPRIORITYR && at < GICD_IPRIORITYR + 32u) {
        redist_write_priority(target, at, size, (uint32_t)value);
    } else {
        redist_write_sgi(target, cpu, at, (uint32_t)value);
    }
    return true;
}
