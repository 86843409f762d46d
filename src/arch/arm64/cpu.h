/* SPDX-License-Identifier: Apache-2.0 */
/* What a core keeps at the top of its stack: the guest's registers first, where vectors.S puts them. */
#ifndef ARM64_CPU_H
#define ARM64_CPU_H

#include <hv/features.h>

#define CPU_SGI_FORBIDDEN  0x100  /* offsets that vectors.S uses; asserted below */
#define CPU_SGI_BASE       0x108
#define CPU_SGI_SHIFT      0x110
#if HV_POOLS
#define CPU_SIZE           0x700  /* with the context of a vcpu of a pool */
#else
#define CPU_SIZE           0x200
#endif

#ifndef __ASSEMBLER__

#include <hv/layout.h>
#include <hv/partition.h>
#include <hv/pool.h>
#include <hv/types.h>

#include "context.h"
#include "sysreg.h"

#define MAX_LRS  4u  /* list registers that are used; most CPUs have just these */

struct vgic_dist;

/* State of the virtual CPU interface and of the emulated redistributor of one vcpu. */
struct vgic_cpu {
    uint32_t pending;        /* software interrupts waiting for a list register, atomic; see vgic.h */
    uint32_t enabled;        /* INTIDs 0..31 that the guest enabled */
    uint32_t lr_mask;        /* list registers of this core that are used, one bit each */
    uint32_t foreign_sgis;   /* SGIs to nobody of the partition since its start; the first is reported */
    uint32_t asleep;         /* GICR_WAKER.ProcessorSleep */
    struct vgic_dist *dist;  /* the partition's */
    uint64_t redist;         /* SGI_base of the core's physical redistributor */
    uint16_t lr_intid[MAX_LRS];  /* what was last written to each list register */
    uint8_t  priority[32];   /* of INTIDs 0..31 */
};

struct cpu {
    uint64_t x[31];          /* guest's x0..x30; 19..29 are only saved on the slow paths */
    uint64_t spare;
    uint64_t sgi_forbidden;  /* bits of ICC_SGI1R_EL1 that leave the fast path; all ones in `virtual` mode */
    uint64_t sgi_base;       /* as in struct layout_sgi */
    uint64_t sgi_shift;
    struct vcpu vcpu;
    struct vgic_cpu vgic;
    bool     direct;         /* of the partition: the guest uses the physical CPU interface */
    bool     pooled;         /* a vcpu of a pool, or a pool's core */
#if HV_POOLS
    uint32_t core;           /* entry in layout.cpus of the core that it runs on */
    uint32_t vcpu_of;        /* its partition */
    uint32_t ppi_on;         /* a pool's core: which private interrupts of guests the redistributor lets through */
    struct pool_thread thread;
    uint64_t decide_at, alarm_at;               /* a pool's core: when its timer has to fire, and why */
    uint16_t last_of[LAYOUT_MAX_PARTITIONS];    /* a pool's core: the vcpu of each partition that ran last */
    struct context context;
#endif
};

_Static_assert(offsetof(struct cpu, sgi_forbidden) == CPU_SGI_FORBIDDEN, "vectors.S");
_Static_assert(offsetof(struct cpu, sgi_base) == CPU_SGI_BASE, "vectors.S");
_Static_assert(offsetof(struct cpu, sgi_shift) == CPU_SGI_SHIFT, "vectors.S");
_Static_assert(sizeof(struct cpu) <= CPU_SIZE, "head.S puts it at the top of the stack");

static inline struct cpu *cpu_at(uint32_t cpu)
{
    return (struct cpu *)(uintptr_t)(layout.cpus[cpu].stack_top - CPU_SIZE);
}

/* The one whose thread this is. */
static inline struct cpu *cpu_here(void)
{
    return (struct cpu *)(uintptr_t)sysreg_read(tpidr_el2);
}

static inline struct cpu *cpu_of(struct vcpu *vcpu)
{
    return cpu_at(vcpu->cpu);
}

#endif
#endif
