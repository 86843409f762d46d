/* SPDX-License-Identifier: Apache-2.0 */
/* A core: its EL2 controls, its vcpu's registers at reset, waiting and being woken. */
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/pool.h>

#include "gic.h"
#include "init.h"
#include "pool.h"
#include "psci.h"
#include "sysreg.h"
#include "vgic.h"

#define CNTHCTL_GUEST       UINT64_C(3)   /* EL1 may use the physical counter and timer (D19.12.4) */
#define SCTLR_EL1_RESET     UINT64_C(0x30d00800)
#define HCR_GUEST                                                                                        \
    (HCR_VM | HCR_SWIO | HCR_PTW | HCR_AMO | HCR_FB | HCR_BSU_IS | HCR_TSC | HCR_TIDCP | HCR_TACR | \
     HCR_RW | HCR_APK | HCR_API)

/* Register encodings that assemblers know only with their extension. */
#define HCRX_EL2            S3_4_C1_C2_2
#define HFGRTR_EL2          S3_4_C1_C1_4
#define HFGWTR_EL2          S3_4_C1_C1_5
#define HFGITR_EL2          S3_4_C1_C1_6
#define HDFGRTR_EL2         S3_4_C3_C1_4
#define HDFGWTR_EL2         S3_4_C3_C1_5
#define ZCR_EL2             S3_4_C1_C2_0
#define SMCR_EL2            S3_4_C1_C2_6
#define SMPRI_TPIDR2        UINT64_C(0x00c0000000000000)  /* nSMPRI, nTPIDR2: 1 does not trap */
#define HCRX_MSCEN          (UINT64_C(1) << 11)

#define MDCR_TRAP_ALL       UINT64_C(0xe60)  /* TDRA, TDOSA, TDA, TPM, TPMCR: no debugging, no PMU */

#define TIMER_MASKED        UINT64_C(0)

struct vcpu *arch_vcpu(uint32_t cpu)
{
    return &cpu_at(cpu)->vcpu;
}

/* Extensions that trap to EL2 unless told otherwise are given to the guest, who owns the core. */
static void open_extensions(void)
{
    uint64_t pfr0 = sysreg_read(id_aa64pfr0_el1), pfr1 = sysreg_read(id_aa64pfr1_el1);
    uint64_t mmfr0 = sysreg_read(id_aa64mmfr0_el1), mmfr1 = sysreg_read(id_aa64mmfr1_el1);
    bool sme = bits(pfr1, 27, 24) != 0;

    sysreg_write(cptr_el2, CPTR_NO_TRAPS);
    isb();
    if (bits(pfr0, 35, 32) != 0) {
        sysreg_write(ZCR_EL2, 0x1ff);
    }
    if (sme) {
        sysreg_write(SMCR_EL2, UINT64_C(0xc00001ff) & (bits(sysreg_read(S3_0_C0_C4_5), 63, 63) != 0 ? UINT64_MAX : UINT64_C(0x7fffffff)));
    }
    if (bits(mmfr1, 43, 40) != 0) {
        sysreg_write(HCRX_EL2, bits(sysreg_read(S3_0_C0_C6_2), 19, 16) != 0 ? HCRX_MSCEN : 0);
    }
    if (bits(mmfr0, 59, 56) != 0) {
        sysreg_write(HFGRTR_EL2, sme ? SMPRI_TPIDR2 : 0);
        sysreg_write(HFGWTR_EL2, sme ? SMPRI_TPIDR2 : 0);
        sysreg_write(HFGITR_EL2, 0);
        sysreg_write(HDFGRTR_EL2, 0);
        sysreg_write(HDFGWTR_EL2, 0);
    }
}

/* The vcpu that the core belongs to. */
static inline void pinned_init(struct cpu *cpu, uint32_t index)
{
    const struct layout_cpu *core = &layout.cpus[index];
    const struct layout_partition *part = &layout.partitions[core->partition];

    vcpu_init(&cpu->vcpu, index);
    cpu->direct = part->irq_mode == LAYOUT_IRQ_DIRECT;
    cpu->vgic.dist = vgic_dist(part);
    cpu->vgic.lr_mask = ((2u << (sysreg_read(ICH_VTR_EL2) & 0x1fu)) - 1u) & ((1u << MAX_LRS) - 1u);
    cpu->sgi_forbidden = UINT64_MAX;
    if (cpu->direct && part->sgi.mask != 0) {
        cpu->sgi_forbidden = ~(UINT64_C(0x0f000000) | part->sgi.mask);
        cpu->sgi_base = part->sgi.base;
        cpu->sgi_shift = part->sgi.shift;
    }
    sysreg_write(vttbr_el2, part->vttbr);
    sysreg_write(vtcr_el2, part->vtcr);
    sysreg_write(vmpidr_el2, part->vcpus[core->vcpu].vmpidr);
}

void cpu_init(uint32_t index)
{
    struct cpu *cpu = cpu_at(index);
    uint64_t hcr = HCR_GUEST;

    sysreg_write(tpidr_el2, (uint64_t)(uintptr_t)cpu);
    cpu->vgic.redist = layout.cpus[index].redist.raw + GICR_SGI_BASE;
    if (HV_POOLS && layout.cpus[index].pool != 0) {
        pool_core_init(index);
    } else {
        pinned_init(cpu, index);
    }
    if (!cpu->direct) {
        hcr |= HCR_IMO | HCR_FMO;
    }
    if (bits(sysreg_read(id_aa64pfr1_el1), 11, 8) >= 2) {
        hcr |= HCR_ATA;
    }
    hcr |= (HV_POOLS && cpu->pooled) || (HV_HEALTH && cpu->direct && cpu->vcpu.config->trap_wfi != 0) ? HCR_TWI : 0;
    sysreg_write(hcr_el2, hcr);
    sysreg_write(vpidr_el2, sysreg_read(midr_el1));
    sysreg_write(cnthctl_el2, CNTHCTL_GUEST);
    sysreg_write(cnthp_ctl_el2, 0);
    sysreg_write(hstr_el2, 0);
    sysreg_write(mdcr_el2, bits(sysreg_read(pmcr_el0), 15, 11) |  /* HPMN: all counters are the guest's */
                           (HV_POOLS && cpu->pooled ? MDCR_TRAP_ALL : 0));
    open_extensions();
    isb();
    __asm__ volatile("tlbi vmalls12e1" : : : "memory");
    dsb_sy();
    gic_init_core(cpu);
}

void arch_vcpu_reset(struct vcpu *vcpu)
{
    struct cpu *cpu = cpu_of(vcpu);

    for (uint32_t i = 0; i < ARRAY_COUNT(cpu->x); i++) {
        cpu->x[i] = 0;
    }
    cpu->x[0] = vcpu->context;
    sysreg_write(elr_el2, vcpu->entry);
    sysreg_write(spsr_el2, SPSR_EL1H_MASKED);
    sysreg_write(sctlr_el1, SCTLR_EL1_RESET);
    sysreg_write(tcr_el1, 0);
    sysreg_write(cpacr_el1, 0);
    sysreg_write(mdscr_el1, 0);
    sysreg_write(cntkctl_el1, 0);
    sysreg_write(cntv_ctl_el0, TIMER_MASKED);
    sysreg_write(cntp_ctl_el0, TIMER_MASKED);
    sysreg_write(pmcr_el0, 0);
    sysreg_write(cntvoff_el2, vcpu->partition->time_base);
    isb();
    __asm__ volatile("tlbi vmalls12e1\n\tic iallu" : : : "memory");
    dsb_sy();
    vgic_reset_core(cpu);
    isb();
}

void arch_partition_reset(const struct layout_partition *config)
{
    vgic_reset(config);
    if (HV_POOLS) {
        pool_forget(config);
    }
    arch_partition_restore(config);
}

/* A `direct` core's guest may have the SGI disabled or masked by priority, so both are set right first. */
static void regain_direct(const struct layout_cpu *core)
{
    uint64_t sgi_base = core->redist.raw + GICR_SGI_BASE;

    gic_set_priority(sgi_base, GIC_KICK_DIRECT, 0);
    mmio_write32(sgi_base + GICD_ISENABLER, 1u << GIC_KICK_DIRECT);
    gic_send_sgi(core->mpidr, GIC_KICK_DIRECT);
}

void arch_kick(uint32_t index)
{
    const struct layout_cpu *core = &layout.cpus[index];

    if (HV_POOLS && index >= layout.cpu_count) {
        pool_wake(index);
        return;
    }
    if (!cpu_at(index)->direct) {
        gic_send_sgi(core->mpidr, GIC_KICK_VIRTUAL);
        return;
    }
    dsb_sy();
    sev();  /* one that waits in EL2 does so by WFE */
    if (vcpu_must_halt(arch_vcpu(index))) {
        regain_direct(core);
    }
}

void arch_wait_begin(struct vcpu *vcpu)
{
    if (!cpu_of(vcpu)->direct && !(HV_POOLS && cpu_of(vcpu)->pooled)) {
        gic_mask_guest(true);
    }
}

void arch_wait_end(struct vcpu *vcpu)
{
    vgic_refill(cpu_of(vcpu));
}

void arch_wait(struct vcpu *vcpu, bool sleep)
{
    struct cpu *cpu = cpu_of(vcpu);

    if (HV_POOLS && cpu->pooled) {
        pool_wait(cpu, sleep);
        return;
    }
    if (cpu->direct) {
        if (sleep) {
            wfe();
        }
        return;
    }
    if (sleep) {
        dsb_sy();
        wfi();
    }
    while (gic_take(cpu)) {
    }
}

/* The EL2 physical timer; only the console uses it, so each call replaces the last. */
void arch_alarm(uint64_t ns)
{
    uint64_t ticks = ns * (sysreg_read(cntfrq_el0) / 1000u) / UINT64_C(1000000);

    if (HV_POOLS && cpu_here()->pooled) {
        pool_alarm(ns != 0 ? sysreg_read(cntpct_el0) + ticks : UINT64_MAX);
        return;
    }
    sysreg_write(cnthp_cval_el2, sysreg_read(cntpct_el0) + ticks);
    sysreg_write(cnthp_ctl_el2, ns != 0 ? 1 : 0);
    isb();
}

uint64_t arch_counter(void)
{
    return sysreg_read(cntpct_el0);
}

uint64_t arch_time_ns(void)
{
    uint64_t frequency = sysreg_read(cntfrq_el0);
    uint64_t ticks = sysreg_read(cntpct_el0);

    if (frequency == 0) {
        return ticks;
    }
    return ticks / frequency * UINT64_C(1000000000) + ticks % frequency * UINT64_C(1000000000) / frequency;
}

void arch_board_reset(void)
{
    (void)firmware_call(PSCI_SYSTEM_RESET, 0, 0, 0);
}

void arch_board_off(void)
{
    (void)firmware_call(PSCI_SYSTEM_OFF, 0, 0, 0);
}

void arch_halt(void)
{
    for (;;) {
        wfe();
    }
}
