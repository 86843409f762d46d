/* SPDX-License-Identifier: Apache-2.0 */
/* Local APIC in x2APIC mode (SDM 3, chapter 11), and I/O APIC (82093AA). */
#include "guest.h"

#define APIC_BASE_X2APIC  (1u << 10)
#define APIC_BASE_ENABLE  (1u << 11)
#define SVR_ENABLE        0x100u
#define LVT_MASKED        (1u << 16)
#define LVT_DEADLINE      (2u << 17)
#define DIVIDE_BY_1       0xbu

#define IOAPIC_SELECT     0x00
#define IOAPIC_WINDOW     0x10
#define IOAPIC_VERSION    1u
#define IOAPIC_ENTRY      0x10u
#define IOAPIC_MASKED     (1u << 16)

#define CALIBRATE_COUNT   0x400000u

static bool has_deadline;
static uint64_t counts_per_tick;    /* of the APIC's timer to the TSC, 32.32 */

/* How fast the APIC's timer is: until it has run out, seen without an interrupt being taken. */
static void calibrate(void)
{
    uint32_t irr = X2APIC_IRR + VECTOR_CALIBRATE / 32;
    msr_write(X2APIC_LVT_TIMER, VECTOR_CALIBRATE);
    uint64_t begin = timer_now();
    msr_write(X2APIC_COUNT, CALIBRATE_COUNT);
    while ((msr_read(irr) >> (VECTOR_CALIBRATE % 32) & 1) == 0) {
    }
    counts_per_tick = ((uint64_t)CALIBRATE_COUNT << 32) / (timer_now() - begin);
    irq_window();
}

/* x2APIC mode, and no interrupts from a PC's 8259, which firmware may have left running. */
void apic_open(void)
{
    msr_write(MSR_APIC_BASE, msr_read(MSR_APIC_BASE) | APIC_BASE_ENABLE);
    msr_write(MSR_APIC_BASE, msr_read(MSR_APIC_BASE) | APIC_BASE_X2APIC);
    msr_write(X2APIC_LVT_LINT0, LVT_MASKED);
    msr_write(X2APIC_LVT_LINT1, LVT_MASKED);
}

void apic_init_core(void)
{
    apic_open();
    msr_write(X2APIC_TPR, 0);
    msr_write(X2APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
    msr_write(X2APIC_DIVIDE, DIVIDE_BY_1);
    has_deadline = (cpuid(1, 0).ecx >> 24 & 1) != 0;
    if (!has_deadline && counts_per_tick == 0) {
        calibrate();
    }
    msr_write(X2APIC_LVT_TIMER, VECTOR_TIMER | (has_deadline ? LVT_DEADLINE : 0));
}

void apic_send(uint64_t id, uint32_t command)
{
    msr_write(X2APIC_ICR, (id << 32) | command);
}

uint32_t timer_irq(void)
{
    return VECTOR_TIMER;
}

/* Without a deadline the count has 32 bits: what lies further ahead comes early. */
void timer_at(uint64_t when)
{
    if (has_deadline) {
        msr_write(MSR_TSC_DEADLINE, when);
        return;
    }
    uint64_t now = timer_now();
    uint64_t ahead = when > now ? when - now : 1;
    uint64_t counts = (ahead >> 32) * counts_per_tick + (((ahead & 0xffffffff) * counts_per_tick) >> 32);
    msr_write(X2APIC_COUNT, counts == 0 ? 1 : counts > 0xffffffff ? 0xffffffff : counts);
}

void timer_off(void)
{
    msr_write(has_deadline ? MSR_TSC_DEADLINE : X2APIC_COUNT, 0);
}

uint32_t ioapic_read(uint32_t reg)
{
    mmio_write32(acpi.ioapic + IOAPIC_SELECT, reg);
    return mmio_read32(acpi.ioapic + IOAPIC_WINDOW);
}

void ioapic_write(uint32_t reg, uint32_t value)
{
    mmio_write32(acpi.ioapic + IOAPIC_SELECT, reg);
    mmio_write32(acpi.ioapic + IOAPIC_WINDOW, value);
}

uint32_t ioapic_lines(void)
{
    return acpi.ioapic == 0 ? 0 : (ioapic_read(IOAPIC_VERSION) >> 16 & 0xff) + 1;
}

/* Masked while its halves are written. */
void ioapic_route(uint32_t line, uint64_t entry)
{
    ioapic_write(IOAPIC_ENTRY + 2 * line, IOAPIC_MASKED);
    ioapic_write(IOAPIC_ENTRY + 2 * line + 1, (uint32_t)(entry >> 32));
    ioapic_write(IOAPIC_ENTRY + 2 * line, (uint32_t)entry);
}

void line_init(void)
{
    apic_init_core();
}

/* Of the I/O APIC's lines; the vectors of a core itself are always on. Edge, active high, to this core. */
void line_on(uint32_t irq)
{
    if (irq - VECTOR_LINE < ioapic_lines()) {
        ioapic_route(irq - VECTOR_LINE, irq | (core_id() << 56));
    }
}

void line_off(uint32_t irq)
{
    if (irq - VECTOR_LINE < ioapic_lines()) {
        ioapic_route(irq - VECTOR_LINE, IOAPIC_MASKED);
    }
}

void listen_to_neighbours(void)
{
    /* nothing to switch on: every vector and NMI comes through */
}
