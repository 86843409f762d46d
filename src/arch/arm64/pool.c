/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vcpus that share a core (hv/pool.h): the switch of everything that a core keeps in registers, at once and
 * completely, and the interrupts that come for a vcpu while another runs.
 */
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/pool.h>
#include <hv/trace.h>
#include <hv/watchdog.h>

#include "gic.h"
#include "pool.h"
#include "sysreg.h"
#include "vgic.h"

#define TIMER_ON      (UINT64_C(1) << 0)  /* CNTV_CTL_EL0, CNTP_CTL_EL0 (D19.12.9) */
#define TIMER_MASKED  (UINT64_C(1) << 1)
#define THREAD_FRAME  96u  /* context_switch's frame: x30 is its second word */

static struct context *context_of(uint32_t cpu)
{
    return &cpu_at(cpu)->context;
}

/* This core's entry in layout.cpus. */
static struct cpu *core_of(const struct cpu *cpu)
{
    return cpu_at(cpu->core);
}

uint32_t arch_thread(void)
{
    return cpu_here()->vcpu.cpu;
}

/* ---------------------------------------------------------------- a vcpu's state */

static bool has_room(const struct cpu *cpu)
{
    return (sysreg_read(ICH_ELRSR_EL2) & cpu->vgic.lr_mask) != 0;
}

static bool has_pending(const struct cpu *cpu)
{
    uint32_t pending = __atomic_load_n(&cpu->vgic.pending, __ATOMIC_ACQUIRE);

    return (pending & (cpu->vgic.enabled | VGIC_PENDING_VUART)) != 0;
}

static void save_lrs(const struct cpu *cpu, uint64_t *lr)
{
    for (uint32_t i = 0; i < MAX_LRS; i++) {
        lr[i] = (cpu->vgic.lr_mask >> i & 1u) != 0 ? lr_read(i) : 0;
    }
}

static void load_lrs(const struct cpu *cpu, const uint64_t *lr)
{
    for (uint32_t i = 0; i < MAX_LRS; i++) {
        if ((cpu->vgic.lr_mask >> i & 1u) != 0) {
            lr_write_any(i, lr[i]);
        }
    }
}

#define SAVE(name)  *reg++ = sysreg_read(name);
#define LOAD(name)  sysreg_write(name, *reg++);

static bool has_keys(void)
{
    return (sysreg_read(id_aa64isar1_el1) & 0xff0u) != 0;
}

static void save_interrupts(struct cpu *cpu, struct context *context)
{
    uint32_t mine = cpu->vcpu.config->ppi_mask;
    uint64_t redist = cpu->vgic.redist;

    save_lrs(cpu, context->lr);
    context->cntv_ctl = (uint32_t)sysreg_read(cntv_ctl_el0);
    context->cntp_ctl = (uint32_t)sysreg_read(cntp_ctl_el0);
    sysreg_write(cntv_ctl_el0, 0);
    sysreg_write(cntp_ctl_el0, 0);
    context->ppi_active = mmio_read32(redist + GICD_ISACTIVER) & mine;
    mmio_write32(redist + GICD_ICENABLER, mine);
    mmio_write32(redist + GICD_ICACTIVER, mine);
}

static void load_interrupts(struct cpu *cpu, const struct context *context)
{
    uint64_t redist = layout.cpus[cpu->core].redist.raw + GICR_SGI_BASE;

    cpu->vgic.redist = redist;
    mmio_write32(redist + GICD_ISACTIVER, context->ppi_active);
    mmio_write32(redist + GICD_ISENABLER, cpu->vgic.enabled & cpu->vcpu.config->ppi_mask);
    load_lrs(cpu, context->lr);
    sysreg_write(cntv_ctl_el0, context->cntv_ctl);
    sysreg_write(cntp_ctl_el0, context->cntp_ctl);
}

static void save_guest(struct cpu *cpu)
{
    struct context *context = &cpu->context;
    uint64_t *reg = context->reg;

    CONTEXT_REGISTERS(SAVE)
    if (has_keys()) {
        reg = context->key;
        CONTEXT_KEYS(SAVE)
    }
    save_interrupts(cpu, context);
    context_save_fp(context->fp);
}

static void load_guest(struct cpu *cpu)
{
    const struct layout_partition *config = cpu->vcpu.config;
    const struct context *context = &cpu->context;
    const uint64_t *reg = context->reg;
    struct cpu *core = core_of(cpu);

    CONTEXT_REGISTERS(LOAD)
    if (has_keys()) {
        reg = context->key;
        CONTEXT_KEYS(LOAD)
    }
    sysreg_write(vtcr_el2, config->vtcr);
    sysreg_write(vttbr_el2, config->vttbr);
    sysreg_write(vmpidr_el2, config->vcpus[cpu->vcpu.index].vmpidr);
    isb();
    /* Two vcpus of a partition may use one ASID for different things: what the other left does not stay. */
    if (core->last_of[partition_index(config)] != cpu->vcpu.cpu) {
        core->last_of[partition_index(config)] = (uint16_t)cpu->vcpu.cpu;
        __asm__ volatile("tlbi vmalle1\n\tic iallu\n\tdsb nsh" : : : "memory");
    }
    load_interrupts(cpu, context);
    context_load_fp(context->fp);
}

/* ---------------------------------------------------------------- threads */

void arch_thread_init(uint32_t index)
{
    struct cpu *cpu = cpu_at(index);
    uint64_t *frame = (uint64_t *)((uintptr_t)cpu - THREAD_FRAME);

    vcpu_init(&cpu->vcpu, index);
    cpu->pooled = true;
    cpu->sgi_forbidden = UINT64_MAX;
    cpu->vgic.dist = vgic_dist(cpu->vcpu.config);
    cpu->vgic.redist = layout.cpus[index].redist.raw + GICR_SGI_BASE;
    frame[1] = (uint64_t)(uintptr_t)&context_begin;
    cpu->context.sp = (uint64_t)(uintptr_t)frame;
}

/* From context_begin: returns to enter the guest. */
void pool_thread(struct cpu *cpu)
{
    vcpu_wait(&cpu->vcpu);
}

void arch_to_idle(uint32_t core)
{
    struct cpu *cpu = cpu_here();

    save_guest(cpu);
    context_switch(&cpu->context.sp, context_of(core)->sp);
}

void arch_to_vcpu(uint32_t core, uint32_t index)
{
    struct cpu *cpu = cpu_at(index), *idle = cpu_at(core);

    while (__atomic_exchange_n(&cpu->context.on_core, 1u, __ATOMIC_ACQUIRE) != 0) {
    }
    cpu->core = core;
    cpu->vgic.lr_mask = idle->vgic.lr_mask;
    load_guest(cpu);
    sysreg_write(tpidr_el2, (uint64_t)(uintptr_t)cpu);
    context_switch(&idle->context.sp, cpu->context.sp);
    sysreg_write(tpidr_el2, (uint64_t)(uintptr_t)idle);
    __atomic_store_n(&cpu->context.on_core, 0u, __ATOMIC_RELEASE);
}

/* A core of a pool: EL2's registers as for any core, with the traps that sharing needs. */
void pool_core_init(uint32_t index)
{
    struct cpu *cpu = cpu_at(index);

    cpu->core = index;
    cpu->pooled = true;
    cpu->vcpu.cpu = index;
    cpu->decide_at = cpu->alarm_at = UINT64_MAX;
    cpu->vgic.lr_mask = ((2u << (sysreg_read(ICH_VTR_EL2) & 0x1fu)) - 1u) & ((1u << MAX_LRS) - 1u);
    for (uint32_t i = 0; i < LAYOUT_MAX_PARTITIONS; i++) {
        cpu->last_of[i] = UINT16_MAX;
    }
    if ((sysreg_read(id_aa64pfr0_el1) >> 32 & 0xfu) != 0) {
        panic("pool %s: this CPU has SVE, whose state pools do not switch", layout.pools[layout.cpus[index].pool - 1u].name);
    }
    cpu->context.sp = (uint64_t)(uintptr_t)cpu;
}

/* ---------------------------------------------------------------- time */

static void program_timer(const struct cpu *core)
{
    uint64_t at = core->decide_at < core->alarm_at ? core->decide_at : core->alarm_at;

    sysreg_write(cnthp_cval_el2, at);
    sysreg_write(cnthp_ctl_el2, at != UINT64_MAX ? TIMER_ON : 0);
    isb();
}

void arch_decide_at(uint64_t at)
{
    struct cpu *core = core_of(cpu_here());

    core->decide_at = at;
    program_timer(core);
}

void pool_alarm(uint64_t at)
{
    struct cpu *core = core_of(cpu_here());

    core->alarm_at = at;
    program_timer(core);
}

/* ---------------------------------------------------------------- interrupts */

/* The vcpu that an interrupt of the distributor is for: the running one if it is its partition's. */
static struct cpu *owner_of(struct cpu *cpu, uint32_t intid)
{
    uint32_t word = intid / 32u, bit = 1u << (intid % 32u);

    if (cpu->vcpu.config != NULL && (cpu->vcpu.config->spi[word] & bit) != 0) {
        return cpu;
    }
    for (uint32_t i = 0; i < layout.partition_count; i++) {
        if ((layout.partitions[i].spi[word] & bit) != 0) {
            return cpu_at(layout.partitions[i].vcpus[0].cpu);
        }
    }
    return NULL;
}

/* Acknowledged, active in the distributor until its guest ends it: kept until that runs. */
static void keep_interrupt(struct cpu *owner, uint32_t intid)
{
    struct context *context = &owner->context;

    __atomic_fetch_or(&context->spi[intid / 32u], 1u << (intid % 32u), __ATOMIC_RELAXED);
    __atomic_fetch_or(&context->spi_word, 1u << (intid / 32u), __ATOMIC_RELEASE);
}

static void guest_interrupt(struct cpu *cpu, uint32_t intid)
{
    struct cpu *owner = intid < 32u ? cpu : owner_of(cpu, intid);

    if (owner == NULL) {
        return;
    }
    if (owner == cpu && has_room(cpu)) {
        vgic_inject_physical(cpu, intid);
        return;
    }
    keep_interrupt(owner, intid);
    if (owner != cpu) {
        pool_wake(owner->vcpu.cpu);
    }
}

/* What was kept, as far as list registers are free. */
void pool_refill(struct cpu *cpu)
{
    struct context *context = &cpu->context;
    uint32_t words = __atomic_load_n(&context->spi_word, __ATOMIC_ACQUIRE);

    for (; words != 0 && has_room(cpu); words &= words - 1u) {
        uint32_t word = (uint32_t)__builtin_ctz(words);
        uint32_t set;

        __atomic_fetch_and(&context->spi_word, ~(1u << word), __ATOMIC_ACQ_REL);
        set = __atomic_exchange_n(&context->spi[word], 0u, __ATOMIC_ACQ_REL);
        for (; set != 0 && has_room(cpu); set &= set - 1u) {
            vgic_inject_physical(cpu, 32u * word + (uint32_t)__builtin_ctz(set));
        }
        if (set != 0) {
            __atomic_fetch_or(&context->spi[word], set, __ATOMIC_RELAXED);
            __atomic_fetch_or(&context->spi_word, 1u << word, __ATOMIC_RELEASE);
        }
    }
}

/* One interrupt of a pool's core. False: there was none. */
static bool take(struct cpu *cpu)
{
    uint32_t intid = (uint32_t)sysreg_read(ICC_IAR1_EL1);
    bool own = cpu->vcpu.config == NULL || (cpu->vcpu.config->ppi_mask >> (intid & 31u) & 1u) == 0;

    if (intid >= GIC_SPURIOUS) {
        return false;
    }
    sysreg_write(ICC_EOIR1_EL1, intid);
    if (HV_TRACE) {
        trace_put(trace_of_core(cpu->core), arch_counter(), TRACE_INTERRUPT, cpu->vcpu.cpu, intid);
    }
    if (intid < 32u ? own : intid == layout.uart.intid) {
        if (intid == layout.uart.intid) {
            console_input();
        } else if (intid == layout.htimer_intid) {
            core_of(cpu)->decide_at = UINT64_MAX;
            core_of(cpu)->alarm_at = UINT64_MAX;
            program_timer(core_of(cpu));
        }
        if (cpu->core == layout.console_cpu) {
            console_tick();
        }
        if (HV_WATCHDOG) {
            watchdog_tick(cpu->core);
        }
        sysreg_write(ICC_DIR_EL1, intid);
    } else {
        guest_interrupt(cpu, intid);
    }
    return true;
}

void pool_interrupt(struct cpu *cpu)
{
    while (take(cpu)) {
    }
    pool_schedule();
    if (cpu->vcpu.config != NULL) {
        vgic_refill(cpu);
    }
}

void arch_idle(void)
{
    struct cpu *cpu = cpu_here();

    dsb_sy();
    wfi();
    while (take(cpu)) {
    }
}

/* ---------------------------------------------------------------- sleeping */

bool arch_has_work(const struct vcpu *vcpu)
{
    const struct cpu *cpu = cpu_at(vcpu->cpu);

    return vcpu_must_halt(vcpu) || __atomic_load_n(&vcpu->run, __ATOMIC_ACQUIRE) == VCPU_ON_PENDING ||
           (vcpu->run == VCPU_ON && has_pending(cpu)) ||
           __atomic_load_n(&cpu->context.spi_word, __ATOMIC_ACQUIRE) != 0;
}

/* When an armed timer of the guest's fires, as a count of the physical counter. */
static uint64_t timer_at(uint64_t control, uint64_t value, uint64_t offset)
{
    return (control & (TIMER_ON | TIMER_MASKED)) == TIMER_ON ? value + offset : UINT64_MAX;
}

/* The guest waits for an interrupt: its core is somebody else's meanwhile. */
void pool_wfi(struct cpu *cpu)
{
    uint64_t offset = sysreg_read(cntvoff_el2);
    uint64_t virtual = timer_at(sysreg_read(cntv_ctl_el0), sysreg_read(cntv_cval_el0), offset);
    uint64_t physical = timer_at(sysreg_read(cntp_ctl_el0), sysreg_read(cntp_cval_el0), 0);
    uint64_t at = virtual < physical ? virtual : physical;

    if (vgic_idle(cpu) && at > arch_counter()) {
        pool_block(&cpu->vcpu, at);
    }
    vgic_refill(cpu);
}
