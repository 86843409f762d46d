/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual GICv3. A partition's SPIs are its own, so their state lives in the physical distributor and
 * the emulation only masks; PPIs likewise in the core's redistributor. What is kept here: which SPIs the
 * guest enabled (its GICD_CTLR switches them all), and, in `virtual` mode, SGIs and the vUART's interrupt.
 */
#ifndef ARM64_VGIC_H
#define ARM64_VGIC_H

#include <hv/layout.h>
#include <hv/types.h>

#include "cpu.h"

#define VGIC_PENDING_VUART  (1u << 16)  /* bit of vgic_cpu.pending; bits 0..15 are SGIs */

struct vgic_dist {
    uint32_t typer;                       /* GICD_TYPER as the guest sees it */
    uint32_t ctlr;                        /* GICD_CTLR as the guest wrote it */
    uint32_t enabled[LAYOUT_SPI_WORDS];   /* SPIs that the guest enabled, the vUART's included */
    uint32_t vuart_vcpu;                  /* whom the vUART's interrupt goes to */
    uint32_t vuart_line;                  /* its level */
    uint32_t vuart_bit;                   /* the vUART's interrupt as a bit of enabled[vuart_word] */
    uint32_t vuart_word;                  /* 0: it has none that is emulated */
    uint8_t  vuart_priority;
};

struct vgic_dist *vgic_dist(const struct layout_partition *config);

/* As after reset; none of the partition's vcpus runs. */
void vgic_reset(const struct layout_partition *config);

/* By which channels ring: edge-triggered from the start, so that a ring waits while the interrupt is disabled. */
void vgic_reset_bells(const struct layout_partition *config);

/* A word of GICD_ICFGR. Partitions may share it, and its writing is not atomic: the one lock of the vGIC, held for two accesses. */
extern uint32_t vgic_config_lock;

static inline void vgic_change_config(uint32_t at, uint32_t mask, uint32_t value)
{
    uint64_t word = layout.gic.dist.raw + at;

    while (__atomic_exchange_n(&vgic_config_lock, 1u, __ATOMIC_ACQUIRE) != 0) {
    }
    mmio_write32(word, (mmio_read32(word) & ~mask) | (value & mask));
    __atomic_store_n(&vgic_config_lock, 0u, __ATOMIC_RELEASE);
}

/* This core's virtual CPU interface as after reset. */
void vgic_reset_core(struct cpu *cpu);

/* A physical interrupt of the guest's, acknowledged: into a list register linked to it (HW bit). */
void vgic_inject_physical(struct cpu *cpu, uint32_t intid);

/* A list register by its number, below MAX_LRS. */
#define ICH_HCR_EN  (UINT64_C(1) << 0)

uint64_t lr_read(uint32_t index);
void     lr_write_any(uint32_t index, uint64_t value);

/* Software interrupts that are pending and enabled go into list registers, as many as fit. */
void vgic_refill(struct cpu *cpu);

/*
 * The guest has disabled these interrupts of a word: those that wait in this core's list registers and have
 * not been taken go back. base: distributor, or SGI_base for word 0.
 */
void vgic_withdraw(struct cpu *cpu, uint64_t base, uint32_t word, uint32_t disabled);

/* False if an interrupt waits in a list register, which would not end a WFI of the hypervisor. */
bool vgic_idle(const struct cpu *cpu);

/* Makes software interrupts (VGIC_PENDING_* or SGI bits) pending for a vcpu on any core. */
void vgic_set_pending(struct cpu *target, uint32_t mask, struct cpu *here);

/* The vUART's line, or whether the guest lets its interrupt through, has changed. */
void vgic_vuart_changed(struct cpu *here);

/* The partition's write to ICC_SGI1R_EL1, ICC_SGI0R_EL1 or ICC_ASGI1R_EL1 (IHI 0069 12.2.21). */
void vgic_write_sgi1r(struct cpu *cpu, uint64_t value);

/* The distributor's first page: banks of 0x80 bytes, each with one reader and one writer of a word. */
struct vgic_bank {
    uint32_t (*read)(struct cpu *cpu, uint32_t at);
    void (*write)(struct cpu *cpu, uint32_t at, uint32_t value);
};
extern const struct vgic_bank vgic_banks[32];

/* A 32-bit access at offset `at`, a multiple of 4 below 0x1000: the hot path. */
static inline uint32_t vgic_dist_read_word(struct cpu *cpu, uint32_t at)
{
    return vgic_banks[at / 0x80u].read(cpu, at);
}

static inline void vgic_dist_write_word(struct cpu *cpu, uint32_t at, uint32_t value)
{
    vgic_banks[at / 0x80u].write(cpu, at, value);
}

/* An access to the emulated distributor or redistributors; size in bytes 1, 2, 4, 8. False: no such register. */
bool vgic_dist_read(struct cpu *cpu, uint64_t offset, uint32_t size, uint64_t *value);
bool vgic_dist_write(struct cpu *cpu, uint64_t offset, uint32_t size, uint64_t value);
bool vgic_redist_read(struct cpu *cpu, uint64_t offset, uint32_t size, uint64_t *value);
bool vgic_redist_write(struct cpu *cpu, uint64_t offset, uint32_t size, uint64_t value);

#endif
