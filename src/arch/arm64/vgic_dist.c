/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The emulated distributor (IHI 0069 12.9). A register of one bit, two bits or a byte for each interrupt
 * becomes the physical register, masked to the interrupts that the partition owns. Registers that the
 * architecture reserves or that need a security state or LPIs read as zero.
 */
#include <hv/types.h>

#include "gic.h"
#include "sysreg.h"
#include "vgic.h"
#include "vgic_mask.h"

uint32_t vgic_config_lock;

static uint64_t dist_base(void)
{
    return layout.gic.dist.raw;
}

/* ---- the distributor's first page: banks of 0x80 bytes, each with one reader and one writer ---- */

static uint32_t owned_spis(const struct cpu *cpu, uint32_t word)
{
    return cpu->vcpu.config->spi[word];
}

static uint32_t dist_ctlr(const struct cpu *cpu)
{
    uint32_t security = cpu->direct ? mmio_read32(dist_base() + GICD_CTLR) & GICD_CTLR_DS : GICD_CTLR_DS;

    return cpu->vgic.dist->ctlr | GICD_CTLR_ARE | security;
}

static uint32_t read_control(struct cpu *cpu, uint32_t at)
{
    if (at == GICD_TYPER) {
        return cpu->vgic.dist->typer;
    }
    if (at == GICD_CTLR) {
        return dist_ctlr(cpu);
    }
    return at == GICD_IIDR ? mmio_read32(dist_base() + GICD_IIDR) : 0;
}

/* GICD_CTLR's group enable holds back or lets through all SPIs of the partition. */
static void write_control(struct cpu *cpu, uint32_t at, uint32_t value)
{
    struct vgic_dist *dist = cpu->vgic.dist;
    uint32_t offset = (value & GICD_CTLR_G1) != 0 ? GICD_ISENABLER : GICD_ICENABLER;

    if (at != GICD_CTLR) {
        return;
    }
    dist->ctlr = value & (GICD_CTLR_G1 | 1u);
    for (uint32_t i = 1; i < LAYOUT_SPI_WORDS; i++) {
        uint32_t enabled = dist->enabled[i] & owned_spis(cpu, i);

        if (enabled != 0) {
            mmio_write32(dist_base() + offset + 4u * i, enabled);
        }
    }
    vgic_vuart_changed(cpu);
}

/* Word of a register with one bit an interrupt; the bank's first register is a multiple of 0x80. */
static uint32_t word_of(uint32_t at)
{
    return at % 0x80u / 4u;
}

static uint32_t read_group(struct cpu *cpu, uint32_t at)
{
    uint32_t word = word_of(at);

    return owned_spis(cpu, word) | (word == cpu->vgic.dist->vuart_word ? cpu->vgic.dist->vuart_bit : 0);
}

static uint32_t read_enable(struct cpu *cpu, uint32_t at)
{
    return cpu->vgic.dist->enabled[word_of(at)];
}

static void write_set_enable(struct cpu *cpu, uint32_t at, uint32_t value)
{
    struct vgic_dist *dist = cpu->vgic.dist;
    uint32_t word = word_of(at);
    uint32_t owned = owned_spis(cpu, word) & value;

    if (owned != 0) {
        __atomic_fetch_or(&dist->enabled[word], owned, __ATOMIC_RELAXED);
        if ((dist->ctlr & GICD_CTLR_G1) != 0) {
            mmio_write32(dist_base() + at, owned);
        }
    }
    if (word == dist->vuart_word && (value & dist->vuart_bit) != 0) {
        __atomic_fetch_or(&dist->enabled[word], dist->vuart_bit, __ATOMIC_RELAXED);
        vgic_vuart_changed(cpu);
    }
}

static void write_clear_enable(struct cpu *cpu, uint32_t at, uint32_t value)
{
    struct vgic_dist *dist = cpu->vgic.dist;
    uint32_t word = word_of(at);
    uint32_t owned = owned_spis(cpu, word) & value;

    if (owned != 0) {
        __atomic_fetch_and(&dist->enabled[word], ~owned, __ATOMIC_RELAXED);
        mmio_write32(dist_base() + at, owned);
        vgic_withdraw(cpu, dist_base(), word, owned);
    }
    if (word == dist->vuart_word && (value & dist->vuart_bit) != 0) {
        __atomic_fetch_and(&dist->enabled[word], ~dist->vuart_bit, __ATOMIC_RELAXED);
        vgic_vuart_changed(cpu);
    }
}

/* Pending and active states are the physical distributor's. */
static uint32_t read_state(struct cpu *cpu, uint32_t at)
{
    uint32_t owned = owned_spis(cpu, word_of(at));

    return owned == 0 ? 0 : mmio_read32(dist_base() + at) & owned;
}

static void write_state(struct cpu *cpu, uint32_t at, uint32_t value)
{
    uint32_t owned = owned_spis(cpu, word_of(at)) & value;

    if (owned != 0) {
        mmio_write32(dist_base() + at, owned);
    }
}

static uint32_t read_priority(struct cpu *cpu, uint32_t at)
{
    uint32_t first = at - GICD_IPRIORITYR;
    uint32_t owned = owned_spis(cpu, first / 32u) >> (first % 32u) & 0xfu;
    uint32_t value = owned == 0 ? 0 : mmio_read32(dist_base() + at) & mask_bytes(owned);
    uint32_t vuart = cpu->vcpu.config->vuart.intid;

    if (cpu->vgic.dist->vuart_word != 0 && vuart / 4u == first / 4u) {
        value |= (uint32_t)cpu->vgic.dist->vuart_priority << (8u * (vuart % 4u));
    }
    return value;
}

static void write_priority_byte(struct cpu *cpu, uint32_t intid, uint8_t value)
{
    uint8_t priority = !cpu->direct && value < GIC_GUEST_LOWEST ? GIC_GUEST_LOWEST : value;

    if ((owned_spis(cpu, intid / 32u) >> (intid % 32u) & 1u) != 0) {
        gic_set_priority(dist_base(), intid, priority);
    } else if (cpu->vgic.dist->vuart_word != 0 && intid == cpu->vcpu.config->vuart.intid) {
        cpu->vgic.dist->vuart_priority = priority;
    }
}

static void write_priority(struct cpu *cpu, uint32_t at, uint32_t value)
{
    for (uint32_t i = 0; i < 4u; i++) {
        write_priority_byte(cpu, at - GICD_IPRIORITYR + i, (uint8_t)(value >> (8u * i)));
    }
}

static uint32_t config_mask(const struct cpu *cpu, uint32_t at)
{
    uint32_t first = (at - GICD_ICFGR) * 4u;

    return mask_pairs(owned_spis(cpu, first / 32u) >> (first % 32u) & 0xffffu);
}

static uint32_t read_config(struct cpu *cpu, uint32_t at)
{
    return mmio_read32(dist_base() + at) & config_mask(cpu, at);
}

static void write_config(struct cpu *cpu, uint32_t at, uint32_t value)
{
    uint32_t mask = config_mask(cpu, at);

    if (mask != 0) {
        vgic_change_config(at, mask, value);
    }
}

static uint32_t read_zero(struct cpu *cpu, uint32_t at)
{
    (void)cpu;
    (void)at;
    return 0;
}

static void write_ignored(struct cpu *cpu, uint32_t at, uint32_t value)
{
    (void)cpu;
    (void)at;
    (void)value;
}

#define BANK_PRIORITY  { read_priority, write_priority }
#define BANK_NONE      { read_zero, write_ignored }

const struct vgic_bank vgic_banks[32] = {
    { read_control, write_control },         /* 0x000 */
    { read_group, write_ignored },           /* 0x080 IGROUPR */
    { read_enable, write_set_enable },       /* 0x100 ISENABLER */
    { read_enable, write_clear_enable },     /* 0x180 ICENABLER */
    { read_state, write_state },             /* 0x200 ISPENDR */
    { read_state, write_state },             /* 0x280 ICPENDR */
    { read_state, write_state },             /* 0x300 ISACTIVER */
    { read_state, write_state },             /* 0x380 ICACTIVER */
    BANK_PRIORITY, BANK_PRIORITY, BANK_PRIORITY, BANK_PRIORITY,  /* 0x400 IPRIORITYR */
    BANK_PRIORITY, BANK_PRIORITY, BANK_PRIORITY, BANK_PRIORITY,
    BANK_NONE, BANK_NONE, BANK_NONE, BANK_NONE,                  /* 0x800 ITARGETSR: legacy only */
    BANK_NONE, BANK_NONE, BANK_NONE, BANK_NONE,
    { read_config, write_config }, { read_config, write_config },  /* 0xc00 ICFGR */
    BANK_NONE, BANK_NONE, BANK_NONE, BANK_NONE, BANK_NONE, BANK_NONE,
};

/* GICD_IROUTER<n>: the guest's affinity is a vcpu's, the physical one its core's. */
static uint64_t dist_read_route(const struct cpu *cpu, uint32_t intid)
{
    const struct layout_partition *config = cpu->vcpu.config;
    uint64_t route;

    if (vgic_dist(config)->vuart_word != 0 && intid == config->vuart.intid) {
        return config->vcpus[vgic_dist(config)->vuart_vcpu].vmpidr & MPIDR_AFFINITY;
    }
    if ((config->spi[intid / 32u] >> (intid % 32u) & 1u) == 0) {
        return 0;
    }
    route = mmio_read64(dist_base() + GICD_IROUTER + 8u * intid);
    for (uint32_t i = 0; i < config->vcpu_count; i++) {
        if (config->vcpus[i].mpidr == route) {
            return config->vcpus[i].vmpidr & MPIDR_AFFINITY;
        }
    }
    return 0;
}

static void dist_write_route(struct cpu *cpu, uint32_t intid, uint64_t value)
{
    const struct layout_partition *config = cpu->vcpu.config;
    bool any = (value >> 31 & 1u) != 0;

    for (uint32_t i = 0; i < config->vcpu_count; i++) {
        if (!any && (config->vcpus[i].vmpidr & MPIDR_AFFINITY) != (value & MPIDR_AFFINITY)) {
            continue;
        }
        if (vgic_dist(config)->vuart_word != 0 && intid == config->vuart.intid) {
            vgic_dist(config)->vuart_vcpu = i;
        } else if ((config->spi[intid / 32u] >> (intid % 32u) & 1u) != 0) {
            mmio_write64(dist_base() + GICD_IROUTER + 8u * intid, config->vcpus[i].mpidr);
        }
        return;
    }
}

bool vgic_dist_read(struct cpu *cpu, uint64_t offset, uint32_t size, uint64_t *value)
{
    uint32_t at = (uint32_t)offset;

    if (at < 0x1000u) {
        *value = vgic_dist_read_word(cpu, at & ~3u) >> (8u * (at % 4u));
        return size <= 4u;
    }
    *value = 0;
    if (at >= GICD_IROUTER + 8u * 32u && at < GICD_IROUTER + 8u * 1020u) {
        *value = dist_read_route(cpu, (at - GICD_IROUTER) / 8u) >> (8u * (at % 8u));
    } else if (at == GICD_PIDR2) {
        *value = mmio_read32(dist_base() + at);
    }
    return true;
}

bool vgic_dist_write(struct cpu *cpu, uint64_t offset, uint32_t size, uint64_t value)
{
    uint32_t at = (uint32_t)offset;

    if (size == 1u && at >= GICD_IPRIORITYR && at < GICD_IPRIORITYR + 1024u) {
        write_priority_byte(cpu, at - GICD_IPRIORITYR, (uint8_t)value);
    } else if (at < 0x1000u) {
        if (size != 4u) {
            return false;
        }
        vgic_dist_write_word(cpu, at, (uint32_t)value);
    } else if (at >= GICD_IROUTER + 8u * 32u && at < GICD_IROUTER + 8u * 1020u && at % 8u == 0) {
        dist_write_route(cpu, (at - GICD_IROUTER) / 8u, value);  /* the upper word, Aff3, is always 0 */
    }
    return true;
}
