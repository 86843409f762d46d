/* SPDX-License-Identifier: Apache-2.0 */
/* Vcpus that share a core (hv/pool.h): their threads, the switch of all state, the core's interrupts and its timer. */
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/pool.h>
#include <hv/trace.h>
#include <hv/watchdog.h>

#include "apic.h"
#include "exits.h"
#include "ioapic.h"
#include "pool.h"
#include "timer.h"
#include "vendor.h"
#include "vmm.h"
#include "x86.h"

#define LEAF_1_XSAVE     (1u << 26)  /* ecx */
#define LEAF_RDTSCP      (1u << 27)  /* edx of 0x80000001 */
#define LEAF_7_CTRL      (1u << 26)  /* edx: SPEC_CTRL, Intel's way */
#define LEAF_8_CTRL      (1u << 14 | 1u << 15 | 1u << 24)  /* ebx of 0x80000008: SPEC_CTRL, AMD's way */
#define CR4_OSFXSR       (UINT64_C(1) << 9)
#define DR6_RESET        UINT64_C(0xffff0ff0)
#define STATE_MXCSR      24u         /* in the area (SDM 1 table 10-2) */
#define MXCSR_RESET      0x1f80u
#define STATE_FCW_RESET  0x37fu
#define HLT_LENGTH       1u
#define FRAME_WORDS      7u          /* context_switch's: six registers, the return address */

void context_switch(uint64_t *from, uint64_t to);
void context_begin(void);
void pool_thread(struct cpu *cpu);
void pool_vector(uint32_t vector);

extern const uint8_t pool_idt_pointer[];

/* What of the state this CPU has; found by the first core of a pool, the same on all. */
static uint64_t state_bits;
static bool has_rdtscp, has_spec_ctrl;

uint32_t arch_thread(void)
{
    return cpu_here()->vcpu.cpu;
}

/* The entry in layout.cpus of the core that a thread is on. */
static uint32_t core_of(const struct cpu *cpu)
{
    return cpu->home->vcpu.cpu;
}

/* ---------------------------------------------------------------- a vcpu's state */

static void write_xcr0(uint64_t value)
{
    __asm__ volatile("xsetbv" : : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(0u));
}

static uint64_t read_xcr0(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0u));
    return (uint64_t)high << 32 | low;
}

/*
 * All that there is, not only what the guest has turned on: the rest would be its neighbour's. XCR0 is all of it while
 * no guest's state is loaded.
 */
static void save_state(struct shared *shared)
{
    if (state_bits == 0) {
        __asm__ volatile("fxsave64 %0" : "=m"(shared->state));
        return;
    }
    shared->xcr0 = read_xcr0();
    write_xcr0(state_bits);
    __asm__ volatile("xsave64 %0" : "+m"(shared->state) : "a"(UINT32_MAX), "d"(UINT32_MAX));
}

static void load_state(const struct shared *shared)
{
    if (state_bits == 0) {
        __asm__ volatile("fxrstor64 %0" : : "m"(shared->state));
        return;
    }
    __asm__ volatile("xrstor64 %0" : : "m"(shared->state), "a"(UINT32_MAX), "d"(UINT32_MAX));
    write_xcr0(shared->xcr0);
}

static void save_registers(struct shared *shared)
{
    __asm__ volatile("mov %%dr0, %0\n\tmov %%dr1, %1\n\tmov %%dr2, %2\n\tmov %%dr3, %3\n\tmov %%dr6, %4\n\tmov %%cr2, %5"
                     : "=r"(shared->debug[0]), "=r"(shared->debug[1]), "=r"(shared->debug[2]), "=r"(shared->debug[3]),
                       "=r"(shared->dr6), "=r"(shared->cr2));
    if (has_rdtscp) {
        shared->tsc_aux = rdmsr(MSR_TSC_AUX);
    }
    if (has_spec_ctrl) {
        shared->spec_ctrl = rdmsr(MSR_SPEC_CTRL);
    }
}

static void load_registers(const struct shared *shared)
{
    __asm__ volatile("mov %0, %%dr0\n\tmov %1, %%dr1\n\tmov %2, %%dr2\n\tmov %3, %%dr3\n\tmov %4, %%dr6\n\tmov %5, %%cr2"
                     : : "r"(shared->debug[0]), "r"(shared->debug[1]), "r"(shared->debug[2]), "r"(shared->debug[3]),
                         "r"(shared->dr6), "r"(shared->cr2));
    if (has_rdtscp) {
        wrmsr(MSR_TSC_AUX, shared->tsc_aux);
    }
    if (has_spec_ctrl) {
        wrmsr(MSR_SPEC_CTRL, shared->spec_ctrl);
    }
}

static void save_guest(struct cpu *cpu)
{
    vmm_switch_out(cpu);
    save_registers(cpu->shared);
    save_state(cpu->shared);
}

static void load_guest(struct cpu *cpu, struct cpu *core)
{
    uint8_t *last = &core->last_of[layout.cpus[cpu->vcpu.cpu].partition];
    /* Two vcpus of a partition share an ASID; and one that was elsewhere may have dropped translations there only. */
    bool stale = *last != cpu->vcpu.index + 1u || cpu->home != core;

    *last = (uint8_t)(cpu->vcpu.index + 1u);
    cpu->home = core;
    if (!cpu->shared->begun) {
        cpu->shared->begun = true;
        vmm_share(cpu);
    }
    vmm_switch_in(cpu, stale);
    load_registers(cpu->shared);
    load_state(cpu->shared);
}

/* Registers as after reset: where they are now, in the core. */
static void reset_state(struct shared *shared)
{
    for (uint32_t i = 0; i < POOL_STATE_SIZE; i++) {
        shared->state[i] = 0;
    }
    *(uint32_t *)(void *)&shared->state[STATE_MXCSR] = MXCSR_RESET;
    *(uint16_t *)(void *)&shared->state[0] = STATE_FCW_RESET;
    for (uint32_t i = 0; i < ARRAY_COUNT(shared->debug); i++) {
        shared->debug[i] = 0;
    }
    shared->dr6 = DR6_RESET;
    shared->cr2 = shared->tsc_aux = shared->spec_ctrl = 0;
    shared->xcr0 = 1;
    load_registers(shared);
    if (state_bits != 0) {
        write_xcr0(state_bits);
    }
    load_state(shared);
}

void pool_reset(struct cpu *cpu)
{
    vapic_reset(&cpu->shared->vapic, cpu->vcpu.index);
    reset_state(cpu->shared);
    vmm_share_reset(cpu);
}

/* ---------------------------------------------------------------- threads */

void arch_thread_init(uint32_t index)
{
    struct cpu *cpu = cpu_at(index);
    uint64_t *frame = (uint64_t *)(void *)cpu - FRAME_WORDS;

    vcpu_init(&cpu->vcpu, index);
    cpu->apic_ids = cpu->vcpu.config->pc.apic_ids;
    cpu->apic_base = APIC_BASE_PAGE | APIC_BASE_ON | APIC_BASE_X2 | (cpu->vcpu.index == 0 ? APIC_BASE_BSP : 0);
    cpu->shared = vmm_shared(index);
    cpu->home = NULL;
    cpu->shared->xcr0 = 1;
    vapic_reset(&cpu->shared->vapic, cpu->vcpu.index);
    frame[FRAME_WORDS - 1u] = (uint64_t)(uintptr_t)&context_begin;
    cpu->sp = (uint64_t)(uintptr_t)frame;
}

/* From context_begin: returns to enter the guest. */
void pool_thread(struct cpu *cpu)
{
    pool_let_go(&cpu->home->thread);
    vcpu_wait(&cpu->vcpu);
    pool_leave(cpu);
}

/* Returns when this thread goes on, maybe on another core. */
static void go_on_with(struct cpu *next, struct cpu *self)
{
    context_switch(&self->sp, next->sp);
    pool_let_go(&self->home->thread);
}

/* A thread that has a partition's memory before it keeps its map; everybody else has the hypervisor's own. */
void arch_to_next(uint32_t core, uint32_t next)
{
    struct cpu *self = cpu_here(), *home = cpu_at(core), *to = cpu_at(next);
    uint64_t map = read_cr3();

    save_guest(self);
    home->thread.leaving = &self->thread;
    if (map != layout.host_cr3) {
        write_cr3(layout.host_cr3);
    }
    /* One that another core has not left yet is for the idle thread to wait for: this one may be awaited there. */
    if (to == home || !pool_claim(&to->thread)) {
        to = home;
    } else {
        load_guest(to, home);
    }
    go_on_with(to, self);
    if (map != layout.host_cr3) {
        write_cr3(map);
    }
}

void arch_to_vcpu(uint32_t core, uint32_t index)
{
    struct cpu *cpu = cpu_at(index);

    while (!pool_claim(&cpu->thread)) {
        pause();
    }
    load_guest(cpu, cpu_at(core));
    go_on_with(cpu, cpu_at(core));
}

/* The largest state that switches move, and whether this CPU's is laid out as expected. */
static void find_state(const char *pool)
{
    struct cpuid features = cpuid(1, 0), extended = cpuid(0x80000001u, 0);

    has_rdtscp = (extended.reg[3] & LEAF_RDTSCP) != 0;
    has_spec_ctrl = (cpuid(0, 0).reg[0] >= 7u && (cpuid(7, 0).reg[3] & LEAF_7_CTRL) != 0) ||
                    (cpuid(0x80000000u, 0).reg[0] >= 0x80000008u && (cpuid(0x80000008u, 0).reg[1] & LEAF_8_CTRL) != 0);
    write_cr4(read_cr4() | CR4_OSFXSR);
    if ((features.reg[2] & LEAF_1_XSAVE) != 0) {
        write_cr4(read_cr4() | CR4_OSXSAVE);
        state_bits = cpuid(0xd, 0).reg[0] & POOL_XCR0;
        write_xcr0(state_bits);
        if (cpuid(0xd, 0).reg[1] > POOL_STATE_SIZE) {
            panic("pool %s: the state of this CPU's vectors takes %u bytes, more than pools switch", pool,
                  cpuid(0xd, 0).reg[1]);
        }
    }
}

void pool_core_init(uint32_t index)
{
    struct cpu *cpu = cpu_at(index);

    cpu->vcpu.cpu = index;
    cpu->home = cpu;
    cpu->decide_at = cpu->armed_at = UINT64_MAX;
    find_state(layout.pools[layout.cpus[index].pool - 1u].name);
    vmm_pool_on(cpu);
    timer_init();
    __asm__ volatile("lidt %0" : : "m"(*pool_idt_pointer));
    vmm_pool_begin();
}

/* ---------------------------------------------------------------- time */

/* The next that this core has to look at: a decision, or a timer of the vcpu that runs there. */
static void arm(struct cpu *core, uint64_t guest)
{
    uint64_t at = core->decide_at < guest ? core->decide_at : guest;

    if (at != core->armed_at) {
        core->armed_at = at;
        timer_set(at);
    }
}

void arch_decide_at(uint64_t at)
{
    struct cpu *core = cpu_here()->home;

    core->decide_at = at;
    arm(core, UINT64_MAX);
}

/* ---------------------------------------------------------------- interrupts of the core */

static bool is_console_line(const struct cpu *core, uint32_t line)
{
    return (layout.console_irq != 0 || HV_WATCHDOG) && core->vcpu.cpu == layout.console_cpu &&
           ((layout.console_irq != 0 && line == layout.uart.intid) || line == layout.pc.pit_line);
}

/* Called by the interrupt table of a pool's core for lines; pool_entry.S notes its timer and kicks by itself. */
void pool_vector(uint32_t vector)
{
    struct cpu *core = cpu_here()->home;

    if (is_console_line(core, vector - POOL_LINES)) {
        core->fired |= POOL_FIRED_CONSOLE;
    } else {
        shared_line_raise(vector - POOL_LINES);
    }
    wrmsr(MSR_X2APIC_EOI, 0);
}

/* On the console's core: what waits for the port, and the watchdogs. */
static void tick(void)
{
    if (layout.console_irq != 0) {
        console_tick();
    }
    if (HV_WATCHDOG) {
        watchdog_tick(layout.console_cpu);
    }
}

/* Looks after what the core has taken. True: the scheduler is to be asked. */
static bool serve(struct cpu *core)
{
    uint32_t fired = core->fired;

    core->fired = 0;
    if ((fired & POOL_FIRED_TIMER) != 0) {
        core->armed_at = UINT64_MAX;
    }
    if ((fired & POOL_FIRED_CONSOLE) != 0 && layout.console_irq != 0) {
        console_input();
    }
    if ((fired & (POOL_FIRED_KICK | POOL_FIRED_CONSOLE)) != 0 && core->vcpu.cpu == layout.console_cpu) {
        tick();
    }
    if ((fired & POOL_FIRED_KICK) != 0 || rdtsc() >= core->decide_at) {
        return true;
    }
    arm(core, UINT64_MAX);  /* it was too early, or for the guest that runs here, which looks for itself */
    return false;
}

static inline void serve_and_schedule(struct cpu *cpu)
{
    if (cpu->home->fired != 0 && serve(cpu->home)) {
        pool_schedule(&cpu->vcpu, core_of(cpu));
    }
}

void pool_kick(uint32_t cpu)
{
    if (cpu >= layout.cpu_count) {
        pool_wake(cpu);
    } else {
        apic_send(layout.cpus[cpu].apic_id, ICR_FIXED, POOL_KICK);
    }
}

void pool_request(struct cpu *cpu, uint32_t vector, bool level)
{
    if (vapic_request(&cpu->shared->vapic, vector, level) && cpu != cpu_here()) {
        pool_wake(cpu->vcpu.cpu);
    }
}

void arch_idle(void)
{
    struct cpu *core = cpu_here();

    vmm_pool_idle();
    (void)serve(core);  /* the idle thread decides next in any case */
}

void pool_leave(struct cpu *cpu)
{
    struct vapic *vapic = &cpu->shared->vapic;
    uint32_t vector;

    serve_and_schedule(cpu);
    exit_events(cpu);
    if (vapic->timer_at != VAPIC_NEVER) {
        vapic_tick(vapic, rdtsc());
    }
    arm(cpu->home, vapic->timer_at);
    vmm_limit(cpu->home->armed_at);
    vector = vapic_next(vapic);
    if (vector != 0 && vmm_interrupt(cpu, vector)) {
        vapic_take(vapic, vector);
    }
}

/* ---------------------------------------------------------------- sleeping */

bool arch_has_work(const struct vcpu *vcpu)
{
    const struct cpu *cpu = cpu_at(vcpu->cpu);
    uint32_t run = __atomic_load_n(&vcpu->run, __ATOMIC_ACQUIRE);

    return vcpu_must_halt(vcpu) || run == VCPU_ON_PENDING ||
           (run == VCPU_ON && (__atomic_load_n(&cpu->guest_init, __ATOMIC_ACQUIRE) != 0 ||
                               __atomic_load_n(&cpu->guest_nmi, __ATOMIC_ACQUIRE) != 0 ||
                               (vapic_next(&cpu->shared->vapic) != 0 && vmm_interrupts_on(cpu))));
}

void pool_pause(struct cpu *cpu, uint64_t at)
{
    if (!pool_block(&cpu->vcpu, core_of(cpu), at)) {
        pool_schedule(&cpu->vcpu, core_of(cpu));
    }
}

void pool_wait(struct vcpu *vcpu, bool sleep)
{
    struct cpu *cpu = cpu_of(vcpu);

    if (!sleep) {
        vmm_pool_take();
        serve_and_schedule(cpu);
    } else {
        pool_pause(cpu, UINT64_MAX);
    }
}

/* HLT: until there is an interrupt that it takes, its core is somebody else's. */
void pool_halt(struct cpu *cpu)
{
    struct vapic *vapic = &cpu->shared->vapic;

    vmm_skip(cpu, HLT_LENGTH);
    vmm_end_shadow(cpu);
    do {
        vapic_tick(vapic, rdtsc());
    } while (pool_block(&cpu->vcpu, core_of(cpu), vapic->timer_at));
}
