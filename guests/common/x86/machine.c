/* SPDX-License-Identifier: Apache-2.0 */
/* What PVH hands over, the frequency of the TSC, other cores, and the way out. */
#include "guest.h"

#define START_MAGIC   0x336ec578u
#define E820_RAM      1u
#define MIB           UINT64_C(0x100000)

/* Xen, public/arch-x86/hvm/start_info.h. */
struct memory_entry { uint64_t base, size; uint32_t type, reserved; };
struct start_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, arguments, rsdp, memory;
    uint32_t memory_count, reserved;
};

static const struct start_info *start;     /* NULL: none */

void machine_open(const void *given)
{
    const struct start_info *info = given;
    apic_open();
    if (info != NULL && info->magic == START_MAGIC && info->version >= 1) {
        start = info;
        acpi_open(start->rsdp);
    }
}

/* What lies between two pieces of RAM below 1 MiB counts as RAM, so that a PC's memory is one piece. */
uint32_t machine_memory(struct range *ranges, uint32_t room)
{
    uint32_t count = 0;
    for (uint32_t i = 0; start != NULL && i < start->memory_count; i++) {
        const struct memory_entry *entry = (const struct memory_entry *)start->memory + i;
        if (entry->type != E820_RAM) {
            continue;
        }
        if (count == 1 && ranges[0].base < MIB && entry->base == MIB) {
            ranges[0].size = entry->base + entry->size - ranges[0].base;
        } else if (count < room) {
            ranges[count++] = (struct range){entry->base, entry->size};
        }
    }
    return count;
}

bool machine_keeps(uint64_t page)
{
    return page < MIB || (page + 0x1000 > (uint64_t)image_start && page < (uint64_t)image_end);
}

uint32_t machine_cpus(uint64_t *ids, uint32_t room)
{
    return acpi_cpus(ids, room);
}

const char *machine_arguments(void)
{
    return start != NULL && start->arguments != 0 ? (const char *)start->arguments : "";
}

/* COM1, if a 16550 answers there. */
bool machine_console(uint64_t *base, uint32_t *irq)
{
    if (port_read8(0x3f8 + 5) == 0xff) {
        return false;
    }
    *base = 0x3f8;
    *irq = acpi.ioapic != 0 ? VECTOR_LINE + 4 : 0;
    return true;
}

/* ------------------------------------------------------------------ time */

#define KVM_CLOCK           0x4b564d01u   /* Linux, Documentation/virt/kvm/x86/msr.rst */
#define PM_TIMER_HZ         3579545u
#define PM_TIMER_MASK       0xffffffu

struct kvm_clock {
    uint32_t version, pad;
    uint64_t tsc, nanoseconds;
    uint32_t multiplier;
    int8_t shift;
    uint8_t flags, rest[2];
};

bool is_kvm_like(void)
{
    struct cpuid leaf = cpuid(0x40000000, 0);
    return (cpuid(1, 0).ecx >> 31) != 0 && leaf.ebx == 0x4b4d564b && leaf.ecx == 0x564b4d56 && leaf.edx == 0x4d;
}

static uint64_t hz_by_kvm(void)
{
    static struct kvm_clock clock __attribute__((aligned(64)));
    msr_write(KVM_CLOCK, (uint64_t)&clock | 1);
    uint32_t multiplier = *(volatile uint32_t *)&clock.multiplier;
    if (multiplier == 0) {
        return 0;
    }
    uint64_t hz = (UINT64_C(1000000000) << 32) / multiplier;
    return clock.shift < 0 ? hz << -clock.shift : hz >> clock.shift;
}

static uint64_t hz_by_cpuid(void)
{
    if (cpuid(0, 0).eax < 0x15) {
        return 0;
    }
    struct cpuid leaf = cpuid(0x15, 0);
    return leaf.eax == 0 ? 0 : (uint64_t)leaf.ecx * leaf.ebx / leaf.eax;
}

static uint64_t hz_by_pm_timer(void)
{
    uint32_t wait = PM_TIMER_HZ / 50, first = port_read32(acpi.pm_timer);
    uint64_t begin = timer_now();
    while (((port_read32(acpi.pm_timer) - first) & PM_TIMER_MASK) < wait) {
    }
    return (timer_now() - begin) * 50;
}

uint64_t timer_hz(void)
{
    static uint64_t hz;
    if (hz == 0 && is_kvm_like()) {
        hz = hz_by_kvm();
    }
    if (hz == 0) {
        hz = hz_by_cpuid();
    }
    if (hz == 0 && acpi.pm_timer != 0) {
        hz = hz_by_pm_timer();
    }
    if (hz == 0) {
        print("guest: nothing says how fast the TSC is; taken for 1 GHz\n");
        hz = 1000000000;
    }
    return hz;
}

static void wait_ms(uint64_t ms)
{
    for (uint64_t end = timer_now() + timer_hz() / 1000 * ms; timer_now() < end;) {
        __asm__ volatile("pause");
    }
}

/* ------------------------------------------------------------------ other cores */

#define TRAMPOLINE   UINT64_C(0x6000)   /* start.S */
#define SECONDARIES  15

extern char trampoline_begin[], trampoline_end[];

uint64_t secondary_stack;
static void (*secondary_run)(void);
static volatile bool secondary_here;

void secondary_start(void);

void secondary_start(void)
{
    void (*run)(void) = secondary_run;
    secondary_here = true;
    apic_init_core();
    run();
}

int64_t cpu_start(uint64_t id, void (*run)(void))
{
    static uint8_t stacks[SECONDARIES][4096] __attribute__((aligned(16)));
    static uint32_t used;
    if (used == SECONDARIES) {
        return -1;
    }
    memcpy((void *)TRAMPOLINE, trampoline_begin, (size_t)(trampoline_end - trampoline_begin));
    secondary_stack = (uint64_t)stacks[used] + sizeof(stacks[used]);
    secondary_run = run;
    secondary_here = false;
    apic_send(id, ICR_INIT | ICR_ASSERT);
    wait_ms(10);
    for (uint32_t i = 0; i < 2 && !secondary_here; i++) {
        apic_send(id, ICR_STARTUP | ICR_ASSERT | (uint32_t)(TRAMPOLINE >> 12));
        wait_ms(i == 0 ? 1 : 100);
    }
    if (!secondary_here) {
        return -2;
    }
    used++;
    return 0;
}

/* INIT would start it again. */
void cpu_stop(void)
{
    for (;;) {
        __asm__ volatile("cli\n\thlt");
    }
}

/* ------------------------------------------------------------------ the way out */

#define SLEEP_S5     ((5u << 2) | 0x20u)   /* SLP_TYP of Bulkhead's \_S5, SLP_EN */
#define PM1_S5       0x2000u               /* SLP_EN, and the type that QEMU's \_S5 has */
#define RESET_PORT   0xcf9u
#define RESET_VALUE  6u

void power_off(void)
{
    irq_disable();
    if (acpi.sleep != 0) {
        port_write8(acpi.sleep, SLEEP_S5);
    } else {
        port_write16(acpi.pm_control, PM1_S5);
    }
    cpu_stop();
}

void power_reset(void)
{
    irq_disable();
    if (acpi.reset != 0) {
        port_write8(acpi.reset, acpi.reset_value);
    } else {
        port_write8(RESET_PORT, RESET_VALUE);
    }
    cpu_stop();
}

/* ------------------------------------------------------------------ for a person */

static void cpu_name(char *name)
{
    if (cpuid(0x80000000, 0).eax < 0x80000004) {
        return;
    }
    for (uint32_t i = 0; i < 3; i++) {
        struct cpuid leaf = cpuid(0x80000002 + i, 0);
        memcpy(name + 16 * i, &leaf, sizeof(leaf));
    }
}

void machine_info(void)
{
    char name[49] = "?";
    cpu_name(name);
    print("hello: CPU %s, APIC ID 0x%lx, %s\n", name, core_id(),
          is_kvm_like() ? "hypervisor with KVM's leaves" : "no hypervisor that it knows");
    print("hello: image 0x%lx, start information 0x%lx\n", (uint64_t)image_start, (uint64_t)start);
    print("hello: console port 0x%lx, vector 0x%x; TSC %lu Hz; I/O APIC at 0x%lx, %u lines\n", console.base,
          console.intid, timer_hz(), acpi.ioapic, ioapic_lines());
    print("hello: reset port 0x%x, sleep port 0x%x, PM timer port 0x%x\n", acpi.reset, acpi.sleep, acpi.pm_timer);
}
