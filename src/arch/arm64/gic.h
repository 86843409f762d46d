/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The physical GICv3 (IHI 0069). Priority 0 belongs to the hypervisor's own interrupts: the kick SGI, the
 * maintenance interrupt and the console's. GIC_MASK_GUEST lets only these through.
 */
#ifndef ARM64_GIC_H
#define ARM64_GIC_H

#include <hv/layout.h>
#include <hv/types.h>

#include "cpu.h"

#define GIC_KICK_VIRTUAL   0u     /* SGI that makes a core look at its requests; in `virtual` mode all are ours */
#define GIC_KICK_DIRECT    15u    /* the one that regains a `direct` core */
#define GIC_SPURIOUS       1020u  /* and above: no interrupt */
#define GIC_MASK_NOTHING   0xffu
#define GIC_MASK_GUEST     0x10u
#define GIC_GUEST_LOWEST   0x10u  /* best priority that a guest of `virtual` mode gets */
#define GIC_DEFAULT        0xa0u

/* Distributor registers (12.9). */
#define GICD_CTLR        0x0000u
#define GICD_TYPER       0x0004u
#define GICD_IIDR        0x0008u
#define GICD_IGROUPR     0x0080u
#define GICD_ISENABLER   0x0100u
#define GICD_ICENABLER   0x0180u
#define GICD_ISPENDR     0x0200u
#define GICD_ICPENDR     0x0280u
#define GICD_ISACTIVER   0x0300u
#define GICD_ICACTIVER   0x0380u
#define GICD_IPRIORITYR  0x0400u
#define GICD_ICFGR       0x0c00u
#define GICD_IROUTER     0x6000u
#define GICD_PIDR2       0xffe8u

#define GICD_CTLR_G1     (1u << 1)  /* EnableGrp1 (one security state), EnableGrp1A (seen from Non-secure) */
#define GICD_CTLR_ARE    (1u << 4)
#define GICD_CTLR_DS     (1u << 6)
#define GICD_CTLR_RWP    (1u << 31)
#define GICD_TYPER_KEPT  0x00f8041fu  /* IDbits, SecurityExtn, ITLinesNumber: no LPIs, no MBIs, no extended SPIs */
#define GICD_TYPER_NO1N  (1u << 25)

/* Redistributor registers (12.11); SGI_base is RD_base + 64 KiB. */
#define GICR_CTLR        0x0000u
#define GICR_IIDR        0x0004u
#define GICR_TYPER       0x0008u
#define GICR_WAKER       0x0014u
#define GICR_SGI_BASE    0x10000u

#define GICR_WAKER_SLEEP   (1u << 1)
#define GICR_WAKER_ASLEEP  (1u << 2)

/* The distributor with every SPI disabled, in group 1; the console's interrupt to its core. Once. */
void gic_init(void);

/* Words of 32 INTIDs that the distributor has (GICD_TYPER.ITLinesNumber), at most 32. */
uint32_t gic_word_count(void);

/* This core's redistributor and CPU interface. */
void gic_init_core(struct cpu *cpu);

/* Sends an SGI to one core. */
void gic_send_sgi(uint64_t mpidr, uint32_t sgi);

/* Sets one interrupt's priority; base: distributor, or SGI_base for INTIDs below 32. */
void gic_set_priority(uint64_t base, uint32_t intid, uint8_t priority);

/* Interrupts of a partition, as after reset: disabled, not pending, not active, routed to its vcpu 0. */
void gic_reset_interrupts(const struct layout_partition *config);

/* The CPU interface as after reset, for a guest that uses the physical one. */
void gic_reset_interface(void);

/* The core takes only the hypervisor's interrupts, or its guest's too. */
void gic_mask_guest(bool mask);

/* Takes one interrupt if there is one; false: spurious. Hypervisor's own interrupts are handled here. */
bool gic_take(struct cpu *cpu);

#endif
