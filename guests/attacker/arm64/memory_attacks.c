/* SPDX-License-Identifier: Apache-2.0 */
/* Memory and devices; and the table of all attacks. */
#include "attacks.h"

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

static void load_pair(uint64_t address)
{
    uint64_t a, b;
    __asm__ volatile("ldp %0, %1, [%2]" : "=&r"(a), "=&r"(b) : "r"(address) : "memory");
    value_read = a;
}

static void store_pair(uint64_t address)
{
    __asm__ volatile("stp xzr, xzr, [%0]" :: "r"(address) : "memory");
}

static void load_post_index(uint64_t address)
{
    uint64_t a;
    __asm__ volatile("ldr %w0, [%1], #4" : "=&r"(a), "+r"(address) :: "memory");
    value_read = a;
}

static void load_unaligned(uint64_t address)
{
    uint64_t a;
    __asm__ volatile("ldr %w0, [%1]" : "=r"(a) : "r"(address + 1) : "memory");
    value_read = a;
}

static void load_exclusive(uint64_t address)
{
    uint64_t a;
    __asm__ volatile("ldxr %w0, [%1]\n\tclrex" : "=r"(a) : "r"(address) : "memory");
    value_read = a;
}

static void add_atomic(uint64_t address)
{
    __asm__ volatile(".arch_extension lse\n\tstadd %w0, [%1]" :: "r"(1), "r"(address) : "memory");
}

static void clean_line(uint64_t address)
{
    __asm__ volatile("dc civac, %0\n\tdsb sy" :: "r"(address) : "memory");
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
        print("attack %s: 0x%lx gave an exception, esr 0x%lx", name, address, last_trap.esr);
        verdict(true);
    }
}

/* Runs what a hypervisor may refuse or carry out, as long as it outlives it. */
static void odd(const char *name, void (*call)(uint64_t), uint64_t address)
{
    bool done = trap_try(call, address);
    print("attack %s: 0x%lx %s", name, address, done ? "was carried out" : "gave an exception");
    verdict(true);
}

static void attack_read(const char *name, uint64_t address) { forbidden(name, read_word, address); }
static void attack_write(const char *name, uint64_t address) { forbidden(name, write_word, address); }
static void attack_execute(const char *name, uint64_t address) { forbidden(name, execute, address); }

static void attack_cache(const char *name, uint64_t address) { odd(name, clean_line, address); }

static void attack_beyond(const char *name, uint64_t address)
{
    (void)address;
    forbidden(name, write_word, own_ram.base + own_ram.size);
}

static void attack_below(const char *name, uint64_t address)
{
    (void)address;
    forbidden(name, write_word, own_ram.base - 4);
}

static void attack_top(const char *name, uint64_t address)
{
    (void)address;
    forbidden(name, read_word, UINT64_C(0xffffffffffc));
}

static uint64_t target(uint64_t address) { return address != 0 ? address : gic.dist + 0x100; }

static void attack_pair(const char *name, uint64_t address) { odd(name, load_pair, target(address)); }
static void attack_pair_store(const char *name, uint64_t address) { odd(name, store_pair, target(address)); }
static void attack_post(const char *name, uint64_t address) { odd(name, load_post_index, target(address)); }
static void attack_unaligned(const char *name, uint64_t address) { odd(name, load_unaligned, target(address)); }
static void attack_exclusive(const char *name, uint64_t address) { odd(name, load_exclusive, target(address)); }
static void attack_atomic(const char *name, uint64_t address) { odd(name, add_atomic, target(address)); }

/* Every register of the console's page but the data register, in every size. */
static void attack_console(const char *name, uint64_t address)
{
    (void)address;
    for (uint64_t at = console.base + 4; at < console.base + 0x1000; at += 4) {
        (void)mmio_read8(at);
        (void)mmio_read16(at);
        (void)mmio_read32(at);
        mmio_write32(at, 0);
        mmio_write32(at, 0xffffffff);
        mmio_write8(at, 0xff);
    }
    uart_init(&console);
    print("attack %s: every register written", name);
    verdict(true);
}

static void attack_flood(const char *name, uint64_t address)
{
    (void)address;
    for (;;) {
        print("attack %s: the quick brown fox prints without end\n", name);
    }
}

const struct attack attacks[] = {
    {"psci-on", "start cores that are not its own", attack_psci_on, false},
    {"psci-ids", "call unknown and vendor functions", attack_psci_ids, false},
    {"calls", "HVC and SMC with any immediate and rubbish in registers", attack_calls, false},
    {"sgi", "send SGIs to every core there may be", attack_sgi, false},
    {"spis", "enable, pend, route, configure foreign SPIs", attack_spis, false},
    {"ppis", "enable and pend the hypervisor's PPIs", attack_ppis, false},
    {"deactivate", "deactivate interrupts that are not its own", attack_deactivate, false},
    {"lpis", "point LPI tables at memory", attack_lpis, false},
    {"gicd-wild", "write ones and zeros to every register of the distributor", attack_dist_wild, false},
    {"registers", "read registers of EL2 and EL3", attack_registers, false},
    {"vendor-registers", "write implementation-defined and debug registers", attack_vendor_registers, false},
    {"set-way", "clean and invalidate caches by set and way", attack_set_way, false},
    {"maintenance", "TLB, cache and address translation instructions", attack_maintenance, false},
    {"console", "write every register of the console's page", attack_console, false},
    {"wfi", "sleep with interrupts masked and the timer set", attack_wfi, false},

    {"read", "read a word at ADDRESS", attack_read, true},
    {"write", "write a word at ADDRESS", attack_write, true},
    {"execute", "jump to ADDRESS", attack_execute, true},
    {"cache", "clean and invalidate the line at ADDRESS", attack_cache, true},
    {"walk", "its page tables at ADDRESS, or after its RAM", attack_walk, true},
    {"beyond", "write to the first byte after its RAM", attack_beyond, true},
    {"below", "write to the last word before its RAM", attack_below, true},
    {"top", "read at the end of 44 bits of address", attack_top, true},
    {"redist-other", "write to the next core's redistributor", attack_redist_other, true},
    {"pair", "LDP from the distributor or ADDRESS: no valid syndrome", attack_pair, true},
    {"pair-store", "STP to it", attack_pair_store, true},
    {"post-index", "LDR with write-back from it", attack_post, true},
    {"unaligned", "LDR across words from it", attack_unaligned, true},
    {"exclusive", "LDXR from it", attack_exclusive, true},
    {"atomic", "STADD to it (Armv8.1)", attack_atomic, true},
    {"psci-entry", "start its own second core outside its memory", attack_psci_entry, true},
    {"flood", "print without end", attack_flood, true},
    {"sleep", "WFI for ever, interrupts masked, interrupt group off", attack_sleep, true},
    {"spin", "loop for ever, interrupts masked", attack_spin, true},
    {NULL, NULL, NULL, false},
};
