/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The x86 guests: 64-bit mode, everything mapped where it is, no protection among themselves. Entered by
 * PVH's convention (Xen, docs/misc/pvh.pandoc), which QEMU's -kernel keeps as well.
 */
#ifndef GUEST_ARCH_H
#define GUEST_ARCH_H

#include <stdbool.h>
#include <stdint.h>

static inline void irq_enable(void) { __asm__ volatile("sti\n\tnop" ::: "memory"); }
static inline void irq_disable(void) { __asm__ volatile("cli" ::: "memory"); }

/* Lets pending interrupts in, with interrupts masked before and after. */
static inline void irq_window(void) { __asm__ volatile("sti\n\tnop\n\tnop\n\tcli" ::: "memory"); }

/* Sleeps, with interrupts masked, until there is one, and takes it. */
static inline void idle(void) { __asm__ volatile("sti\n\thlt\n\tcli" ::: "memory"); }

/* Plain MOVs: a hypervisor that emulates a page decodes no others. */
static inline uint32_t mmio_read32(uint64_t address)
{
    uint32_t value;
    __asm__ volatile("movl (%1), %0" : "=r"(value) : "r"(address) : "memory");
    return value;
}

static inline void mmio_write32(uint64_t address, uint32_t value)
{
    __asm__ volatile("movl %0, (%1)" :: "r"(value), "r"(address) : "memory");
}

static inline uint8_t mmio_read8(uint64_t address) { return *(volatile uint8_t *)address; }
static inline uint64_t mmio_read64(uint64_t address) { return *(volatile uint64_t *)address; }
static inline void mmio_write8(uint64_t address, uint8_t value) { *(volatile uint8_t *)address = value; }
static inline void mmio_write64(uint64_t address, uint64_t value) { *(volatile uint64_t *)address = value; }

/* Before a doorbell (channel.h): stores are seen in their order, only the compiler could change it. */
static inline void channel_barrier(void) { __asm__ volatile("" ::: "memory"); }

static inline uint8_t port_read8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint16_t port_read16(uint16_t port)
{
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint32_t port_read32(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void port_write8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" :: "a"(value), "Nd"(port));
}

static inline void port_write16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" :: "a"(value), "Nd"(port));
}

static inline void port_write32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" :: "a"(value), "Nd"(port));
}

static inline uint64_t msr_read(uint32_t msr)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
    return ((uint64_t)high << 32) | low;
}

static inline void msr_write(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" :: "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

struct cpuid { uint32_t eax, ebx, ecx, edx; };

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid out;
    __asm__ volatile("cpuid" : "=a"(out.eax), "=b"(out.ebx), "=c"(out.ecx), "=d"(out.edx)
                     : "a"(leaf), "c"(subleaf));
    return out;
}

/* ------------------------------------------------------------------ acpi.c, machine.c */
struct acpi {
    uint64_t ioapic;          /* 0: none */
    uint16_t pm_timer;        /* ports; 0: none */
    uint16_t pm_control;      /* PM1a_CNT of a machine that is not hardware-reduced */
    uint16_t reset, sleep;    /* 8 bits wide */
    uint8_t reset_value;
    const uint8_t *dsdt;      /* NULL: none */
    const uint8_t *wdat;      /* watchdog actions, NULL: none */
};
extern struct acpi acpi;

void acpi_open(uint64_t rsdp);
uint32_t acpi_cpus(uint64_t *ids, uint32_t room);
bool is_kvm_like(void);       /* does a hypervisor offer KVM's leaves? Bulkhead does */

/* ------------------------------------------------------------------ apic.c: x2APIC and I/O APIC */
#define MSR_APIC_BASE    0x1bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC       0x800u
#define X2APIC_ID        0x802u
#define X2APIC_VERSION   0x803u
#define X2APIC_TPR       0x808u
#define X2APIC_EOI       0x80bu
#define X2APIC_SVR       0x80fu
#define X2APIC_ISR       0x810u
#define X2APIC_IRR       0x820u
#define X2APIC_ICR       0x830u
#define X2APIC_LVT_TIMER 0x832u
#define X2APIC_LVT_LINT0 0x835u
#define X2APIC_LVT_LINT1 0x836u
#define X2APIC_COUNT     0x838u
#define X2APIC_NOW       0x839u
#define X2APIC_DIVIDE    0x83eu
#define X2APIC_SELF      0x83fu

#define ICR_NMI          (4u << 8)
#define ICR_INIT         (5u << 8)
#define ICR_STARTUP      (6u << 8)
#define ICR_ASSERT       (1u << 14)

#define VECTOR_LINE      0x30u    /* of the I/O APIC's line 0; the others follow */
#define VECTOR_TIMER     0xe0u
#define VECTOR_CALIBRATE 0xefu    /* never reaches guest_irq */
#define VECTOR_IPI       0xf0u    /* 14 of them */
#define VECTOR_SPURIOUS  0xffu

void apic_open(void);
void apic_init_core(void);
void apic_send(uint64_t id, uint32_t command);      /* one write of ICR */
uint32_t ioapic_read(uint32_t reg);
void ioapic_write(uint32_t reg, uint32_t value);
void ioapic_route(uint32_t line, uint64_t entry);
uint32_t ioapic_lines(void);

static inline uint64_t timer_now(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) :: "memory");
    return ((uint64_t)high << 32) | low;
}
static inline uint64_t board_now(void) { return timer_now(); }
uint64_t timer_hz(void);

#define CORE_ID_NAME  "APIC ID"
static inline uint64_t core_id(void) { return msr_read(X2APIC_ID); }

/* ------------------------------------------------------------------ trap.c, vectors.S */
/* What trap_try leaves of an exception. `code`: error code, 0 for exceptions without one. */
struct trap { uint64_t vector, code, address, rip; };

struct gate { uint64_t low, high; };
extern struct gate idt[256];
void idt_fill(void);
void idt_load(void);

#endif
