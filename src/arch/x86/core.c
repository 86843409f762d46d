/* SPDX-License-Identifier: Apache-2.0 */
/* What the core asks of the architecture (hv/arch.h), as far as one core is concerned. */
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/port.h>
#include <hv/watchdog.h>

#include "apic.h"
#include "exits.h"
#include "ioapic.h"
#include "pci.h"
#include "pool.h"
#include "state.h"
#include "vmm.h"
#include "x86.h"

#define PIT_COUNTER    0x40u     /* 8254: channel 0 */
#define PIT_CONTROL    0x43u
#define PIT_ONE_SHOT   0x30u     /* channel 0, two bytes, mode 0 */
#define PIT_NS         838u      /* of one count, at 1.193182 MHz */
#define PIT_MOST       0xffffu

struct vcpu *arch_vcpu(uint32_t cpu)
{
    return &cpu_at(cpu)->vcpu;
}

void arch_kick(uint32_t cpu)
{
    if (HV_POOLS && layout.cpus[cpu].pool != 0) {
        pool_kick(cpu);
        return;
    }
    apic_send(layout.cpus[cpu].apic_id, ICR_NMI, 0);
}

/* An NMI brings any core back, so nothing has to be taken from the partition first. */
void arch_partition_withdraw(const struct layout_partition *config)
{
    (void)config;
}

void arch_partition_reset(const struct layout_partition *config)
{
    ioapic_reset(config);
    ports_reset(config);
    if (HV_PCI) {
        pci_reset(config);
    }
}

void arch_vcpu_reset(struct vcpu *vcpu)
{
    struct cpu *cpu = cpu_of(vcpu);

    if (!is_shared(cpu)) {
        apic_reset();
        state_reset();
    }
    for (uint32_t i = 0; i < ARRAY_COUNT(cpu->reg); i++) {
        cpu->reg[i] = 0;
    }
    cpu->guest_nmi = 0;
    cpu->nmi_blocked = false;
    vmm_reset(cpu);
    if (is_shared(cpu)) {
        pool_reset(cpu);
    }
    __atomic_store_n(&cpu->guest_init, 0u, __ATOMIC_RELEASE);
}

/* While it waits a core has no guest that could take interrupts: they stay in its local APIC. */
void arch_wait_begin(struct vcpu *vcpu)
{
    __atomic_store_n(&cpu_of(vcpu)->guest_init, 0u, __ATOMIC_RELEASE);
}

void arch_wait_end(struct vcpu *vcpu)
{
    (void)vcpu;
}

/* The hypervisor's interrupts are NMIs; what one is about is found by looking. */
static void look_around(const struct vcpu *vcpu)
{
    if (layout.console_irq != 0 && vcpu->cpu == layout.console_cpu) {
        console_input();
        console_tick();
    }
    if (HV_WATCHDOG && vcpu->cpu == layout.console_cpu) {
        watchdog_tick(vcpu->cpu);
    }
}

void arch_wait(struct vcpu *vcpu, bool sleep)
{
    if (is_shared(cpu_of(vcpu))) {
        pool_wait(vcpu, sleep);
        return;
    }
    if (sleep) {
        vmm_wait_nmi();
    }
    look_around(vcpu);
}

void exit_nmi(struct cpu *cpu)
{
    look_around(&cpu->vcpu);
}

void exit_events(struct cpu *cpu)
{
    if (__atomic_load_n(&cpu->guest_init, __ATOMIC_ACQUIRE) != 0 && !vcpu_must_halt(&cpu->vcpu)) {
        __atomic_store_n(&cpu->vcpu.run, VCPU_OFF, __ATOMIC_RELEASE);
        vcpu_wait(&cpu->vcpu);
    }
    if (vcpu_must_halt(&cpu->vcpu)) {
        vcpu_wait(&cpu->vcpu);
    }
    if (__atomic_load_n(&cpu->guest_nmi, __ATOMIC_ACQUIRE) != 0) {
        vmm_inject_nmi(cpu);
    }
}

/* ---------------------------------------------------------------- console */

void arch_console_irq(bool on)
{
    (void)on;  /* edges: what is not taken now is looked for again by the alarm */
}

/* The 8254's channel 0 reaches the console's core, as an NMI if that is no pool's; at most 55 ms, after which it looks again. */
void arch_alarm(uint64_t ns)
{
    uint64_t count = ns / PIT_NS;

    if (layout.pc.pit_line == LAYOUT_NO_LINE) {
        return;
    }
    port_write8(PIT_CONTROL, PIT_ONE_SHOT);
    if (ns != 0) {
        count = count > PIT_MOST ? PIT_MOST : count == 0 ? 1u : count;
        port_write8(PIT_COUNTER, (uint8_t)count);
        port_write8(PIT_COUNTER, (uint8_t)(count >> 8));
    }
}

/* ---------------------------------------------------------------- the board */

static void write_ports(const struct layout_out *out, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        port_write(out[i].port, out[i].width, out[i].value);
    }
}

void arch_board_off(void)
{
    write_ports(layout.pc.off, layout.pc.off_count);
}

void arch_board_reset(void)
{
    write_ports(layout.pc.off + layout.pc.off_count, layout.pc.reset_count);
}

_Noreturn void arch_halt(void)
{
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

/* ---------------------------------------------------------------- memory */

void arch_loader_open(const struct layout_partition *config)
{
    write_cr3(config->loader_cr3);
}

void arch_loader_close(void)
{
    write_cr3(layout.host_cr3);
}
