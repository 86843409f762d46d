/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about x86 facts: the I/O APIC, clocks and power of the board; trapped MSRs; CPUID; memory of each core. */
#include "check.h"

#include <string.h>

#define CONVENTIONAL_END UINT64_C(0xa0000) /* SDM 3 9.4.4.1: start-up vectors 0xa0 to 0xbf are reserved */
#define VMM_SIZE         (2 * PAGE_SIZE)

static void equal(struct proof *proof, const char *what, uint64_t found, uint64_t wanted)
{
    proof->checked++;
    if (found != wanted) {
        violate(proof, "%s is 0x%" PRIx64 " in the layout, 0x%" PRIx64 " on the board", what, found, wanted);
    }
}

static void prove_ioapic(const struct world *world, struct proof *proof)
{
    const struct layout_pc *pc = &world->layout.pc;

    equal(proof, "the I/O APIC", pc->ioapic.raw, world->board.ioapic);
    equal(proof, "the number of its lines", pc->ioapic_lines, world->board.ioapic_lines);
    equal(proof, "the line of the 8254", pc->pit_line, world->board.pit_line);
}

static void equal_outs(struct proof *proof, const char *what, const struct layout_out *found, uint32_t count,
                       const struct spec_outs *wanted)
{
    equal(proof, text("the number of writes %s", what), count, wanted->count);
    for (uint32_t i = 0; i < count && i < wanted->count; i++) {
        proof->checked++;
        if (memcmp(&found[i], &wanted->at[i], sizeof(found[i])) != 0) {
            violate(proof, "write %" PRIu32 " %s is 0x%" PRIx32 " to port 0x%x, board.yaml has 0x%" PRIx32 " to port 0x%x",
                    i, what, found[i].value, found[i].port, wanted->at[i].value, wanted->at[i].port);
        }
        if (found[i].width != 1 && found[i].width != 2 && found[i].width != 4) {
            violate(proof, "write %" PRIu32 " %s has %u bytes", i, what, found[i].width);
        }
    }
}

static void prove_power(const struct world *world, struct proof *proof)
{
    const struct layout_pc *pc = &world->layout.pc;

    equal(proof, "the PM timer's port", pc->pm_timer, world->board.pm_timer);
    equal(proof, "the frequency of the time stamp counter", pc->tsc_hz, world->board.tsc_hz);
    equal(proof, "the PSCI conduit", world->layout.conduit, LAYOUT_CONDUIT_NONE);
    equal_outs(proof, "to switch the board off", world->outs, pc->off_count, &world->board.off);
    equal_outs(proof, "to reset the board", world->outs + pc->off_count, pc->reset_count, &world->board.reset);
}

static void prove_trampoline(const struct world *world, struct proof *proof)
{
    uint64_t page = world->layout.pc.trampoline.raw;

    proof->checked++;
    if ((page & PAGE_MASK) != 0 || page == 0 || page >= CONVENTIONAL_END) {
        violate(proof, "cores cannot start at 0x%" PRIx64 ": that is no page between 0x1000 and 0x%" PRIx64, page,
                CONVENTIONAL_END);
    } else if (!ranges_cover(&world->board.memory, page, page + PAGE_SIZE)) {
        violate(proof, "cores start at 0x%" PRIx64 ", where the board has no RAM", page);
    }
}

/* 16550 (TI PC16550D): line status 5, THRE bit 5, DR bit 0. */
static void prove_16550(const struct layout_uart *uart, struct proof *proof)
{
    equal(proof, "THR", uart->tx, 0);
    equal(proof, "LSR", uart->tx_status, 5);
    equal(proof, "LSR.THRE", uart->tx_mask, 0x20);
    equal(proof, "LSR when it can send", uart->tx_ready, 0x20);
    equal(proof, "RBR", uart->rx, 0);
    equal(proof, "LSR (receive)", uart->rx_status, 5);
    equal(proof, "LSR.DR", uart->rx_mask, 1);
    equal(proof, "LSR when something has come", uart->rx_ready, 1);
}

static void prove_ports_of(const struct layout_uart *uart, struct proof *proof, uint64_t size)
{
    const struct {
        const struct layout_reg *regs;
        uint32_t count;
    } lists[] = {
        {uart->init, uart->init_count},
        {uart->rx_on, uart->rx_on_count},
        {uart->tx_pre, uart->tx_pre_count},
        {&uart->rx_ack, uart->rx_ack_used != 0 ? 1 : 0},
    };

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        for (uint32_t n = 0; n < lists[i].count; n++) {
            const struct layout_reg *r = &lists[i].regs[n];

            proof->checked++;
            if (r->offset >= size || r->value > 0xff) {
                violate(proof, "0x%" PRIx32 " is written to register %" PRIu32 ", which the UART does not have",
                        r->value, r->offset);
            } else if (r->offset == 4 && (r->value & 0x10) != 0) {
                violate(proof, "the UART is looped back on itself (MCR 0x%" PRIx32 ")", r->value);
            }
        }
    }
    if (uart->tx >= size || uart->tx_status >= size || uart->rx >= size || uart->rx_status >= size) {
        violate(proof, "a register is outside the UART's %" PRIu64 " ports", size);
    }
}

static void prove_port_uart(const struct world *world, struct proof *proof)
{
    const struct layout_uart *uart = &world->layout.uart;
    const struct board *board = &world->board;
    uint64_t base = 0, size = 0;
    struct dt_interrupt irq = {0};

    if (board->uart < 0 || !dt_ports(&board->dt, board->uart, 0, &base, &size)) {
        violate(proof, "the layout has a UART at port 0x%" PRIx64 ", where the devicetree has no device",
                uart->base.raw);
        return;
    }
    (void)dt_interrupt(&board->dt, board->uart, 0, &irq);
    equal(proof, "the UART", uart->base.raw, base);
    if (uart->intid != 0) { /* 0: output only */
        equal(proof, "the UART's line", uart->intid, irq.known ? irq.intid : 0);
    }
    prove_ports_of(uart, proof, size);
    if (dt_compatible(&board->dt, board->uart, "ns16550*")) {
        prove_16550(uart, proof);
    }
}

static void prove_uart(const struct world *world, struct proof *proof)
{
    proof->checked++;
    if (world->layout.uart.base.raw == 0) {
        return;
    }
    if (world->layout.uart.width == 0) {
        prove_port_uart(world, proof);
    } else {
        prove_mmio_uart(world, proof);
    }
}

/* ---------------------------------------------------------------- two pages for the CPU */

static void prove_vmm_page(const struct world *world, struct proof *proof, uint32_t cpu)
{
    uint64_t base = world->cpus[cpu].vmm.raw;
    const struct walk *main = &world->main;
    const struct section *section = elf_section_of(&world->elf, base);

    proof->checked += VMM_SIZE / PAGE_SIZE;
    if ((base & PAGE_MASK) != 0 || section == NULL || !section->write || section->execute ||
        elf_at(&world->elf, base, VMM_SIZE) == NULL || VMM_SIZE > section->size - (base - section->base)) {
        violate(proof, "CPU %" PRIu32 ": 0x%" PRIx64 " is not two pages of the hypervisor's data", cpu, base);
        return;
    }
    for (uint64_t page = base; main->done && page < base + VMM_SIZE; page += PAGE_SIZE) {
        const struct mapping *m = walk_find(main, page);

        if (m == NULL || !can_write(m)) {
            violate(proof, "CPU %" PRIu32 ": its page 0x%" PRIx64 " is not writable", cpu, page);
            note(proof, "%s", walk_path(main, &world->elf, page));
        }
    }
}

static void prove_vmm_pages(const struct world *world, struct proof *proof)
{
    struct ranges taken = {0};

    for (uint32_t i = 0; i < world->entry_count; i++) {
        const struct layout_cpu *cpu = &world->cpus[i];

        prove_vmm_page(world, proof, i);
        ranges_add(&taken, cpu->vmm.raw, VMM_SIZE, text("the CPU's pages of CPU %" PRIu32, i), i);
        ranges_add(&taken, cpu->stack_top - 2 * PAGE_SIZE, 2 * PAGE_SIZE, text("the stack of CPU %" PRIu32, i), i);
    }
    ranges_sort(&taken);
    for (size_t i = 1; i < taken.count; i++) {
        const struct range *r = &taken.at[i];
        bool stacks = strstr(r->what, "stack") != NULL && strstr(taken.at[i - 1].what, "stack") != NULL;

        if (r->base < taken.at[i - 1].reach && !stacks) { /* hv-stacks speaks about two stacks */
            violate(proof, "%s and %s overlap at 0x%" PRIx64, taken.at[i - 1].what, r->what, r->base);
        }
    }
}

/* ---------------------------------------------------------------- trapped MSRs that the table answers */

/* What the hypervisor's code emulates: an entry of the table would contradict it. */
static const struct {
    uint32_t msr;
    const char *name;
} emulated[] = {
    {0x12, "KVM's system time"},       {0x1b, "APIC_BASE"},
    {0x830, "the interrupt command"},  {0x4b564d01, "KVM's system time"},
    {0xc0000080, "EFER"},
};

static void prove_answers(const struct world *world, struct proof *proof)
{
    for (uint32_t i = 0; i < world->layout.pc.msr_count; i++) {
        const struct layout_msr *m = &world->msrs[i];

        proof->checked++;
        if (m->first > m->last) {
            violate(proof, "MSRs 0x%" PRIx32 "..0x%" PRIx32 " are no range", m->first, m->last);
        }
        if (i != 0 && m->first <= world->msrs[i - 1].last) {
            violate(proof, "MSR 0x%" PRIx32 " is not above the entry before it", m->first);
        }
        if (m->read > LAYOUT_MSR_VALUE || m->write > LAYOUT_MSR_IGNORE) {
            violate(proof, "MSR 0x%" PRIx32 ": read %" PRIu32 ", write %" PRIu32 " are no known answers", m->first,
                    m->read, m->write);
        }
        for (size_t n = 0; n < sizeof(emulated) / sizeof(emulated[0]); n++) {
            if (emulated[n].msr >= m->first && emulated[n].msr <= m->last) {
                violate(proof, "MSR 0x%" PRIx32 " (%s) is the code's to answer, not the table's", emulated[n].msr,
                        emulated[n].name);
            }
        }
    }
}

/* ---------------------------------------------------------------- CPUID */

enum word { EAX, EBX, ECX, EDX };
static const char *const word_names[] = {"eax", "ebx", "ecx", "edx"};

/* Needs a register or mode that no guest gets, or reaches beyond the partition (SDM 2A CPUID; APM 3 appendix E). */
static const struct {
    uint32_t leaf;
    enum word word;
    uint32_t bits;
    const char *name;
} hidden[] = {
    {0x1, ECX, 1u << 5 | 1u << 6, "VMX and SMX"},
    {0x1, ECX, 1u << 3, "MONITOR"},
    {0x1, ECX, 1u << 2 | 1u << 15, "debug store and performance counters"},
    {0x1, EDX, 1u << 21, "debug store"},
    {0x1, EDX, 1u << 22 | 1u << 29, "thermal control"},
    {0x7, EBX, 1u << 1, "TSC_ADJUST"},
    {0x7, EBX, 1u << 2, "SGX"},
    {0x7, EBX, 1u << 12 | 1u << 15, "resource control"},
    {0x7, EBX, 1u << 25, "processor trace"},
    {0x7, ECX, 1u << 16, "tables of five levels"},
    {0x7, ECX, 1u << 13, "memory encryption"},
    {0x7, EDX, 1u << 18 | 1u << 19, "PCONFIG and branch records"},
    {0xa, EAX, ~0u, "performance counters"},
    {0xa, EBX, ~0u, "performance counters"},
    {0xa, EDX, ~0u, "performance counters"},
    {0x12, EAX, ~0u, "SGX"},
    {0x14, EBX, ~0u, "processor trace"},
    {0x14, ECX, ~0u, "processor trace"},
    {0x80000001, ECX, 1u << 2 | 1u << 12, "SVM and SKINIT"},
    {0x80000001, ECX, 1u << 10, "instruction-based sampling"},
    {0x80000001, ECX, 1u << 23 | 1u << 24 | 1u << 27 | 1u << 28, "performance counters"},
    {0x80000001, ECX, 1u << 29, "MONITORX"},
    {0x80000008, EBX, 1u << 3, "INVLPGB, which reaches other cores"},
    {0x8000000a, EAX, ~0u, "SVM"},
    {0x8000000a, EDX, ~0u, "SVM's features"},
    {0x8000001b, EAX, ~0u, "instruction-based sampling"},
    {0x8000001f, EAX, ~0u, "memory encryption"},
};

/* Interrupts, time and the hypervisor's interface rest on them. `mask` are the bits that count. */
static const struct {
    uint32_t leaf;
    enum word word;
    uint32_t mask, value;
    const char *name;
} fixed[] = {
    {0x1, ECX, 1u << 31, 1u << 31, "the hypervisor bit"},
    {0x80000007, EDX, 1u << 8, 1u << 8, "the invariant time stamp counter"},
    {0x40000000, EAX, ~0u, 0x40000001, "the last leaf of the hypervisor"},
    {0x40000000, EBX, ~0u, 0x4b4d564b, "the signature KVMKVMKVM"},
    {0x40000000, ECX, ~0u, 0x564b4d56, "the signature KVMKVMKVM"},
    {0x40000000, EDX, ~0u, 0x4d, "the signature KVMKVMKVM"},
    {0x40000001, EAX, ~0u, 1u << 3 | 1u << 24, "KVM's features: a clock that is stable, and no other"},
};

/* The policy of a leaf; what the table does not have reads 0. */
static struct layout_cpuid policy_of(const struct world *world, uint32_t leaf)
{
    const struct layout_pc *pc = &world->layout.pc;
    const uint32_t counts[] = {pc->cpuid_basic, pc->cpuid_hypervisor, pc->cpuid_extended};
    const uint32_t firsts[] = {0, 0x40000000, 0x80000000};
    uint32_t before = 0;

    for (size_t i = 0; i < 3; i++) {
        if (leaf >= firsts[i] && leaf - firsts[i] < counts[i]) {
            return world->cpuid[before + (leaf - firsts[i])];
        }
        before += counts[i];
    }
    return (struct layout_cpuid){{0}, {0}};
}

static void prove_cpuid(const struct world *world, struct proof *proof)
{
    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
        struct layout_cpuid policy = policy_of(world, hidden[i].leaf);

        proof->checked++;
        if (((policy.keep[hidden[i].word] | policy.set[hidden[i].word]) & hidden[i].bits) != 0) {
            violate(proof, "CPUID 0x%" PRIx32 " %s shows a guest %s", hidden[i].leaf, word_names[hidden[i].word],
                    hidden[i].name);
        }
    }
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        struct layout_cpuid policy = policy_of(world, fixed[i].leaf);
        enum word word = fixed[i].word;
        uint32_t varies = policy.keep[word] & ~policy.set[word];

        proof->checked++;
        if ((varies & fixed[i].mask) != 0 || (policy.set[word] & fixed[i].mask) != fixed[i].value) {
            violate(proof, "CPUID 0x%" PRIx32 " %s does not say %s: keeps 0x%" PRIx32 ", sets 0x%" PRIx32,
                    fixed[i].leaf, word_names[word], fixed[i].name, policy.keep[word], policy.set[word]);
        }
    }
}

/* clang-format off */
static const struct rule rules[] = {
    {"facts-ioapic",
     "Address and number of lines of the I/O APIC, and the line of the 8254, are the devicetree's.",
     "facts", prove_ioapic, ARCH_X86},
    {"facts-power",
     "PM timer and frequency of the time stamp counter are the devicetree's; what is written to switch the board off or "
     "to reset it is board.yaml's.",
     "facts", prove_power, ARCH_X86},
    {"facts-uart",
     "I/O ports (or address) and line of the hypervisor's UART are the devicetree's, no register lies outside of it, and "
     "a 16550 is driven as one.",
     "facts", prove_uart, ARCH_X86},
    {"trampoline",
     "The page through which other cores start is RAM below 640 KiB.",
     "pages", prove_trampoline, ARCH_X86},
    {"hv-core-pages",
     "Every core, and every vcpu of a pool, has two pages of the hypervisor's data of its own for what the CPU keeps in "
     "memory (VMCB and host save area, or VMXON region and VMCS) and for what a switch saves.",
     "pages", prove_vmm_pages, ARCH_X86},
    {"msr-answers",
     "The table of answers to trapped model-specific registers is sorted and without overlap, only reads constants and "
     "ignores writes, and leaves alone what the hypervisor's code emulates.",
     "ranges", prove_answers, ARCH_X86},
    {"cpuid-policy",
     "CPUID shows guests that they have a hypervisor and its clock, and hides what would need registers they do not get "
     "or reach beyond the partition: SVM, VMX, MONITOR, counters, traces, SGX, five-level tables.",
     "leaves", prove_cpuid, ARCH_X86},
};
/* clang-format on */

const struct rule_set pc_rules = {"The PC", rules, sizeof(rules) / sizeof(rules[0])};
