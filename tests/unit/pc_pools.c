/* SPDX-License-Identifier: Apache-2.0 */
#include "pc_pools.h"

#include <arch/x86/pool.h>
#include <hv/pool.h>

struct cpu *fake_cpu_here(void);
void pool_thread(struct cpu *cpu);
void pool_vector(uint32_t vector);
void fake_wrmsr(uint32_t msr, uint64_t value);

const uint8_t pool_idt_pointer[10];
uint64_t *const pools_clock = &pc_tsc;

struct cpu *fake_cpu_here(void)
{
    thread_polls();
    return cpu_at(thread_of(core_now));
}

/* ---------------------------------------------------------------- what assembly does */

void thread_main(uint32_t thread)
{
    if (thread < board.cpu_count) {
        pool_main(thread);
    }
    pool_thread(cpu_at(thread));
    for (;;) {
        thread_stops(IN_GUEST);
        svm_pool_exit(cpu_at(thread));
    }
}

uint64_t timer_of(uint32_t core)
{
    uint32_t before = core_now;
    uint64_t deadline;

    core_now = core;
    deadline = *pc_msr(MSR_TSC_DEADLINE);
    core_now = before;
    return deadline != 0 ? deadline : UINT64_MAX;
}

static bool interrupt_waits(void)
{
    if (timer_of(core_now) <= pc_tsc) {
        *pc_msr(MSR_TSC_DEADLINE) = 0;
        pc_irr[core_now][POOL_TIMER / 64] |= UINT64_C(1) << POOL_TIMER % 64;
    }
    return pc_highest(pc_irr[core_now]) >= 0;
}

/* As pool_entry.S: the timer and kicks are noted, everything else is C's, which ends it itself. */
static void take(int vector)
{
    struct cpu *core = cpu_at(thread_of(core_now))->home;

    pc_irr[core_now][vector / 64] &= ~(UINT64_C(1) << (vector % 64));
    pc_isr[core_now][vector / 64] |= UINT64_C(1) << (vector % 64);
    if (vector == POOL_TIMER || vector == POOL_KICK) {
        core->fired |= vector == POOL_TIMER ? POOL_FIRED_TIMER : POOL_FIRED_KICK;
        fake_wrmsr(MSR_X2APIC_EOI, 0);
    } else {
        pool_vector((uint32_t)vector);
    }
    assert_int_equal(pc_highest(pc_isr[core_now]), -1);
}

/* Who takes interrupts while none is there looks at something that others will change. */
void vmm_pool_take(void)
{
    if (!interrupt_waits() && on_thread()) {
        thread_stops(SPINS);
    }
    while (interrupt_waits()) {
        take(pc_highest(pc_irr[core_now]));
    }
}

void vmm_pool_idle(void)
{
    while (!interrupt_waits()) {
        thread_stops(SLEEPS);
    }
    vmm_pool_take();
}

void vmm_pool_begin(void)
{
}

/* ---------------------------------------------------------------- the test's side */

struct cpu *guest_of(uint32_t core)
{
    return cpu_at(thread_of(core));
}

struct vmcb *vmcb_of_guest(uint32_t core)
{
    assert_true(thread_of(core) >= board.cpu_count);
    return guest_of(core)->vmcb;
}

/* The virtual interrupt of the VMCB, if the guest takes it now: 0 if not. */
uint32_t enters_with(uint32_t core)
{
    const struct vmcb *vmcb = vmcb_of_guest(core);
    bool open = (vmcb->rflags >> 9 & 1u) != 0 && vmcb->interrupt_shadow == 0;

    return (vmcb->interrupt_control & V_IRQ) != 0 && open ? (uint32_t)(vmcb->interrupt_control >> 32) & 0xffu : 0;
}

/* The CPU has delivered what it was entered with. */
static void leave(uint32_t core, uint64_t code)
{
    struct vmcb *vmcb = vmcb_of_guest(core);

    assert_true(in_guest(core));
    if (enters_with(core) != 0) {
        vmcb->interrupt_control &= ~V_IRQ;
    }
    vmcb->exit_code = code;
    vmcb->event_injection = vmcb->next_rip = 0;
}

void guest_is_interrupted(uint32_t core)
{
    leave(core, GUEST_INTERRUPTED);
}

enum stop guest_exits(uint32_t core, uint64_t code)
{
    leave(core, code);
    return core_goes_on(core);
}

static void spins(void)
{
    if (on_thread()) {
        thread_stops(SPINS);
    }
}

static void core_arrives(uint32_t core)
{
    (void)on(core);
}

void pools_power_on(void (*shape)(void))
{
    threads_reset(core_arrives);
    pc_layout();
    pools_shape();
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        for (uint32_t n = 0; i != LINUX && n < board_partitions[i].vcpu_count; n++) {
            ((struct layout_vcpu *)(uintptr_t)board_partitions[i].vcpus)[n].apic_id = n;
        }
        memset(board_partitions[i].pc.apic_ids, 0, i != LINUX ? sizeof(board_partitions[i].pc.apic_ids) : 0);
    }
    pc_pool_core = pool_core_init;
    pc_spins = spins;
    if (shape != NULL) {
        shape();
    }
    for (uint32_t entry = FLIGHT_0; entry <= SPARE_0; entry++) {
        (void)pools_home(entry);
    }
    pc_power_on();
    pool_init();
    pc_forget();
}

void pools_forget(void)
{
    pc_forget();
}

uint64_t map_of(uint32_t core)
{
    return pc_cr3[core];
}

uint64_t own_map(void)
{
    return HOST_CR3;
}

uint64_t loader_map(const struct layout_partition *config)
{
    return config->loader_cr3;
}
