/* SPDX-License-Identifier: Apache-2.0 */
/* From head.S into the core: is this CPU of the right kind, the other cores, then main.c's order. */
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/main.h>
#include <hv/port.h>

#include "apic.h"
#include "board.h"
#include "boot.h"
#include "clock.h"
#include "init.h"
#include "ioapic.h"
#include "pci.h"
#include "pool.h"
#include "vmm.h"
#include "x86.h"

_Static_assert(offsetof(struct layout, cpu_count) == LAYOUT_CPU_COUNT, "boot.h");
_Static_assert(offsetof(struct layout, host_cr3) == LAYOUT_HOST_CR3, "boot.h");
_Static_assert(offsetof(struct layout, cpus) == LAYOUT_CPUS, "boot.h");
_Static_assert(offsetof(struct layout, pc.cpuid) == LAYOUT_CPUID, "boot.h");
_Static_assert(offsetof(struct layout, pc.cpuid_basic) == LAYOUT_CPUID_BASIC, "boot.h");
_Static_assert(APIC_WORDS == LAYOUT_APIC_WORDS, "boot.h");
_Static_assert(sizeof(struct layout_cpu) == LAYOUT_CPU_SIZE, "boot.h");
_Static_assert(offsetof(struct layout_cpu, stack_top) == LAYOUT_CPU_STACK_TOP, "boot.h");

#define LEAF_1_X2APIC   (1u << 21)     /* ecx */
#define LEAF_7_SMEP     (1u << 7)      /* ebx */
#define LEAF_7_SMAP     (1u << 20)
#define LEAF_7_UMIP     (1u << 2)      /* ecx */
#define CR4_UMIP        (UINT64_C(1) << 11)
#define CR4_SMEP        (UINT64_C(1) << 20)
#define CR4_SMAP        (UINT64_C(1) << 21)
#define EXTENDED_1G     (1u << 26)     /* edx of 0x80000001 */
#define EXTENDED_NX     (1u << 20)

#define PIC_MASTER      0x21u          /* 8259 interrupt masks */
#define PIC_SLAVE       0xa1u

#define START_GAP_NS    UINT64_C(50000)      /* between INIT and start-up message, and their repetition */
#define START_LIMIT_NS  UINT64_C(1000000000)
#define MTRR_MOST       16u
#define MTRR_FIXED      11u

extern const uint8_t trampoline[], trampoline_end[], trampoline_cr3[];

/* Memory types of the first core, which the others take over. */
static uint64_t mtrr_variable[2u * MTRR_MOST], mtrr_fixed[MTRR_FIXED], mtrr_default, mtrr_count;

static void check_cpu(void)
{
    const char *why = vmm_refusal();
    uint32_t pa_bits = cpuid(0x80000008u, 0).reg[0] & 0xffu;

    if (why != NULL) {
        panic("%s", why);
    }
    if ((cpuid(1, 0).reg[2] & LEAF_1_X2APIC) == 0) {
        panic("this CPU has no x2APIC, which guests use for themselves");
    }
    if (pa_bits < layout.pa_bits) {
        panic("this CPU has %u physical address bits, the layout needs %u", pa_bits, layout.pa_bits);
    }
}

/* The page that other cores start in: written before the hypervisor's own tables make it read-only. */
static void trampoline_install(void)
{
    uint8_t *page = (uint8_t *)(uintptr_t)layout.pc.trampoline.raw;

    for (uint32_t i = 0; i < (uint32_t)(trampoline_end - trampoline); i++) {
        page[i] = trampoline[i];
    }
    *(volatile uint32_t *)(void *)(page + (trampoline_cr3 - trampoline)) = (uint32_t)layout.host_cr3;
}

void boot_early(uint32_t kind, const void *info)
{
    console_init();
    if ((cpuid(0x80000001u, 0).reg[3] & (EXTENDED_1G | EXTENDED_NX)) != (EXTENDED_1G | EXTENDED_NX)) {
        panic("this CPU has no 1 GiB pages or no NX, which the layout needs");
    }
    board_entry = kind;
    main_early(kind == BOOT_EFI ? MAIN_CHECKED : info, apic_id());
    check_cpu();
    trampoline_install();
}

void boot_protect(void)
{
    struct cpuid features = cpuid(0, 0).reg[0] >= 7u ? cpuid(7, 0) : (struct cpuid){ { 0 } };

    /* Whatever firmware left goes: global pages in its translations, machine checks. */
    write_cr4(CR4_PAE | ((features.reg[1] & LEAF_7_SMEP) != 0 ? CR4_SMEP : 0) |
              ((features.reg[1] & LEAF_7_SMAP) != 0 ? CR4_SMAP : 0) |
              ((features.reg[2] & LEAF_7_UMIP) != 0 ? CR4_UMIP : 0));
    wrmsr(MSR_PAT, PAT_RESET);
}

_Noreturn void boot_exception(uint64_t vector, const uint64_t *frame, uint64_t address)
{
    /* Some exceptions have an error code below the instruction pointer (SDM 3 6.13). */
    bool has_error = vector == 8u || (vector >= 10u && vector <= 14u) || vector == 17u || vector == 21u;

    panic("exception %lu in the hypervisor, error 0x%lx, pc 0x%lx, address 0x%lx", vector, has_error ? frame[0] : 0,
          frame[has_error ? 1 : 0], address);
}

/* ---------------------------------------------------------------- memory types (SDM 3 12.11) */

static uint32_t fixed_mtrr(uint32_t i)
{
    return i == 0 ? MSR_MTRR_FIX64K : i < 3u ? MSR_MTRR_FIX16K + i - 1u : MSR_MTRR_FIX4K + i - 3u;
}

static void mtrr_save(void)
{
    mtrr_count = rdmsr(MSR_MTRRCAP) & 0xffu;
    mtrr_count = mtrr_count > MTRR_MOST ? MTRR_MOST : mtrr_count;
    for (uint32_t i = 0; i < 2u * mtrr_count; i++) {
        mtrr_variable[i] = rdmsr(MSR_MTRR_BASE0 + i);
    }
    for (uint32_t i = 0; i < MTRR_FIXED; i++) {
        mtrr_fixed[i] = rdmsr(fixed_mtrr(i));
    }
    mtrr_default = rdmsr(MSR_MTRR_DEFAULT);
}

/* The core has nothing in its caches that matters yet. */
static void mtrr_load(void)
{
    wrmsr(MSR_MTRR_DEFAULT, 0);
    for (uint32_t i = 0; i < 2u * mtrr_count; i++) {
        wrmsr(MSR_MTRR_BASE0 + i, mtrr_variable[i]);
    }
    for (uint32_t i = 0; i < MTRR_FIXED; i++) {
        wrmsr(fixed_mtrr(i), mtrr_fixed[i]);
    }
    wrmsr(MSR_MTRR_DEFAULT, mtrr_default);
}

/* ---------------------------------------------------------------- cores */

static void wait_ns(uint64_t ns)
{
    uint64_t since = arch_time_ns();

    while (arch_time_ns() - since < ns) {
        pause();
    }
}

static bool all_started(void)
{
    for (uint32_t i = 0; i < layout.cpu_count; i++) {
        if (__atomic_load_n(&cpu_at(i)->started, __ATOMIC_ACQUIRE) == 0) {
            return false;
        }
    }
    return true;
}

static void send_others(uint32_t mode, uint32_t vector)
{
    for (uint32_t i = 0; i < layout.cpu_count; i++) {
        if (__atomic_load_n(&cpu_at(i)->started, __ATOMIC_ACQUIRE) == 0) {
            apic_send(layout.cpus[i].apic_id, mode, vector);
        }
    }
}

/* INIT, start-up, start-up again for a core that has not heard the first (SDM 3 9.4.4.1). */
void arch_start_cores(void)
{
    uint32_t vector = (uint32_t)(layout.pc.trampoline.raw >> 12);
    uint64_t since = arch_time_ns();

    if (all_started()) {
        return;
    }
    mtrr_save();
    send_others(ICR_INIT, 0);
    wait_ns(START_GAP_NS);
    send_others(ICR_STARTUP, vector);
    wait_ns(START_GAP_NS);
    send_others(ICR_STARTUP, vector);
    while (!all_started()) {
        pause();
        if (arch_time_ns() - since > START_LIMIT_NS) {
            break;
        }
    }
    for (uint32_t i = 0; i < layout.cpu_count; i++) {
        if (__atomic_load_n(&cpu_at(i)->started, __ATOMIC_ACQUIRE) == 0) {
            panic("this is not the board of the layout: the core with APIC ID 0x%lx, which %s needs, has not "
                  "started within 1 s", layout.cpus[i].apic_id, layout_cpu_owner(i));
        }
    }
}

static void core_init(uint32_t index)
{
    struct cpu *cpu = cpu_at(index);

    if (HV_POOLS && layout.cpus[index].pool != 0) {
        pool_core_init(index);
    } else {
        vcpu_init(&cpu->vcpu, index);
        cpu->apic_ids = cpu->vcpu.config->pc.apic_ids;
        cpu->apic_base = APIC_BASE_PAGE | APIC_BASE_ON | APIC_BASE_X2 | (cpu->vcpu.index == 0 ? APIC_BASE_BSP : 0);
        vmm_init(cpu);
    }
    __atomic_store_n(&cpu->started, 1u, __ATOMIC_RELEASE);
}

/* NMIs, or on a core of a pool ordinary interrupts. */
static void route_console(uint32_t line)
{
    const struct layout_cpu *console = &layout.cpus[layout.console_cpu];

    if (HV_POOLS && console->pool != 0) {
        ioapic_route(line, console->apic_id, POOL_LINES + line);
    } else {
        ioapic_route(line, console->apic_id, IOAPIC_NMI);
    }
}

void boot_first_core(uint32_t cpu)
{
    port_write8(PIC_MASTER, 0xff);
    port_write8(PIC_SLAVE, 0xff);
    clock_init();
    apic_on();
    ioapic_init();
    if (HV_PCI) {
        pci_init();
    }
    if (cpu < layout.cpu_count) {
        core_init(cpu);
    }
    if (layout.console_irq != 0) {
        route_console(layout.uart.intid);
    }
    if (layout.console_irq != 0 || HV_WATCHDOG) {
        arch_alarm(0);  /* firmware has left it ticking */
        if (layout.pc.pit_line != LAYOUT_NO_LINE) {
            route_console(layout.pc.pit_line);
        }
    }
    main_first_core(cpu);
}

void boot_other_core(uint32_t cpu)
{
    apic_on();
    mtrr_load();
    check_cpu();
    core_init(cpu);
    main_core(cpu);
}
