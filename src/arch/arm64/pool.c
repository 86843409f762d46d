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
#include "init.h"
#include "pool.h"
#include "sysreg.h"
#include "vgic.h"

#define TIMER_ON      (UINT64_C(1) << 0)  /* CNTV_CTL_EL0, CNTP_CTL_EL0 (D19.12.9) */
#define TIMER_MASKED  (UINT64_C(1) << 1)
#define ISR_IRQ       (UINT64_C(1) << 7)  /* ISR_EL1 (D19.2.63) */
#define THREAD_FRAME  96u  /* context_switch's frame: x30 is its second word */

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

/* No list register holds anything. */
static bool is_idle(const struct cpu *cpu)
{
    return (cpu->vgic.lr_mask & ~sysreg_read(ICH_ELRSR_EL2)) == 0;
}

static uint32_t all_lrs(void)
{
    return ((2u << (sysreg_read(ICH_VTR_EL2) & 0x1fu)) - 1u) & ((1u << MAX_LRS) - 1u);
}

static bool has_pending(const struct cpu *cpu)
{
    uint32_t pending = __atomic_load_n(&cpu->vgic.pending, __ATOMIC_ACQUIRE);

    return (pending & (cpu->vgic.enabled | VGIC_PENDING_VUART)) != 0;
}

#define SAVE(name)  *reg++ = sysreg_read(name);
#define LOAD(name)  sysreg_write(name, *reg++);

static bool has_keys(void)
{
    return (sysreg_read(id_aa64isar1_el1) & 0xff0u) != 0;
}

static HV_COLD void save_keys(struct context *context)
{
    uint64_t *reg = context->key;

    CONTEXT_KEYS(SAVE)
}

static HV_COLD void load_keys(const struct context *context)
{
    const uint64_t *reg = context->key;

    CONTEXT_KEYS(LOAD)
}

/* Interrupts on their way to the guest, and those of its timers that it has not ended. */
static HV_COLD void save_interrupts(struct cpu *cpu)
{
    struct context *context = &cpu->context;
    uint32_t mine = cpu->vcpu.config->ppi_mask;

    for (uint32_t i = 0; i < MAX_LRS; i++) {
        if ((context->lr_used >> i & 1u) != 0) {
            context->lr[i] = lr_read(i);
            lr_write_any(i, 0);
        }
    }
    context->ppi_active = mmio_read32(cpu->vgic.redist + GICD_ISACTIVER) & mine;
    mmio_write32(cpu->vgic.redist + GICD_ICACTIVER, context->ppi_active);
}

static HV_COLD void load_interrupts(const struct cpu *cpu)
{
    const struct context *context = &cpu->context;

    for (uint32_t i = 0; i < MAX_LRS; i++) {
        if ((context->lr_used >> i & 1u) != 0) {
            lr_write_any(i, context->lr[i]);
        }
    }
    mmio_write32(cpu->vgic.redist + GICD_ISACTIVER, context->ppi_active);
}

/* What the redistributor lets through is changed where the next guest wants it otherwise. */
static HV_COLD void change_ppis(struct cpu *core, uint32_t now)
{
    mmio_write32(core->vgic.redist + GICD_ICENABLER, core->ppi_on & ~now);
    mmio_write32(core->vgic.redist + GICD_ISENABLER, now & ~core->ppi_on);
    core->ppi_on = now;
}

void pool_note_ppis(const struct cpu *cpu, uint32_t mask, bool on)
{
    struct cpu *core = core_of(cpu);

    core->ppi_on = on ? core->ppi_on | mask : core->ppi_on & ~mask;
}

static uint32_t enabled_ppis(const struct cpu *cpu)
{
    return cpu->vgic.enabled & cpu->vcpu.config->ppi_mask;
}

static void save_guest(struct cpu *cpu)
{
    struct context *context = &cpu->context;

    context_save(context);
    if (has_keys()) {
        save_keys(context);
    }
    /* A private interrupt is active only while a list register holds it, or it waits for one. */
    context->lr_used = cpu->vgic.lr_mask & ~(uint32_t)sysreg_read(ICH_ELRSR_EL2);
    context->ppi_active = 0;
    if ((context->lr_used | context->spi_word) != 0) {
        save_interrupts(cpu);
    }
}

static void load_guest(struct cpu *cpu, struct cpu *core)
{
    const struct context *context = &cpu->context;
    uint32_t ppis = enabled_ppis(cpu);

    cpu->core = core->core;
    cpu->vgic.redist = core->vgic.redist;
    context_load(context);
    if (has_keys()) {
        load_keys(context);
    }
    isb();
    /* Two vcpus of a partition may use one ASID for different things: what the other left does not stay. */
    if (core->last_of[cpu->vcpu_of] != cpu->vcpu.cpu) {
        core->last_of[cpu->vcpu_of] = (uint16_t)cpu->vcpu.cpu;
        __asm__ volatile("tlbi vmalle1\n\tic iallu\n\tdsb nsh" : : : "memory");
    }
    if (core->ppi_on != ppis) {
        change_ppis(core, ppis);
    }
    if ((context->lr_used | context->ppi_active) != 0) {
        load_interrupts(cpu);
    }
}

/* ---------------------------------------------------------------- threads */

void arch_thread_init(uint32_t index)
{
    struct cpu *cpu = cpu_at(index);
    const struct layout_cpu *slot = &layout.cpus[index];
    const struct layout_partition *config = &layout.partitions[slot->partition];
    uint64_t *frame = (uint64_t *)((uintptr_t)cpu - THREAD_FRAME);

    vcpu_init(&cpu->vcpu, index);
    cpu->pooled = true;
    cpu->vcpu_of = slot->partition;
    cpu->sgi_forbidden = UINT64_MAX;
    cpu->vgic.dist = vgic_dist(config);
    cpu->vgic.redist = slot->redist.raw + GICR_SGI_BASE;
    cpu->vgic.lr_mask = all_lrs();
    cpu->context.vtcr = config->vtcr;
    cpu->context.vttbr = config->vttbr;
    cpu->context.vmpidr = config->vcpus[slot->vcpu].vmpidr;
    frame[1] = (uint64_t)(uintptr_t)&context_begin;
    cpu->context.sp = (uint64_t)(uintptr_t)frame;
}

/* From context_begin: returns to enter the guest. */
void pool_thread(struct cpu *cpu)
{
    pool_let_go(&core_of(cpu)->thread);
    vcpu_wait(&cpu->vcpu);
}

/* Returns when this thread goes on, maybe on another core. */
static void go_on_with(struct cpu *next, struct cpu *self)
{
    sysreg_write(tpidr_el2, (uint64_t)(uintptr_t)next);
    context_switch(&self->context.sp, next->context.sp);
    pool_let_go(&core_of(self)->thread);
}

/* A thread that loads its partition takes its view on that memory with it. */
static HV_COLD void leave_loader(uint32_t core, uint32_t next)
{
    uint64_t map = sysreg_read(ttbr0_el2);

    arch_loader_close();
    arch_to_next(core, next);
    set_el2_root(map);
}

void arch_to_next(uint32_t core, uint32_t next)
{
    struct cpu *self = cpu_here(), *home = cpu_at(core), *to = cpu_at(next);

    if (sysreg_read(ttbr0_el2) != layout.el2_ttbr) {
        leave_loader(core, next);
        return;
    }
    save_guest(self);
    home->thread.leaving = &self->thread;
    /* One that another core has not left yet is for the idle thread to wait for: this one may be awaited there. */
    if (to == home || !pool_claim(&to->thread)) {
        sysreg_write(cntv_ctl_el0, 0);
        sysreg_write(cntp_ctl_el0, 0);
        to = home;
    } else {
        load_guest(to, home);
    }
    go_on_with(to, self);
}

void arch_to_vcpu(uint32_t core, uint32_t index)
{
    struct cpu *cpu = cpu_at(index), *home = cpu_at(core);

    while (!pool_claim(&cpu->thread)) {
    }
    load_guest(cpu, home);
    go_on_with(cpu, home);
}

/* A core of a pool: EL2's registers as for any core, with the traps that sharing needs. */
void pool_core_init(uint32_t index)
{
    struct cpu *cpu = cpu_at(index);

    cpu->core = index;
    cpu->pooled = true;
    cpu->vcpu.cpu = index;
    cpu->decide_at = cpu->alarm_at = UINT64_MAX;
    cpu->vgic.lr_mask = all_lrs();
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

void pool_forget(const struct layout_partition *config)
{
    for (uint32_t i = 0; i < config->vcpu_count; i++) {
        struct cpu *cpu = cpu_at(config->vcpus[i].cpu);

        if (cpu->pooled && __atomic_exchange_n(&cpu->context.spi_word, 0u, __ATOMIC_ACQ_REL) != 0) {
            for (uint32_t word = 0; word < ARRAY_COUNT(cpu->context.spi); word++) {
                __atomic_store_n(&cpu->context.spi[word], 0u, __ATOMIC_RELAXED);
            }
        }
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

/* The hypervisor's own: its timer, the console's, a kick. */
static void own_interrupt(struct cpu *cpu, uint32_t intid)
{
    struct cpu *core = core_of(cpu);
    bool timer = intid == layout.htimer_intid, alarm = !timer || core->alarm_at != UINT64_MAX;

    if (timer) {  /* the decision that follows programs it again */
        core->decide_at = core->alarm_at = UINT64_MAX;
        sysreg_write(cnthp_ctl_el2, 0);
        isb();
    } else if (intid == layout.uart.intid) {
        console_input();
    }
    if (alarm && cpu->core == layout.console_cpu) {
        console_tick();
    }
    if (HV_WATCHDOG) {
        watchdog_tick(cpu->core);
    }
    sysreg_write(ICC_DIR_EL1, intid);
}

/* One interrupt of a pool's core, if there is one. */
static inline void take(struct cpu *cpu)
{
    uint32_t intid = (uint32_t)sysreg_read(ICC_IAR1_EL1);
    bool own = cpu->vcpu.config == NULL || (cpu->vcpu.config->ppi_mask >> (intid & 31u) & 1u) == 0;

    if (intid >= GIC_SPURIOUS) {
        return;
    }
    sysreg_write(ICC_EOIR1_EL1, intid);
    if (HV_TRACE) {
        trace_put(trace_of_core(cpu->core), arch_counter(), TRACE_INTERRUPT, cpu->vcpu.cpu, intid);
    }
    if (intid < 32u ? own : intid == layout.uart.intid) {
        own_interrupt(cpu, intid);
    } else {
        guest_interrupt(cpu, intid);
    }
}

static inline bool interrupt_waits(void)
{
    return (sysreg_read(isr_el1) & ISR_IRQ) != 0;
}

/* Nothing has come in and everything fits: then no refill is needed. */
static inline void refill(struct cpu *cpu)
{
    if (cpu->vcpu.run == VCPU_ON &&
        (__atomic_load_n(&cpu->vgic.pending, __ATOMIC_RELAXED) | __atomic_load_n(&cpu->context.spi_word, __ATOMIC_RELAXED)) == 0) {
        sysreg_write(ICH_HCR_EL2, ICH_HCR_EN);
    } else {
        vgic_refill(cpu);
    }
}

void pool_interrupt(struct cpu *cpu)
{
    do {
        take(cpu);
    } while (interrupt_waits());
    pool_schedule(&cpu->vcpu, cpu->core);
    refill(cpu);
}

void pool_wait(struct cpu *cpu, bool sleep)
{
    if (!sleep) {
        if (interrupt_waits()) {
            pool_interrupt(cpu);
        }
    } else if (!pool_block(&cpu->vcpu, cpu->core, UINT64_MAX)) {
        pool_schedule(&cpu->vcpu, cpu->core);
    }
}

void arch_idle(void)
{
    struct cpu *cpu = cpu_here();

    dsb_sy();
    wfi();
    while (interrupt_waits()) {
        take(cpu);
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

    if (is_idle(cpu)) {
        (void)pool_block(&cpu->vcpu, cpu->core, at);
    }
    refill(cpu);
}
