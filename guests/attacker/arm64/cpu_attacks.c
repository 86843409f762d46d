/* SPDX-License-Identifier: Apache-2.0 */
#include "attacks.h"

#define PSCI_NOT_SUPPORTED  (-1)
#define PSCI_ALREADY_ON     (-4)

/* Every Aff0 up to 15 that is not its own, some of the other levels, and rubbish in the rest. */
void attack_psci_on(const char *name, uint64_t address)
{
    static const uint64_t far[] = {0x100, 0x101, 0x10000, 0x100000000, 0xff00ffffff, 0xffffffffffffffff};
    uint32_t refused = 0, asked = 0;
    (void)address;
    for (uint64_t i = own_cpus; i < 16 + ARRAY_COUNT(far); i++) {
        uint64_t target = i < 16 ? i : far[i - 16];
        uint64_t entry = (uint64_t)secondary_entry;
        asked += 2;
        refused += (int32_t)psci_call(PSCI_CPU_ON, target, entry, 0) < 0;
        refused += (int32_t)psci_call(PSCI_AFFINITY_INFO, target, 0, 0) < 0;
    }
    int32_t self = (int32_t)psci_call(PSCI_CPU_ON, READ_SYSREG(mpidr_el1) & 0xff00ffffff,
                                      (uint64_t)secondary_entry, 0);
    print("attack %s: %u of %u refused, itself %d", name, refused, asked, self);
    verdict(refused == asked && self == PSCI_ALREADY_ON);
}

static uint64_t call_id;
static int64_t call_result;

static void call_smc(uint64_t argument)
{
    call_result = smc_call(call_id, argument, argument, argument);
}

static void call_hvc(uint64_t argument)
{
    call_result = hvc_call(call_id, argument, argument, argument);
}

void attack_psci_ids(const char *name, uint64_t address)
{
    static const uint64_t ids[] = {
        0x84000005, 0xc4000005, 0x84000013, 0xc4000013, 0x8400001f, 0xc400001f,   /* of PSCI */
        0x80000100, 0x81000001, 0xc1000001, 0x82000000, 0xc2000001, 0x83000000, 0xc3000001,
        0x84000050, 0x84000060, 0x84000100, 0x85000000, 0x86000000, 0xb2000000, 0xbf00ff01, 0xbfffffff,
        0x00000000, 0xffffffff, 0xffffffffffffffff, 0x4a48u,
    };
    uint32_t refused = 0;
    (void)address;
    for (uint32_t i = 0; i < ARRAY_COUNT(ids); i++) {
        call_id = ids[i];
        refused += !trap_try(call_smc, UINT64_MAX) || (int32_t)call_result == PSCI_NOT_SUPPORTED;
        refused += !trap_try(call_hvc, UINT64_MAX) || (int32_t)call_result == PSCI_NOT_SUPPORTED;
    }
    print("attack %s: %u of %u refused", name, refused, 2 * (uint32_t)ARRAY_COUNT(ids));
    verdict(refused == 2 * ARRAY_COUNT(ids));
}

void attack_psci_entry(const char *name, uint64_t address)
{
    int32_t result = (int32_t)psci_call(PSCI_CPU_ON, 1, address, 0);
    print("attack %s: CPU_ON of core 1 at 0x%lx: %d", name, address, result);
    verdict(true);
}

#define CALL(kind, immediate)                                                                          \
    static void kind##_##immediate(uint64_t rubbish)                                                   \
    {                                                                                                  \
        register uint64_t x0 __asm__("x0") = 0x12345678;                                               \
        register uint64_t x1 __asm__("x1") = rubbish;                                                  \
        __asm__ volatile(#kind " #" #immediate : "+r"(x0), "+r"(x1)                                    \
                         :: "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", \
                            "x14", "x15", "x16", "x17", "memory");                                     \
    }
CALL(hvc, 1) CALL(hvc, 0x4a48) CALL(hvc, 0xffff)
CALL(smc, 1) CALL(smc, 0x4a48) CALL(smc, 0xffff)

void attack_calls(const char *name, uint64_t address)
{
    static void (*const calls[])(uint64_t) = {hvc_1, hvc_0x4a48, hvc_0xffff, smc_1, smc_0x4a48, smc_0xffff};
    uint32_t exceptions = 0;
    (void)address;
    for (uint32_t i = 0; i < ARRAY_COUNT(calls); i++) {
        exceptions += !trap_try(calls[i], UINT64_C(0xdeadbeefdeadbeef));
    }
    print("attack %s: %u made, %u gave an exception", name, (uint32_t)ARRAY_COUNT(calls), exceptions);
    verdict(true);
}

/* Registers by their encodings, since an assembler for EL1 code may not know the names. */
struct sysreg {
    const char *name;
    void (*read)(uint64_t);
    void (*write)(uint64_t);
};
static uint64_t register_value;

#define SYSREG(name, encoding)                                                                  \
    static void read_##name(uint64_t v) { (void)v; register_value = READ_SYSREG(encoding); }   \
    static void write_##name(uint64_t v) { WRITE_SYSREG(encoding, v); isb(); }
#define ROW(name) {#name, read_##name, write_##name}

SYSREG(HCR_EL2, S3_4_C1_C1_0) SYSREG(SCTLR_EL2, S3_4_C1_C0_0) SYSREG(TTBR0_EL2, S3_4_C2_C0_0)
SYSREG(VTTBR_EL2, S3_4_C2_C1_0) SYSREG(VTCR_EL2, S3_4_C2_C1_2) SYSREG(VBAR_EL2, S3_4_C12_C0_0)
SYSREG(ELR_EL2, S3_4_C4_C0_1) SYSREG(ESR_EL2, S3_4_C5_C2_0) SYSREG(HPFAR_EL2, S3_4_C6_C0_4)
SYSREG(VMPIDR_EL2, S3_4_C0_C0_5) SYSREG(CPTR_EL2, S3_4_C1_C1_2) SYSREG(MDCR_EL2, S3_4_C1_C1_1)
SYSREG(CNTVOFF_EL2, S3_4_C14_C0_3) SYSREG(CNTHCTL_EL2, S3_4_C14_C1_0) SYSREG(CNTHP_CTL_EL2, S3_4_C14_C2_1)
SYSREG(ICH_HCR_EL2, S3_4_C12_C11_0) SYSREG(ICH_LR0_EL2, S3_4_C12_C12_0) SYSREG(ICC_SRE_EL2, S3_4_C12_C9_5)
SYSREG(SCR_EL3, S3_6_C1_C1_0) SYSREG(SCTLR_EL3, S3_6_C1_C0_0) SYSREG(CNTPS_CTL_EL1, S3_7_C14_C2_1)

static const struct sysreg privileged[] = {
    ROW(HCR_EL2), ROW(SCTLR_EL2), ROW(TTBR0_EL2), ROW(VTTBR_EL2), ROW(VTCR_EL2), ROW(VBAR_EL2),
    ROW(ELR_EL2), ROW(ESR_EL2), ROW(HPFAR_EL2), ROW(VMPIDR_EL2), ROW(CPTR_EL2), ROW(MDCR_EL2),
    ROW(CNTVOFF_EL2), ROW(CNTHCTL_EL2), ROW(CNTHP_CTL_EL2), ROW(ICH_HCR_EL2), ROW(ICH_LR0_EL2),
    ROW(ICC_SRE_EL2), ROW(SCR_EL3), ROW(SCTLR_EL3), ROW(CNTPS_CTL_EL1),
};

void attack_registers(const char *name, uint64_t address)
{
    uint32_t undefined = 0;
    (void)address;
    for (uint32_t i = 0; i < ARRAY_COUNT(privileged); i++) {
        if (trap_try(privileged[i].read, 0)) {
            print("attack %s: %s reads 0x%lx\n", name, privileged[i].name, register_value);
        } else {
            undefined++;
        }
    }
    print("attack %s: %u of %u undefined", name, undefined, (uint32_t)ARRAY_COUNT(privileged));
    verdict(undefined == ARRAY_COUNT(privileged));
}

SYSREG(ACTLR_EL1, S3_0_C1_C0_1) SYSREG(CPUACTLR_EL1, S3_1_C15_C2_0) SYSREG(CPUECTLR_EL1, S3_1_C15_C2_1)
SYSREG(CPUMERRSR_EL1, S3_1_C15_C2_2) SYSREG(L2CTLR_EL1, S3_1_C11_C0_2) SYSREG(L2ECTLR_EL1, S3_1_C11_C0_3)
SYSREG(L2ACTLR_EL1, S3_1_C15_C0_0) SYSREG(CBAR_EL1, S3_1_C15_C3_0) SYSREG(IMPDEF_C11, S3_3_C11_C0_0)
SYSREG(IMPDEF_C15, S3_7_C15_C15_7) SYSREG(MDSCR_EL1, S2_0_C0_C2_2) SYSREG(OSLAR_EL1, S2_0_C1_C0_4)
SYSREG(OSDLR_EL1, S2_0_C1_C3_4) SYSREG(DBGBVR0_EL1, S2_0_C0_C0_4) SYSREG(DBGWVR0_EL1, S2_0_C0_C0_6)
SYSREG(PMCR_EL0, S3_3_C9_C12_0) SYSREG(ICC_SRE_EL1, S3_0_C12_C12_5) SYSREG(ICC_IGRPEN0_EL1, S3_0_C12_C12_6)
SYSREG(ICC_BPR0_EL1, S3_0_C12_C8_3) SYSREG(ICC_DIR_EL1, S3_0_C12_C11_1) SYSREG(ERRSELR_EL1, S3_0_C5_C3_1)
SYSREG(TRFCR_EL1, S3_0_C1_C2_1) SYSREG(CSSELR_EL1, S3_2_C0_C0_0) SYSREG(CNTKCTL_EL1, S3_0_C14_C1_0)

static const struct sysreg vendor[] = {
    ROW(ACTLR_EL1), ROW(CPUACTLR_EL1), ROW(CPUECTLR_EL1), ROW(CPUMERRSR_EL1), ROW(L2CTLR_EL1),
    ROW(L2ECTLR_EL1), ROW(L2ACTLR_EL1), ROW(CBAR_EL1), ROW(IMPDEF_C11), ROW(IMPDEF_C15), ROW(MDSCR_EL1),
    ROW(OSLAR_EL1), ROW(OSDLR_EL1), ROW(DBGBVR0_EL1), ROW(DBGWVR0_EL1), ROW(PMCR_EL0), ROW(ICC_SRE_EL1),
    ROW(ICC_IGRPEN0_EL1), ROW(ICC_BPR0_EL1), ROW(ICC_DIR_EL1), ROW(ERRSELR_EL1), ROW(TRFCR_EL1),
    ROW(CSSELR_EL1), ROW(CNTKCTL_EL1),
};

/* A guest may see these or not; what counts is that the machine goes on, and what neighbours say. */
void attack_vendor_registers(const char *name, uint64_t address)
{
    uint32_t reads = 0, writes = 0;
    (void)address;
    for (uint32_t i = 0; i < ARRAY_COUNT(vendor); i++) {
        bool readable = trap_try(vendor[i].read, 0);
        uint64_t before = register_value;
        bool writable = trap_try(vendor[i].write, UINT64_C(0xffffffff));
        reads += readable;
        writes += writable;
        if (writable) {
            trap_try(vendor[i].write, readable ? before : 0);
        }
    }
    print("attack %s: %u of %u readable, %u writable", name, reads, (uint32_t)ARRAY_COUNT(vendor), writes);
    verdict(true);
}

static void set_way(uint64_t value)
{
    __asm__ volatile("dc isw, %0\n\tdc csw, %0\n\tdc cisw, %0\n\tdsb sy" :: "r"(value) : "memory");
}

void attack_set_way(const char *name, uint64_t address)
{
    uint32_t done = 0;
    (void)address;
    for (uint64_t level = 0; level < 3; level++) {
        for (uint64_t set = 0; set < 64; set++) {
            done += trap_try(set_way, (set << 6) | (level << 1));
        }
    }
    print("attack %s: %u of 192 done", name, done);
    verdict(true);
}

static void tlb_all(uint64_t v) { (void)v; __asm__ volatile("tlbi vmalle1is\n\tdsb sy\n\tisb" ::: "memory"); }
static void tlb_el2(uint64_t v) { (void)v; __asm__ volatile("tlbi alle2\n\tdsb sy\n\tisb" ::: "memory"); }
static void tlb_ipa(uint64_t v) { __asm__ volatile("tlbi ipas2e1is, %0\n\tdsb sy" :: "r"(v) : "memory"); }
static void tlb_vmid(uint64_t v) { (void)v; __asm__ volatile("tlbi vmalls12e1is\n\tdsb sy" ::: "memory"); }
static void icache_all(uint64_t v) { (void)v; __asm__ volatile("ic ialluis\n\tdsb sy\n\tisb" ::: "memory"); }
static void at_el1(uint64_t v) { __asm__ volatile("at s1e1r, %0\n\tisb" :: "r"(v) : "memory"); }
static void at_el2(uint64_t v) { __asm__ volatile("at s12e1w, %0\n\tisb" :: "r"(v) : "memory"); }

void attack_maintenance(const char *name, uint64_t address)
{
    static void (*const allowed[])(uint64_t) = {tlb_all, icache_all, at_el1};
    static void (*const undefined[])(uint64_t) = {tlb_el2, tlb_ipa, tlb_vmid, at_el2};
    uint32_t done = 0, exceptions = 0;
    (void)address;
    for (uint32_t i = 0; i < ARRAY_COUNT(allowed); i++) {
        done += trap_try(allowed[i], 0);
    }
    for (uint32_t i = 0; i < ARRAY_COUNT(undefined); i++) {
        exceptions += !trap_try(undefined[i], 0);
    }
    print("attack %s: %u of 3 of its own done, %u of 4 of EL2 undefined", name, done, exceptions);
    verdict(exceptions == ARRAY_COUNT(undefined));
}

/* Stage 1 on, with its tables in memory that is not ours: the walk itself must fault at stage 2. */
void attack_walk(const char *name, uint64_t address)
{
    uint64_t table = address != 0 ? address : own_ram.base + own_ram.size;
    (void)name;
    WRITE_SYSREG(mair_el1, 0xff);
    WRITE_SYSREG(tcr_el1, UINT64_C(0x200803500) | 25);   /* 39 bits, 4 KiB, 40 bits of address, EPD1 */
    WRITE_SYSREG(ttbr0_el1, table);
    isb();
    WRITE_SYSREG(sctlr_el1, READ_SYSREG(sctlr_el1) | 1);
    isb();
    for (;;) {
    }
}

void attack_wfi(const char *name, uint64_t address)
{
    uint64_t wait = timer_hz() / 100, start = timer_now();
    (void)address;
    irq_disable();
    gic_enable(timer_irq());
    timer_at(start + wait);
    while (timer_now() < start + wait) {
        wfi();
    }
    uint64_t slept = timer_ns(timer_now() - start);
    timer_off();
    print("attack %s: asked for 10 ms, slept %lu us", name, slept / 1000);
    verdict(true);
}

void attack_sleep(const char *name, uint64_t address)
{
    (void)name;
    (void)address;
    irq_disable();
    WRITE_SYSREG(S3_0_C12_C12_7, 0);    /* ICC_IGRPEN1_EL1 */
    for (;;) {
        wfi();
    }
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
