/* SPDX-License-Identifier: Apache-2.0 */
#include "attacks.h"

#define CLOBBERED  "rbx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc"

/* An instruction by its bytes, with registers that hold `where` if it takes an address. */
#define INSTRUCTION(name, bytes)                                                                     \
    static void do_##name(uint64_t where)                                                            \
    {                                                                                                \
        uint64_t a = where, c = 0, d = 0, t = where;                                                 \
        __asm__ volatile(".byte " bytes : "+a"(a), "+c"(c), "+d"(d), "+D"(t) :: CLOBBERED);          \
    }
#define ROW(name) {#name, do_##name}
struct instruction { const char *name; void (*run)(uint64_t); };

static uint8_t page[8192] __attribute__((aligned(4096)));

INSTRUCTION(vmmcall, "0x0f, 0x01, 0xd9")
INSTRUCTION(vmcall, "0x0f, 0x01, 0xc1")

/* Hypercalls with rubbish: answered or refused, and nothing else. */
void attack_calls(const char *name, uint64_t address)
{
    static const uint64_t functions[] = {0, 1, 2, 5, 9, 0x4a48, 0x40000000, 0x84000008, 0xffffffff, UINT64_MAX};
    uint32_t exceptions = 0;
    (void)address;
    for (uint32_t i = 0; i < ARRAY_COUNT(functions); i++) {
        exceptions += !trap_try(do_vmmcall, functions[i]);
        exceptions += !trap_try(do_vmcall, functions[i]);
    }
    print("attack %s: %u made, %u gave an exception", name, 2 * (uint32_t)ARRAY_COUNT(functions), exceptions);
    verdict(true);
}

void attack_cpuid(const char *name, uint64_t address)
{
    static const uint32_t bases[] = {0, 0x40000000, 0x40000100, 0x80000000, 0x8fffff00, 0xc0000000, 0xffffff00};
    uint32_t asked = 0;
    (void)address;
    for (uint32_t i = 0; i < ARRAY_COUNT(bases); i++) {
        for (uint32_t leaf = 0; leaf < 64; leaf++) {
            for (uint32_t subleaf = 0; subleaf < 4; subleaf++) {
                cpuid(bases[i] + leaf, subleaf == 3 ? UINT32_MAX : subleaf);
                asked++;
            }
        }
    }
    bool vmx = (cpuid(1, 0).ecx >> 5 & 1) != 0, svm = (cpuid(0x80000001, 0).ecx >> 2 & 1) != 0;
    print("attack %s: %u leaves; VMX %s, SVM %s", name, asked, vmx ? "offered" : "hidden", svm ? "offered" : "hidden");
    verdict(!vmx && !svm);
}

INSTRUCTION(vmrun, "0x0f, 0x01, 0xd8") INSTRUCTION(vmload, "0x0f, 0x01, 0xda")
INSTRUCTION(vmsave, "0x0f, 0x01, 0xdb") INSTRUCTION(stgi, "0x0f, 0x01, 0xdc")
INSTRUCTION(clgi, "0x0f, 0x01, 0xdd") INSTRUCTION(skinit, "0x0f, 0x01, 0xde")
INSTRUCTION(invlpga, "0x0f, 0x01, 0xdf") INSTRUCTION(vmlaunch, "0x0f, 0x01, 0xc2")
INSTRUCTION(vmresume, "0x0f, 0x01, 0xc3") INSTRUCTION(vmxoff, "0x0f, 0x01, 0xc4")
INSTRUCTION(vmfunc, "0x0f, 0x01, 0xd4") INSTRUCTION(vmxon, "0xf3, 0x0f, 0xc7, 0x37")
INSTRUCTION(vmclear, "0x66, 0x0f, 0xc7, 0x37") INSTRUCTION(vmptrld, "0x0f, 0xc7, 0x37")
INSTRUCTION(vmptrst, "0x0f, 0xc7, 0x3f") INSTRUCTION(vmread, "0x0f, 0x78, 0xc0")
INSTRUCTION(vmwrite, "0x0f, 0x79, 0xc0") INSTRUCTION(invept, "0x66, 0x0f, 0x38, 0x80, 0x07")
INSTRUCTION(invvpid, "0x66, 0x0f, 0x38, 0x81, 0x07") INSTRUCTION(encls, "0x0f, 0x01, 0xcf")
INSTRUCTION(pconfig, "0x0f, 0x01, 0xc5") INSTRUCTION(getsec, "0x0f, 0x37")
INSTRUCTION(rsm, "0x0f, 0xaa") INSTRUCTION(rmpadjust, "0xf3, 0x0f, 0x01, 0xfe")
INSTRUCTION(pvalidate, "0xf2, 0x0f, 0x01, 0xff") INSTRUCTION(seamcall, "0x66, 0x0f, 0x01, 0xcf")

static const struct instruction of_hypervisors[] = {
    ROW(vmrun), ROW(vmload), ROW(vmsave), ROW(stgi), ROW(clgi), ROW(skinit), ROW(invlpga), ROW(vmlaunch),
    ROW(vmresume), ROW(vmxoff), ROW(vmfunc), ROW(vmread),
    ROW(vmwrite), ROW(invept), ROW(invvpid), ROW(encls), ROW(pconfig), ROW(getsec), ROW(rsm), ROW(rmpadjust),
    ROW(pvalidate), ROW(seamcall),
};

/* An emulator without VMX (QEMU) takes these encodings for other instructions: made, but not judged. */
static const struct instruction of_vmx[] = {ROW(vmxon), ROW(vmclear), ROW(vmptrld), ROW(vmptrst)};

static void write_efer(uint64_t value) { msr_write(0xc0000080, value); }

void attack_virtualization(const char *name, uint64_t address)
{
    uint64_t efer = msr_read(0xc0000080);
    uint32_t exceptions = 0;
    (void)address;
    trap_try(write_efer, efer | 0x1000);            /* SVME */
    for (uint32_t i = 0; i < ARRAY_COUNT(of_hypervisors); i++) {
        if (trap_try(of_hypervisors[i].run, (uint64_t)page)) {
            print("attack %s: %s was possible\n", name, of_hypervisors[i].name);
        } else {
            exceptions++;
        }
    }
    uint32_t vmx = 0;
    for (uint32_t i = 0; i < ARRAY_COUNT(of_vmx); i++) {
        vmx += !trap_try(of_vmx[i].run, (uint64_t)page);
    }
    trap_try(write_efer, efer);
    print("attack %s: %u of %u gave an exception, and %u of %u with memory", name, exceptions,
          (uint32_t)ARRAY_COUNT(of_hypervisors), vmx, (uint32_t)ARRAY_COUNT(of_vmx));
    verdict(exceptions == ARRAY_COUNT(of_hypervisors));
}

#define READS(name)                                                     \
    static uint64_t read_##name(void)                                   \
    {                                                                   \
        uint64_t value;                                                 \
        __asm__ volatile("mov %%" #name ", %0" : "=r"(value));          \
        return value;                                                   \
    }
#define WRITES(name)                                                    \
    static void write_##name(uint64_t value)                            \
    {                                                                   \
        __asm__ volatile("mov %0, %%" #name :: "r"(value) : "memory");  \
    }
READS(cr0) READS(cr3) READS(cr4)
WRITES(cr0) WRITES(cr3) WRITES(cr4) WRITES(cr8) WRITES(dr6) WRITES(dr7)

static void xsetbv(uint64_t value)
{
    __asm__ volatile("xsetbv" :: "c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static void xsetbv_one(uint64_t value)
{
    __asm__ volatile("xsetbv" :: "c"(1), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

#define CR0_CD    UINT64_C(0x40000000)
#define CR0_NW    UINT64_C(0x20000000)
#define CR4_KNOWN UINT64_C(0x7df)      /* without PAE: clearing it in 64-bit mode ends an emulated guest */
#define CR4_VMXE  UINT64_C(0x2000)
#define CR4_SMXE  UINT64_C(0x4000)
#define CR4_OSXSAVE UINT64_C(0x40000)

/* Bits of CR4 that this CPU has. QEMU 10.0 ends a guest that sets one which it lacks, where a CPU gives #GP. */
static uint64_t cr4_bits(void)
{
    struct cpuid one = cpuid(1, 0), seven = cpuid(7, 0);
    return CR4_KNOWN | (uint64_t)(seven.ecx >> 2 & 1) << 11 /* UMIP */ | (uint64_t)(seven.ebx & 1) << 16 /* FSGSBASE */ |
           (uint64_t)(one.ecx >> 17 & 1) << 17 /* PCIDE */ | (uint64_t)(seven.ebx >> 7 & 1) << 20 /* SMEP */ |
           (uint64_t)(seven.ebx >> 20 & 1) << 21 /* SMAP */ | (uint64_t)(seven.ecx >> 3 & 1) << 22 /* PKE */;
}

/* Bits of the control registers, but those that make 64-bit mode, set and cleared again; XCR0 with what must not be in it. */
void attack_control(const char *name, uint64_t address)
{
    static const uint64_t states[] = {0, 2, 4, 5, UINT64_C(1) << 63, UINT64_MAX, 0x10, 0x60001};
    uint64_t cr0 = read_cr0(), cr4 = read_cr4(), known = cr4_bits();
    uint32_t tried = 0, refused = 0;
    (void)address;
    for (uint32_t bit = 0; bit < 64; bit++) {
        if ((known >> bit & 1) != 0) {
            refused += !trap_try(write_cr4, cr4 ^ (UINT64_C(1) << bit));
            write_cr4(cr4);
            tried++;
        }
        if (bit >= 32 || (UINT64_C(1) << bit & (CR0_CD | CR0_NW)) != 0) {
            refused += !trap_try(write_cr0, cr0 ^ (UINT64_C(1) << bit));
            write_cr0(cr0);
            tried++;
        }
        if (bit >= 52) {
            refused += !trap_try(write_cr8, UINT64_C(1) << bit);
            refused += !trap_try(write_dr7, UINT64_C(1) << bit);
            refused += !trap_try(write_dr6, UINT64_C(1) << bit);
            tried += 3;
        }
    }
    bool cached = trap_try(write_cr0, cr0 | CR0_CD | CR0_NW);
    write_cr0(cr0);
    if (trap_try(write_cr4, cr4 | CR4_OSXSAVE)) {
        for (uint32_t i = 0; i < ARRAY_COUNT(states); i++) {
            refused += !trap_try(xsetbv, states[i]);
            refused += !trap_try(xsetbv_one, states[i]);
            tried += 2;
        }
        trap_try(xsetbv, 1);
        write_cr4(cr4);
    }
    print("attack %s: %u of %u refused, caches off %s", name, refused, tried, cached ? "carried out" : "refused");
    verdict(true);
}

/* QEMU 10.0 never comes back from the first of these that its CPU does not have; no other core may notice. */
void attack_cr4_reserved(const char *name, uint64_t address)
{
    uint64_t cr4 = read_cr4();
    uint32_t refused = 0;
    (void)address;
    bool vmx = trap_try(write_cr4, cr4 | CR4_VMXE) && (read_cr4() & CR4_VMXE) != 0;
    write_cr4(cr4);
    bool smx = trap_try(write_cr4, cr4 | CR4_SMXE) && (read_cr4() & CR4_SMXE) != 0;
    write_cr4(cr4);
    for (uint32_t bit = 23; bit < 64; bit++) {
        refused += !trap_try(write_cr4, cr4 | (UINT64_C(1) << bit));
        write_cr4(cr4);
    }
    print("attack %s: %u of 41 refused, VMXE %s, SMXE %s", name, refused, vmx ? "set" : "refused",
          smx ? "set" : "refused");
    verdict(!vmx && !smx);
}

INSTRUCTION(invd, "0x0f, 0x08") INSTRUCTION(wbinvd, "0x0f, 0x09") INSTRUCTION(wbnoinvd, "0xf3, 0x0f, 0x09")
INSTRUCTION(monitor, "0x0f, 0x01, 0xc8") INSTRUCTION(rdpmc, "0x0f, 0x33") INSTRUCTION(rdtscp, "0x0f, 0x01, 0xf9")
INSTRUCTION(invlpg, "0x0f, 0x01, 0x3f") INSTRUCTION(clflush, "0x0f, 0xae, 0x3f") INSTRUCTION(swapgs, "0x0f, 0x01, 0xf8")
INSTRUCTION(clts, "0x0f, 0x06") INSTRUCTION(invpcid, "0x66, 0x0f, 0x38, 0x82, 0x0f") INSTRUCTION(ud2, "0x0f, 0x0b")
INSTRUCTION(int1, "0xf1") INSTRUCTION(int3, "0xcc") INSTRUCTION(int18, "0xcd, 0x12") INSTRUCTION(xsaves, "0x0f, 0xc7, 0x2f")
INSTRUCTION(rdrand, "0x0f, 0xc7, 0xf0") INSTRUCTION(tpause, "0x66, 0x0f, 0xae, 0xf0") INSTRUCTION(xgetbv, "0x0f, 0x01, 0xd0")
INSTRUCTION(sysret, "0x0f, 0x07") INSTRUCTION(sysexit, "0x0f, 0x35") INSTRUCTION(fxsave, "0x0f, 0xae, 0x07")
INSTRUCTION(fninit, "0xdb, 0xe3")
INSTRUCTION(prefixes, "0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90")
INSTRUCTION(hreset, "0xf3, 0x0f, 0x3a, 0xf0, 0xc0, 0x00") INSTRUCTION(clzero, "0x0f, 0x01, 0xfc")
INSTRUCTION(monitorx, "0x0f, 0x01, 0xfa") INSTRUCTION(wrpkru, "0x0f, 0x01, 0xef") INSTRUCTION(invlpgb, "0x0f, 0x01, 0xfe")

static const struct instruction others[] = {
    ROW(invd), ROW(wbinvd), ROW(wbnoinvd), ROW(monitor), ROW(rdpmc), ROW(rdtscp), ROW(invlpg), ROW(clflush), ROW(swapgs),
    ROW(clts), ROW(invpcid), ROW(ud2), ROW(int1), ROW(int3), ROW(int18), ROW(xsaves), ROW(rdrand), ROW(tpause), ROW(xgetbv),
    ROW(sysret), ROW(sysexit), ROW(fxsave), ROW(fninit), ROW(prefixes), ROW(hreset), ROW(clzero), ROW(monitorx), ROW(wrpkru),
    ROW(invlpgb),
};

/* MWAIT with the timer set and interrupts let in: it may sleep, but not for ever. */
static void mwait(uint64_t address)
{
    timer_at(timer_now() + timer_hz() / 1000);
    __asm__ volatile("monitor\n\tsti\n\tmwait\n\tcli" :: "a"(address), "c"(0), "d"(0) : "memory");
}

void attack_instructions(const char *name, uint64_t address)
{
    uint32_t exceptions = 0;
    (void)address;
    for (uint32_t i = 0; i < ARRAY_COUNT(others); i++) {
        if (others[i].run == do_sysret || others[i].run == do_sysexit) {
            continue;                       /* they would end in user mode, where nothing of this guest is */
        }
        exceptions += !trap_try(others[i].run, (uint64_t)page);
    }
    bool waits = trap_try(mwait, (uint64_t)page);
    timer_off();
    irq_disable();
    print("attack %s: %u of %u gave an exception, MWAIT %s", name, exceptions, (uint32_t)ARRAY_COUNT(others) - 2,
          waits ? "waited" : "gave one");
    verdict(true);
}

void attack_sleep_timer(const char *name, uint64_t address)
{
    uint64_t wait = timer_hz() / 100, start = timer_now();
    (void)address;
    irq_disable();
    while (timer_now() < start + wait) {
        timer_at(start + wait);     /* again, should it have come a little early */
        idle();
    }
    uint64_t slept = timer_ns(timer_now() - start);
    timer_off();
    print("attack %s: asked for 10 ms, slept %lu us", name, slept / 1000);
    verdict(true);
}

/* No vector to go to: the processor shuts down. */
void attack_triple(const char *name, uint64_t address)
{
    struct { uint16_t limit; uint64_t base; } __attribute__((packed)) none = {0, 0};
    (void)name;
    (void)address;
    __asm__ volatile("lidt %0\n\tud2" :: "m"(none));
}

/* Its page tables in memory that is not its own: the walk itself must fault. */
void attack_walk(const char *name, uint64_t address)
{
    uint64_t table = address != 0 ? address : own_ram.base + own_ram.size;
    (void)name;
    write_cr3(table);
    for (;;) {
    }
}

static void read_word(uint64_t address) { (void)mmio_read32(address); }

/* Page table entries with reserved bits, addresses that are none: its own page faults, nobody else's. */
void attack_reserved_bits(const char *name, uint64_t address)
{
    uint64_t *root = (uint64_t *)(read_cr3() & ~UINT64_C(0xfff));
    uint64_t *last = (uint64_t *)(root[0] & ~UINT64_C(0xfff)) + 511;
    uint64_t before = *last, at = UINT64_C(511) << 30;
    const uint64_t entries[] = {before | (UINT64_C(1) << 51), before | 0x1e000, UINT64_C(0x000ffffffffff083), 0};
    uint32_t faults = 0;
    (void)address;
    for (uint32_t i = 0; i < ARRAY_COUNT(entries); i++) {
        *(volatile uint64_t *)last = entries[i];
        write_cr3((uint64_t)root);
        faults += !trap_try(read_word, at);
    }
    *(volatile uint64_t *)last = before;
    write_cr3((uint64_t)root);
    faults += !trap_try(read_word, UINT64_C(1) << 62);
    print("attack %s: %u of %u gave an exception of its own", name, faults, (uint32_t)ARRAY_COUNT(entries) + 1);
    verdict(true);
}

/* ------------------------------------------------------------------ exceptions without end */

#define TSS_SELECTOR  0x20u

struct tss { uint32_t reserved; uint64_t rsp[3], unused, ist[7]; uint32_t rest[3]; } __attribute__((packed));

/* The handler of #DB, which returns to where it came from. */
static void __attribute__((naked)) debug_return(void)
{
    __asm__("iretq");
}

/*
 * A watchpoint where the frame of #DB itself is pushed: delivering it raises the next (CVE-2015-8104). A
 * processor that delivers them itself never comes to an instruction boundary again.
 */
void attack_debug_storm(const char *name, uint64_t address)
{
    static uint8_t stack[4096] __attribute__((aligned(16)));
    static struct tss tss;
    static uint64_t gdt[6] = {0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff, 0, 0};
    uint64_t top = (uint64_t)stack + sizeof(stack), base = (uint64_t)&tss, handler = (uint64_t)debug_return;
    struct { uint16_t limit; uint64_t base; } __attribute__((packed)) pointer = {sizeof(gdt) - 1, (uint64_t)gdt};
    (void)name;
    (void)address;
    tss.ist[0] = top;
    gdt[4] = (sizeof(tss) - 1) | ((base & 0xffffff) << 16) | (UINT64_C(0x89) << 40) | ((base >> 24 & 0xff) << 56);
    gdt[5] = base >> 32;
    idt[1].low = (handler & 0xffff) | (UINT64_C(0x18) << 16) | (UINT64_C(1) << 32) | (UINT64_C(0x8e) << 40) |
                 ((handler & 0xffff0000) << 32);
    __asm__ volatile("lgdt %0\n\tltr %w1" :: "m"(pointer), "r"(TSS_SELECTOR));
    __asm__ volatile("mov %0, %%dr0" :: "r"(top - 8));
    write_dr7(0x400 | 0x3 | (1u << 16) | (2u << 18));    /* DR0: 8 bytes, on writes */
    for (;;) {
        *(volatile uint64_t *)(top - 8) = 0;
    }
}

void attack_alignment_storm(const char *name, uint64_t address)
{
    (void)name;
    (void)address;
    alignment_storm();
}

void attack_task_switch(const char *name, uint64_t address)
{
    (void)name;
    (void)address;
    task_switch();
}

void attack_sleep(const char *name, uint64_t address)
{
    (void)name;
    (void)address;
    cpu_stop();
}

void attack_spin(const char *name, uint64_t address)
{
    (void)name;
    (void)address;
    irq_disable();
    for (;;) {
        __asm__ volatile("nop");
    }
}
