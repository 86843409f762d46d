/* SPDX-License-Identifier: Apache-2.0 */
/* Memory, the I/O APIC's page by other than plain MOVs; and the table of all attacks. */
#include "attacks.h"

#define MAPPED_END  (UINT64_C(4) << 40)   /* of the guest's own identity map, start.S */

static uint64_t value_read;

static void read_word(uint64_t address)
{
    value_read = mmio_read32(address);
}

static void write_word(uint64_t address)
{
    mmio_write32(address, 0xbadc0de5);
}

static void execute(uint64_t address)
{
    ((void (*)(void))address)();
}

/* Runs what should not be possible. Coming back from it is a breach, an exception of our own is not. */
static void forbidden(const char *name, void (*call)(uint64_t), uint64_t address)
{
    if (address - own_ram.base < own_ram.size) {
        print("attack %s: 0x%lx is in its own RAM\n", name, address);
        return;
    }
    if (trap_try(call, address)) {
        print("attack %s: 0x%lx was possible, read 0x%lx", name, address, value_read);
        verdict(false);
    } else {
        print("attack %s: 0x%lx gave exception %lu", name, address, last_trap.vector);
        verdict(true);
    }
}

void odd(const char *name, void (*call)(uint64_t), uint64_t address)
{
    bool done = trap_try(call, address);
    print("attack %s: 0x%lx %s", name, address, done ? "was carried out" : "gave an exception");
    verdict(true);
}

static void attack_read(const char *name, uint64_t address) { forbidden(name, read_word, address); }
static void attack_write(const char *name, uint64_t address) { forbidden(name, write_word, address); }
static void attack_execute(const char *name, uint64_t address) { forbidden(name, execute, address); }

static void attack_beyond(const char *name, uint64_t address)
{
    (void)address;
    forbidden(name, write_word, own_ram.base + own_ram.size);
}

static void attack_apic_page(const char *name, uint64_t address)
{
    (void)address;
    forbidden(name, read_word, 0xfee00030);
}

static void attack_top(const char *name, uint64_t address)
{
    uint64_t end = UINT64_C(1) << (cpuid(0x80000008, 0).eax & 0xff);
    (void)address;
    forbidden(name, read_word, (end < MAPPED_END ? end : MAPPED_END) - 4);
}

/* ------------------------------------------------------------------ the I/O APIC's page, or ADDRESS */

#define ON_PAGE(name, text, ...)                                        \
    static void page_##name(uint64_t at)                                \
    {                                                                   \
        uint64_t a = 0;                                                 \
        __asm__ volatile(text : "+a"(a), "+r"(at) :: "memory", "cc" __VA_ARGS__); \
        value_read = a;                                                 \
    }                                                                   \
    static void attack_##name(const char *name_, uint64_t address)      \
    {                                                                   \
        odd(name_, page_##name, address != 0 ? address : acpi.ioapic + 0x10); \
    }

static uint8_t own_page[64] __attribute__((aligned(16), used));

ON_PAGE(byte, "movb %b0, (%1)\n\tmovb (%1), %b0")
ON_PAGE(word, "movw %w0, (%1)\n\tmovw (%1), %w0")
ON_PAGE(quad, "movq %0, (%1)\n\tmovq (%1), %0")
ON_PAGE(unaligned, "movl 1(%1), %k0\n\tmovl %k0, 1(%1)")
ON_PAGE(crossing, "movl 0xfee(%1), %k0")
ON_PAGE(immediate, "movl $0x10000, (%1)")
ON_PAGE(extend, "movzbl (%1), %k0\n\tmovslq (%1), %0")
ON_PAGE(modify, "orl %k0, (%1)\n\tincl (%1)")
ON_PAGE(exchange, "xchgl %k0, (%1)\n\tlock cmpxchgl %k0, (%1)")
ON_PAGE(compare, "cmpl %k0, (%1)\n\tbtl $3, (%1)")
ON_PAGE(prefixed, ".byte 0x66, 0x67, 0xf3, 0x2e, 0x8b, 0x02", , "rdx")
ON_PAGE(push, "pushq (%1)\n\tpopq %0\n\tpushq %0\n\tpopq (%1)")
ON_PAGE(string, "mov %1, %%rsi\n\tlea own_page(%%rip), %%rdi\n\tmov $4, %%ecx\n\trep movsl\n\t"
        "mov %1, %%rdi\n\tmov $4, %%ecx\n\trep stosl", , "rsi", "rdi", "rcx")
ON_PAGE(vector, "mov %%cr4, %%rdx\n\tmov %%rdx, %%rcx\n\tor $0x600, %%rcx\n\tmov %%rcx, %%cr4\n\t"
        "movups (%1), %%xmm0\n\tmovups %%xmm0, (%1)\n\tmov %%rdx, %%cr4", , "rcx", "rdx")
ON_PAGE(fetch, "call *%1")

/* A table of its page tables there: the walk reads it. */
static void attack_page_walk(const char *name, uint64_t address)
{
    uint64_t *root;
    (void)name;
    __asm__ volatile("mov %%cr3, %0" : "=r"(root));
    *(volatile uint64_t *)&root[256] = (address != 0 ? address : acpi.ioapic) | 3;
    *(volatile uint64_t *)UINT64_C(0xffff800000000000) = 0;
}

static void attack_flood(const char *name, uint64_t address)
{
    (void)address;
    for (;;) {
        print("attack %s: the quick brown fox prints without end\n", name);
    }
}

const struct attack attacks[] = {
    {"leftovers", "what its last run left in breakpoint, x87 and SSE registers", attack_leftovers, false},
    {"ports", "read and write every I/O port that is not its own", attack_ports, false},
    {"ports-wide", "16 and 32 bits over the edges of ports", attack_ports_wide, false},
    {"console", "write every register of the console", attack_console, false},
    {"icr", "broadcasts, shorthands: IPIs that name more cores than its own", attack_icr, false},
    {"icr-bits", "ICR with every other bit", attack_icr_bits, false},
    {"nmi-self", "an NMI to itself", attack_nmi_self, false},
    {"apic-registers", "write ones, zeros and modes to every x2APIC register", attack_apic_registers, false},
    {"apic-base", "move the APIC, switch it off, leave x2APIC mode", attack_apic_base, false},
    {"ioapic-lines", "open every foreign line of the I/O APIC", attack_ioapic_lines, false},
    {"ioapic-modes", "its own line to foreign cores, as NMI, SMI, INIT, ExtINT", attack_ioapic_modes, false},
    {"ioapic-wild", "write every other register of the I/O APIC's page", attack_ioapic_wild, false},
    {"msrs", "write MSRs of power, memory, firmware, hypervisors", attack_msrs, false},
    {"msr-sweep", "read and write back every MSR", attack_msr_sweep, false},
    {"efer", "every bit of EFER", attack_efer, false},
    {"tsc", "set the time stamp counter", attack_tsc, false},
    {"clock-page", "a paravirtual clock in memory that is not its own", attack_clock_page, false},
    {"calls", "VMMCALL and VMCALL with rubbish", attack_calls, false},
    {"cpuid", "every leaf of CPUID", attack_cpuid, false},
    {"virtualization", "instructions of SVM, VMX, SMM, SGX, SEV", attack_virtualization, false},
    {"control", "bits of CR0, CR4, CR8, DR6, DR7, XCR0", attack_control, false},
    {"instructions", "INVD, MONITOR, MWAIT, RDPMC and the like", attack_instructions, false},
    {"reserved-bits", "page table entries with reserved bits", attack_reserved_bits, false},
    {"hlt", "sleep with the timer set", attack_sleep_timer, false},

    {"read", "read a word at ADDRESS", attack_read, true},
    {"write", "write a word at ADDRESS", attack_write, true},
    {"execute", "jump to ADDRESS", attack_execute, true},
    {"beyond", "write to the first byte after its RAM", attack_beyond, true},
    {"apic-page", "read the memory-mapped APIC", attack_apic_page, true},
    {"top", "read at the end of physical addresses, or of 4 TiB", attack_top, true},
    {"walk", "its page tables at ADDRESS, or after its RAM", attack_walk, true},
    {"page-walk", "a page table in the I/O APIC's page or at ADDRESS", attack_page_walk, true},
    {"triple", "an exception with no handler for anything", attack_triple, true},
    {"icr-foreign", "write ADDRESS to ICR, or an NMI to a foreign core", attack_icr_foreign, true},
    {"pending", "end with marked registers, all vectors and an NMI on their way", attack_pending, true},
    {"init-self", "INIT to itself", attack_init_self, true},
    {"startup", "its own second core in memory that is not its own", attack_startup, true},
    {"low-vectors", "interrupts with the vectors of exceptions", attack_low_vectors, true},
    {"port-strings", "INS and OUTS", attack_port_strings, true},
    {"task-switch", "a hardware task switch", attack_task_switch, true},
    {"byte", "8 bits of the I/O APIC's page or of ADDRESS", attack_byte, true},
    {"word", "16 bits of it", attack_word, true},
    {"quad", "64 bits of it", attack_quad, true},
    {"unaligned", "32 bits that are not aligned", attack_unaligned, true},
    {"crossing", "32 bits over the end of the page", attack_crossing, true},
    {"immediate", "MOV of a constant", attack_immediate, true},
    {"extend", "MOVZX, MOVSX from it", attack_extend, true},
    {"modify", "OR, INC on it", attack_modify, true},
    {"exchange", "XCHG, CMPXCHG on it", attack_exchange, true},
    {"compare", "CMP, BT on it", attack_compare, true},
    {"prefixed", "MOV with prefixes that mean nothing", attack_prefixed, true},
    {"push", "PUSH from it, POP to it", attack_push, true},
    {"string", "MOVS, STOS", attack_string, true},
    {"vector", "SSE on it", attack_vector, true},
    {"fetch", "jump into it", attack_fetch, true},
    {"debug-storm", "#DB that its own delivery raises, without end", attack_debug_storm, true},
    {"alignment-storm", "#AC likewise", attack_alignment_storm, true},
    {"cr4-reserved", "bits of CR4 that are reserved or the hypervisor's", attack_cr4_reserved, true},
    {"flood", "print without end", attack_flood, true},
    {"sleep", "HLT for ever, interrupts masked", attack_sleep, true},
    {"spin", "loop for ever, interrupts masked", attack_spin, true},
    {NULL, NULL, NULL, false},
};
