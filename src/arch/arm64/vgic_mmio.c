/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The emulated distributor and redistributors (IHI 0069 12.9, 12.11). A register of one bit, two bits or a
 * byte for each interrupt becomes the physical register, masked to the interrupts that the partition owns.
 * Registers that the architecture reserves or that need a security state or LPIs read as zero.
 */
#include <hv/types.h>

#include "gic.h"
#include "sysreg.h"
#include "vgic.h"

#define WORD(base, offset)  (((uint32_t)(offset) - (base)) / 4u)

/* Spreads a mask of one bit an interrupt to two or eight bits, for 16 or 4 interrupts. */
static uint32_t mask_pairs(uint32_t bits16)
{
    uint32_t mask = 0;

    for (; bits16 != 0; bits16 &= bits16 - 1u) {
        mask |= 3u << (2u * (uint32_t)__builtin_ctz(bits16));
    }
    return mask;
}

static uint32_t mask_bytes(uint32_t bits4)
{
    return (bits4 & 1u) * 0xffu | (bits4 >> 1 & 1u) * 0xff00u | (bits4 >> 2 & 1u) * 0xff0000u |
           (bits4 >> 3 & 1u) * 0xff000000u;
}

/* In `virtual` mode, priorities above GIC_GUEST_LOWEST are the hypervisor's (gic.h). */
static uint32_t clamp_priorities(uint32_t value)
{
    for (uint32_t shift = 0; shift < 32u; shift += 8u) {
        if ((value >> shift & 0xffu) < GIC_GUEST_LOWEST) {
            value = (value & ~(0xffu << shift)) | GIC_GUEST_LOWEST << shift;
        }
    }
    return value;
}

/* One interrupt's field of a register, in software for the vUART: bit and word of its INTID, 0 if none. */
static uint32_t vuart_bit(const struct cpu *cpu, uint32_t word)
{
    const struct layout_partition *config = cpu->vcpu.config;

    return !cpu->direct && config->vuart.intid / 32u == word && word != 0 ? 1u << (config->vuart.intid % 32u) : 0;
}

static uint64_t dist_base(void)
{
    return layout.gic.dist.raw;
}

static uint32_t dist_ctlr(const struct cpu *cpu)
{
    uint32_t security = cpu->direct ? mmio_read32(dist_base() + GICD_CTLR) & GICD_CTLR_DS : GICD_CTLR_DS;

    return vgic_dist(cpu->vcpu.config)->ctlr | GICD_CTLR_ARE | security;
}

static uint32_t dist_typer(void)
{
    uint32_t typer = mmio_read32(dist_base() + GICD_TYPER);

    return (typer & ~(GICD_TYPER_LPIS | GICD_TYPER_MBIS | 0x040000e0u | 0x0000f800u)) | GICD_TYPER_NO1N;
}

/* GICD_CTLR's group enable holds back or lets through all SPIs of the partition. */
static void dist_write_ctlr(struct cpu *cpu, uint32_t value)
{
    struct vgic_dist *dist = vgic_dist(cpu->vcpu.config);
    uint32_t offset = (value & GICD_CTLR_G1) != 0 ? GICD_ISENABLER : GICD_ICENABLER;

    dist->ctlr = value & (GICD_CTLR_G1 | 1u);
    for (uint32_t i = 1; i < LAYOUT_SPI_WORDS; i++) {
        uint32_t enabled = dist->enabled[i] & cpu->vcpu.config->spi[i];

        if (enabled != 0) {
            mmio_write32(dist_base() + offset + 4u * i, enabled);
        }
    }
    vgic_set_pending(cpu, VGIC_PENDING_VUART, cpu);
}

static void dist_enable(struct cpu *cpu, uint32_t word, uint32_t value)
{
    struct vgic_dist *dist = vgic_dist(cpu->vcpu.config);
    uint32_t owned = cpu->vcpu.config->spi[word];
    uint32_t vuart = vuart_bit(cpu, word);

    __atomic_fetch_or(&dist->enabled[word], value & (owned | vuart), __ATOMIC_RELAXED);
    if ((value & owned) != 0 && (dist->ctlr & GICD_CTLR_G1) != 0) {
        mmio_write32(dist_base() + GICD_ISENABLER + 4u * word, value & owned);
    }
    if ((value & vuart) != 0) {
        vgic_set_pending(cpu_at(cpu->vcpu.config->vcpus[dist->vuart_vcpu].cpu), VGIC_PENDING_VUART, cpu);
    }
}

static void dist_disable(struct cpu *cpu, uint32_t word, uint32_t value)
{
    struct vgic_dist *dist = vgic_dist(cpu->vcpu.config);
    uint32_t owned = cpu->vcpu.config->spi[word];
    uint32_t vuart = vuart_bit(cpu, word);

    __atomic_fetch_and(&dist->enabled[word], ~(value & (owned | vuart)), __ATOMIC_RELAXED);
    mmio_write32(dist_base() + GICD_ICENABLER + 4u * word, value & owned);
    if ((value & vuart) != 0) {
        vgic_set_pending(cpu_at(cpu->vcpu.config->vcpus[dist->vuart_vcpu].cpu), VGIC_PENDING_VUART, cpu);
    }
}

/* GICD_IROUTER<n>: the guest's affinity is a vcpu's, the physical one its core's. */
static uint64_t dist_read_route(const struct cpu *cpu, uint32_t intid)
{
    const struct layout_partition *config = cpu->vcpu.config;
    uint64_t route;

    if (!cpu->direct && intid == config->vuart.intid) {
        return config->vcpus[vgic_dist(config)->vuart_vcpu].vmpidr & UINT64_C(0xff00ffffff);
    }
    if ((config->spi[intid / 32u] >> (intid % 32u) & 1u) == 0) {
        return 0;
    }
    route = mmio_read64(dist_base() + GICD_IROUTER + 8u * intid);
    for (uint32_t i = 0; i < config->vcpu_count; i++) {
        if (config->vcpus[i].mpidr == route) {
            return config->vcpus[i].vmpidr & UINT64_C(0xff00ffffff);
        }
    }
    return 0;
}

static void dist_write_route(struct cpu *cpu, uint32_t intid, uint64_t value)
{
    const struct layout_partition *config = cpu->vcpu.config;
    bool any = (value >> 31 & 1u) != 0;

    for (uint32_t i = 0; i < config->vcpu_count; i++) {
        if (!any && (config->vcpus[i].vmpidr & UINT64_C(0xff00ffffff)) != (value & UINT64_C(0xff00ffffff))) {
            continue;
        }
        if (!cpu->direct && intid == config->vuart.intid) {
            vgic_dist(config)->vuart_vcpu = i;
        } else if ((config->spi[intid / 32u] >> (intid % 32u) & 1u) != 0) {
            mmio_write64(dist_base() + GICD_IROUTER + 8u * intid, config->vcpus[i].mpidr);
        }
        return;
    }
}

/* Reads and writes of priorities go through one word, whatever the size of the access. */
static uint32_t dist_read_priority(const struct cpu *cpu, uint32_t offset)
{
    uint32_t first = (offset & ~3u) - GICD_IPRIORITYR;
    uint32_t owned = cpu->vcpu.config->spi[first / 32u] >> (first % 32u) & 0xfu;
    uint32_t value = owned == 0 ? 0 : mmio_read32(dist_base() + (offset & ~3u)) & mask_bytes(owned);
    uint32_t vuart = cpu->vcpu.config->vuart.intid;

    if (!cpu->direct && vuart / 4u == first / 4u && vuart != 0) {
        value |= (uint32_t)vgic_dist(cpu->vcpu.config)->vuart_priority << (8u * (vuart % 4u));
    }
    return value;
}

static void dist_write_priority(struct cpu *cpu, uint32_t offset, uint32_t size, uint32_t value)
{
    uint32_t first = offset - GICD_IPRIORITYR;
    uint32_t vuart = cpu->vcpu.config->vuart.intid;

    for (uint32_t intid = first; intid < first + size && size <= 4u; intid++, value >>= 8) {
        uint8_t priority = (uint8_t)(cpu->direct ? value : clamp_priorities(value));

        if (!cpu->direct && intid == vuart) {
            vgic_dist(cpu->vcpu.config)->vuart_priority = priority;
        } else if ((cpu->vcpu.config->spi[intid / 32u] >> (intid % 32u) & 1u) != 0) {
            gic_set_priority(dist_base(), intid, priority);
        }
    }
}

static uint32_t dist_read_config(const struct cpu *cpu, uint32_t offset)
{
    uint32_t first = (offset - GICD_ICFGR) * 4u;
    uint32_t owned = cpu->vcpu.config->spi[first / 32u] >> (first % 32u) & 0xffffu;

    return mmio_read32(dist_base() + offset) & mask_pairs(owned);
}

static void dist_write_config(const struct cpu *cpu, uint32_t offset, uint32_t value)
{
    uint32_t first = (offset - GICD_ICFGR) * 4u;
    uint32_t mask = mask_pairs(cpu->vcpu.config->spi[first / 32u] >> (first % 32u) & 0xffffu);

    if (mask != 0) {
        mmio_write32(dist_base() + offset, (mmio_read32(dist_base() + offset) & ~mask) | (value & mask));
    }
}

/* Bits of an enable, pending or active register: offset - first register of its bank gives the word. */
static uint32_t dist_read_bits(const struct cpu *cpu, uint32_t offset)
{
    uint32_t word = offset % 0x80u / 4u;
    uint32_t owned = cpu->vcpu.config->spi[word];

    if (offset < GICD_ISENABLER) {
        return owned | vuart_bit(cpu, word);  /* IGROUPR: all in group 1 */
    }
    if (offset < GICD_ISPENDR) {
        return vgic_dist(cpu->vcpu.config)->enabled[word];
    }
    return owned == 0 ? 0 : mmio_read32(dist_base() + offset) & owned;
}

static void dist_write_bits(struct cpu *cpu, uint32_t offset, uint32_t value)
{
    uint32_t word = offset % 0x80u / 4u;

    if (word == 0 || offset < GICD_ISENABLER) {
        return;
    }
    if (offset < GICD_ICENABLER) {
        dist_enable(cpu, word, value);
    } else if (offset < GICD_ISPENDR) {
        dist_disable(cpu, word, value);
    } else if ((value & cpu->vcpu.config->spi[word]) != 0) {
        mmio_write32(dist_base() + offset, value & cpu->vcpu.config->spi[word]);
    }
}

bool vgic_dist_read(struct cpu *cpu, uint64_t offset, uint32_t size, uint64_t *value)
{
    uint32_t at = (uint32_t)offset;

    if (at >= GICD_IGROUPR && at < GICD_IPRIORITYR) {
        *value = dist_read_bits(cpu, at & ~3u);
    } else if (at >= GICD_IPRIORITYR && at < GICD_IPRIORITYR + 1024u) {
        *value = dist_read_priority(cpu, at) >> (8u * (at % 4u));
    } else if (at >= GICD_ICFGR && at < GICD_ICFGR + 256u) {
        *value = dist_read_config(cpu, at & ~3u);
    } else if (at >= GICD_IROUTER + 8u * 32u && at < GICD_IROUTER + 8u * 1020u) {
        *value = dist_read_route(cpu, (at - GICD_IROUTER) / 8u) >> (8u * (at % 8u));
    } else if (at == GICD_CTLR) {
        *value = dist_ctlr(cpu);
    } else if (at == GICD_TYPER) {
        *value = dist_typer();
    } else if (at == GICD_IIDR || at == GICD_PIDR2) {
        *value = mmio_read32(dist_base() + at);
    } else {
        *value = 0;
    }
    return size <= 4u || at >= GICD_IROUTER;
}

bool vgic_dist_write(struct cpu *cpu, uint64_t offset, uint32_t size, uint64_t value)
{
    uint32_t at = (uint32_t)offset;

    if (at >= GICD_IGROUPR && at < GICD_IPRIORITYR) {
        dist_write_bits(cpu, at & ~3u, (uint32_t)value);
    } else if (at >= GICD_IPRIORITYR && at < GICD_IPRIORITYR + 1020u) {
        dist_write_priority(cpu, at, size, (uint32_t)value);
    } else if (at >= GICD_ICFGR && at < GICD_ICFGR + 256u) {
        dist_write_config(cpu, at & ~3u, (uint32_t)value);
    } else if (at >= GICD_IROUTER + 8u * 32u && at < GICD_IROUTER + 8u * 1020u) {
        if (at % 8u == 0) {  /* Aff3 alone (the upper word) is always 0 for a vcpu */
            dist_write_route(cpu, (at - GICD_IROUTER) / 8u, value);
        }
    } else if (at == GICD_CTLR) {
        dist_write_ctlr(cpu, (uint32_t)value);
    }
    return size <= 4u || at >= GICD_IROUTER;
}

/* ---- redistributors: one 128 KiB frame a vcpu, in the order of vcpus ---- */

static uint32_t private_mask(const struct cpu *target)
{
    return target->vcpu.config->ppi_mask | (target->direct ? 0xffffu : 0);
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
    uint32_t owned = private_mask(target);
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
    if ((value & owned) != 0) {
        mmio_write32(target->vgic.redist + (enable ? GICD_ISENABLER : GICD_ICENABLER), value & owned);
    }
    if (enable && (value & soft) != 0) {
        vgic_set_pending(target, 0, cpu);  /* an SGI that waited for this */
    }
}

static void redist_pend(struct cpu *target, struct cpu *cpu, uint32_t at, uint32_t value)
{
    uint32_t owned = private_mask(target);
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
    uint32_t owned = private_mask(target);
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
    case GICD_ISACTIVER:
    case GICD_ICACTIVER:
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
