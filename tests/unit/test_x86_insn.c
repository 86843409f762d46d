/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/x86/insn.c arch/x86/svm/svm.c arch/x86/core.c arch/x86/apic.c arch/x86/ioapic.c arch/x86/clock.c */
/* tests: arch/x86/access.c arch/x86/msr.c arch/x86/state.c arch/x86/icr.c arch/x86/exits.c arch/x86/memory.c */
/* tests: core/partition.c core/fault.c core/vuart_16550.c ../tests/unit/pc.c */
#include "pc.h"

#include <stdlib.h>

#include <arch/x86/insn.h>

#define PRESENT  UINT64_C(1)
#define LARGE    UINT64_C(0x80)
#define NX       (UINT64_C(1) << 63)

static int setup(void **state)
{
    (void)state;
    pc_boot();
    return 0;
}

/* ---------------------------------------------------------------- decoding */

/*
 * The assembler says how long an instruction is. A line of the table: 32 or 64 bits, is it a store, of an
 * immediate value, which register, the value, the instruction.
 */
struct insn_case {
    const uint8_t *bytes;
    uint64_t length;
    const char *text;
    uint32_t value;
    uint8_t mode, store, immediate, reg;
};
extern const struct insn_case insn_table[], insn_table_end[];

__asm__(
    ".macro insn mode, store, immediate, reg, value, text:vararg\n"
    ".pushsection .rodata.insn, \"a\"\n"
    ".code\\mode\n"
    "71: \\text\n"
    "72: .code64\n"
    "73: .asciz \"\\text\"\n"
    ".popsection\n"
    ".quad 71b, 72b - 71b, 73b\n"
    ".long \\value\n"
    ".byte \\mode, \\store, \\immediate, \\reg\n"
    ".endm\n"

    /* Register `reg` and memory `where`, both ways; with register 0 also a value. */
    ".macro both mode, number, reg, where:vararg\n"
    "insn \\mode, 0, 0, \\number, 0, mov \\where, %\\reg\n"
    "insn \\mode, 1, 0, \\number, 0, mov %\\reg, \\where\n"
    ".ifeq \\number\n"
    "insn \\mode, 1, 1, 0, 0x89abcdef, movl $0x89abcdef, \\where\n"
    ".endif\n"
    ".endm\n"

    ".macro bases mode, number, reg, names:vararg\n"
    ".irp base, \\names\n"
    "both \\mode, \\number, \\reg, (%\\base)\n"
    "both \\mode, \\number, \\reg, 0x12(%\\base)\n"
    "both \\mode, \\number, \\reg, -0x80(%\\base)\n"
    "both \\mode, \\number, \\reg, 0x12345678(%\\base)\n"
    ".endr\n"
    ".endm\n"

    ".macro indices mode, number, reg, base, names:vararg\n"
    ".irp index, \\names\n"
    "both \\mode, \\number, \\reg, (%\\base, %\\index)\n"
    "both \\mode, \\number, \\reg, 0x10(%\\base, %\\index, 4)\n"
    "both \\mode, \\number, \\reg, 0x12345678(%\\base, %\\index, 8)\n"
    "both \\mode, \\number, \\reg, 0x12345678(, %\\index, 2)\n"
    ".endr\n"
    ".endm\n"

    ".macro all64 number, reg\n"
    "bases 64, \\number, \\reg, rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15\n"
    ".irp base, rax, rsp, rbp, rdi, r8, r12, r13, r15\n"
    "indices 64, \\number, \\reg, \\base, rax, rcx, rbp, rdi, r8, r12, r13, r15\n"
    ".endr\n"
    "both 64, \\number, \\reg, 0x1234(%rip)\n"
    "both 64, \\number, \\reg, %gs:0x10(%rdi)\n"
    "both 64, \\number, \\reg, %fs:(%r9)\n"
    ".endm\n"

    ".macro all32 number, reg\n"
    "bases 32, \\number, \\reg, eax, ecx, edx, ebx, esp, ebp, esi, edi\n"
    ".irp base, eax, esp, ebp, edi\n"
    "indices 32, \\number, \\reg, \\base, eax, ecx, ebp, edi\n"
    ".endr\n"
    "both 32, \\number, \\reg, 0xfec00010\n"
    "both 32, \\number, \\reg, %es:(%edi)\n"
    "both 32, \\number, \\reg, %ss:(%edi)\n"
    ".endm\n"

    ".pushsection .data.insn_table, \"aw\"\n"
    ".balign 8\n"
    ".globl insn_table, insn_table_end\n"
    "insn_table:\n"
    ".set number, 0\n"
    ".irp reg, eax, ecx, edx, ebx, esp, ebp, esi, edi\n"
    "all64 number, \\reg\n"
    "all32 number, \\reg\n"
    ".set number, number + 1\n"
    ".endr\n"
    ".irp reg, r8d, r9d, r10d, r11d, r12d, r13d, r14d, r15d\n"
    "all64 number, \\reg\n"
    ".set number, number + 1\n"
    ".endr\n"
    "insn 64, 0, 0, 0, 0, mov 0x7ec00010, %eax\n"
    "insn 64, 1, 0, 3, 0, mov %ebx, 0x7ec00010\n"
    "insn 64, 1, 1, 0, 7, movl $7, 0x7ec00010\n"
    "insn 64, 0, 0, 0, 0, movabs 0x1122334455667788, %eax\n"
    "insn 64, 1, 0, 0, 0, movabs %eax, 0x1122334455667788\n"
    "insn 64, 1, 0, 0, 0, movabs %eax, %gs:0x1122334455667788\n"
    "insn 64, 0, 0, 0, 0, .byte 0x40, 0x8b, 0x07\n"              /* REX without a bit */
    "insn 64, 1, 0, 15, 0, .byte 0x2e, 0x36, 0x44, 0x89, 0x38\n"
    "insn_table_end:\n"
    ".popsection\n");

static void every_form_has_the_assemblers_length(void **state)
{
    (void)state;
    assert_true(insn_table_end - insn_table > 10000);
    for (uint32_t i = 0; i < (uint32_t)(insn_table_end - insn_table); i++) {
        const struct insn_case *expected = &insn_table[i];
        struct insn insn;
        uint8_t bytes[INSN_MAX];

        memset(bytes, 0x24, sizeof(bytes));
        memcpy(bytes, expected->bytes, expected->length);
        if (!insn_decode(bytes, INSN_MAX, expected->mode == 64, &insn)) {
            fail_msg("refused: %s", expected->text);
        }
        if (insn.length != expected->length || insn.store != expected->store ||
            insn.immediate != expected->immediate || insn.reg != expected->reg ||
            (insn.immediate && insn.value != expected->value)) {
            fail_msg("%s: length %u store %u immediate %u reg %u value 0x%x", expected->text, insn.length, insn.store,
                     insn.immediate, insn.reg, insn.value);
        }
    }
}

/* An instruction that ends where the guest's memory ends is whole; one byte less is not. */
static void bytes_that_are_not_there_are_not_looked_at(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < (uint32_t)(insn_table_end - insn_table); i++) {
        const struct insn_case *expected = &insn_table[i];
        struct insn insn;

        for (uint32_t count = 0; count <= expected->length; count++) {
            uint8_t *bytes = malloc(count + 1);  /* the address sanitizer sees what lies behind */

            assert_non_null(bytes);
            bytes = realloc(bytes, count != 0 ? count : 1);
            assert_non_null(bytes);
            memcpy(bytes, expected->bytes, count);
            if (insn_decode(bytes, count, expected->mode == 64, &insn) != (count == expected->length)) {
                fail_msg("%s: %u of %lu bytes", expected->text, count, expected->length);
            }
            free(bytes);
        }
    }
}

static void everything_else_is_refused(void **state)
{
    static const struct { bool code64; uint8_t bytes[INSN_MAX]; } others[] = {
        { true, { 0x48, 0x8b, 0x07 } },                    /* mov (%rdi), %rax: 64 bits */
        { true, { 0x48, 0xc7, 0x07, 1, 2, 3, 4 } },
        { true, { 0x66, 0x8b, 0x07 } }, { true, { 0x66, 0x89, 0x07 } },  /* 16 bits */
        { true, { 0x67, 0x8b, 0x07 } },                    /* 32-bit addresses */
        { true, { 0x8a, 0x07 } }, { true, { 0x88, 0x07 } }, { true, { 0xc6, 0x07, 1 } },  /* bytes */
        { true, { 0x8b, 0xc7 } }, { true, { 0x89, 0xc7 } },  /* registers */
        { true, { 0xc7, 0xc0, 1, 2, 3, 4 } },
        { true, { 0xc7, 0x0f, 1, 2, 3, 4 } },              /* C7 /1 */
        { true, { 0xc7, 0xf8, 1, 2, 3, 4 } },              /* XBEGIN */
        { true, { 0x01, 0x07 } }, { true, { 0x09, 0x07 } }, { true, { 0x87, 0x07 } },  /* ADD, OR, XCHG */
        { true, { 0xf0, 0x89, 0x07 } }, { true, { 0xf3, 0x89, 0x07 } }, { true, { 0xf2, 0x8b, 0x07 } },
        { true, { 0x0f, 0xb6, 0x07 } }, { true, { 0x0f, 0x0b } }, { true, { 0xa5 } }, { true, { 0xab } },
        { true, { 0xff, 0x37 } }, { true, { 0x8f, 0x07 } }, { true, { 0xa0 } }, { true, { 0xa2 } },
        { true, { 0x40, 0x41, 0x8b, 0x07 } },              /* only the last REX counts */
        { false, { 0x40, 0x8b, 0x07 } },                   /* INC %eax in 32-bit code */
        { false, { 0x44, 0x8b, 0x07 } }, { false, { 0x48, 0x8b, 0x07 } },
        { false, { 0xc4, 0xe2, 0x07 } }, { true, { 0x62, 0xf1, 0x07 } },
    };
    struct insn insn;

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(others); i++) {
        if (insn_decode(others[i].bytes, INSN_MAX, others[i].code64, &insn)) {
            fail_msg("case %u: taken", i);
        }
    }
    for (uint32_t prefixes = 0; prefixes <= INSN_MAX; prefixes++) {  /* longer than an instruction may be */
        uint8_t bytes[INSN_MAX];

        memset(bytes, 0x65, sizeof(bytes));
        if (prefixes + 1 < INSN_MAX) {
            bytes[prefixes] = 0x8b;
            bytes[prefixes + 1] = 0x07;
        }
        assert_int_equal(insn_decode(bytes, INSN_MAX, true, &insn), prefixes + 2 <= INSN_MAX);
    }
}

/* Whatever comes, what is decoded lies in the bytes that are there, and is of one of the five kinds. */
static void random_bytes(void **state)
{
    uint64_t seed = 88172645463325252u;
    uint32_t taken = 0;

    (void)state;
    for (uint32_t round = 0; round < 300000; round++) {
        uint8_t bytes[INSN_MAX];
        struct insn insn;
        uint32_t count;

        for (uint32_t i = 0; i < INSN_MAX; i++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            bytes[i] = (uint8_t)(seed >> 20);
        }
        if (round % 2 == 0) {
            static const uint8_t opcodes[8] = { 0x8b, 0x89, 0xc7, 0xa1, 0xa3, 0x64, 0x41, 0x67 };

            bytes[seed >> 40 & 1u] = opcodes[seed >> 50 & 7u];
        }
        count = (uint32_t)(seed >> 30) % (INSN_MAX + 1u);
        if (insn_decode(bytes, count, (seed & 1u) != 0, &insn)) {
            taken++;
            assert_true(insn.length >= 2 && insn.length <= count);
            assert_true(insn.reg < 16 && (insn.store || !insn.immediate));
            assert_true((seed & 1u) != 0 || insn.reg < 8);
        }
    }
    assert_true(taken > 10000);
}

/* ---------------------------------------------------------------- fetching */

static void put64(uint64_t address, uint64_t value)
{
    assert_true(address + 8 <= RAM_SIZE);
    memcpy(ram + address, &value, 8);
}

static void put32(uint64_t address, uint32_t value)
{
    assert_true(address + 4 <= RAM_SIZE);
    memcpy(ram + address, &value, 4);
}

static uint32_t fetch(uint8_t *bytes)
{
    bool code64;
    uint32_t count;

    memset(bytes, 0, INSN_MAX);
    count = insn_fetch(cpu_at(core_now), bytes, &code64);
    assert_int_equal(pc_cr3[core_now], HOST_CR3);  /* the loader map is closed again */
    assert_int_equal(code64, (vmcb_now()->efer & EFER_LMA) != 0 && (vmcb_now()->cs.attributes & 0x200u) != 0);
    return count;
}

/* 15 bytes from `rip` on are the ones at `at` in the partition's first RAM. */
static void assert_fetched(uint64_t rip, uint64_t at)
{
    uint8_t bytes[INSN_MAX];

    for (uint32_t i = 0; i < INSN_MAX; i++) {
        ram[at + i] = (uint8_t)(0x30u + i);
    }
    vmcb_now()->rip = rip;
    assert_int_equal(fetch(bytes), INSN_MAX);
    for (uint32_t i = 0; i < INSN_MAX; i++) {
        assert_int_equal(bytes[i], 0x30u + i);
    }
}

static void assert_nothing_at(uint64_t rip)
{
    uint8_t bytes[INSN_MAX];

    vmcb_now()->rip = rip;
    assert_int_equal(fetch(bytes), 0);
}

static void protected_mode(void)
{
    vmcb_now()->cr0 = CR0_PE;
    vmcb_now()->efer = EFER_SVME;
    vmcb_now()->cs.base = 0;
    vmcb_now()->cs.attributes = 0xc9b;
}

static void paging(uint64_t cr3, uint64_t cr4, uint64_t efer)
{
    vmcb_now()->cr0 = CR0_PE | CR0_PG;
    vmcb_now()->cr3 = cr3;
    vmcb_now()->cr4 = cr4;
    vmcb_now()->efer = efer | EFER_SVME;
    vmcb_now()->cs.base = 0;
    vmcb_now()->cs.attributes = (efer & EFER_LMA) != 0 ? 0xa9b : 0xc9b;
}

static void without_paging(void **state)
{
    uint8_t bytes[INSN_MAX];

    (void)state;
    protected_mode();
    assert_fetched(0x1234, 0x1234);
    assert_fetched(0x1ffa, 0x1ffa);  /* across a page */
    vmcb_now()->cs.base = 0x2000;
    assert_fetched(0x10, 0x2010);
    vmcb_now()->cs.base = 0xfffff000;  /* linear addresses have 32 bits */
    assert_fetched(0x2000, 0x1000);
    protected_mode();
    vmcb_now()->rip = RAM_SIZE - 5;    /* RAM ends */
    assert_int_equal(fetch(bytes), 5);
    assert_nothing_at(RAM_SIZE);
    assert_nothing_at(0xfec00000);
    assert_nothing_at(0xfffffff0);
}

static void page_tables_of_four_levels(void **state)
{
    (void)state;
    paging(0x8000 | 0x18, CR4_PAE, EFER_LMA);  /* PCID or cache bits in CR3 */
    put64(0x8000 + 8 * 511, 0x9000 | PRESENT | NX | 0xe00);
    put64(0x9000 + 8 * 510, 0xa000 | PRESENT);
    put64(0xa000 + 8 * 3, 0xb000 | PRESENT);
    put64(0xb000 + 8 * 7, 0x3000 | PRESENT | NX);
    put64(0xb000 + 8 * 8, 0x6000 | PRESENT | LARGE);  /* in the last level bit 7 is the PAT's */
    assert_fetched(UINT64_C(0xffffffff80607123), 0x3123);
    assert_fetched(UINT64_C(0xffffffff80608fe0), 0x6fe0);
    assert_nothing_at(UINT64_C(0xffffffff80609000));
    assert_nothing_at(UINT64_C(0xffffffff80807123));
    assert_nothing_at(UINT64_C(0xffffffffc0607123));
    assert_nothing_at(0x3123);
}

static void an_instruction_across_pages_that_are_not_neighbours(void **state)
{
    uint8_t bytes[INSN_MAX];

    (void)state;
    paging(0x8000, CR4_PAE, EFER_LMA);
    put64(0x8000, 0x9000 | PRESENT);
    put64(0x9000, 0xa000 | PRESENT);
    put64(0xa000, 0xb000 | PRESENT);
    put64(0xb000 + 8 * 1, 0x7000 | PRESENT);
    put64(0xb000 + 8 * 2, 0x3000 | PRESENT);
    memset(ram + 0x7ffc, 0x11, 4);
    memset(ram + 0x3000, 0x22, 16);
    vmcb_now()->rip = 0x1ffc;
    assert_int_equal(fetch(bytes), INSN_MAX);
    for (uint32_t i = 0; i < INSN_MAX; i++) {
        assert_int_equal(bytes[i], i < 4 ? 0x11 : 0x22);
    }
    put64(0xb000 + 8 * 2, 0);          /* the second page is not there */
    assert_int_equal(fetch(bytes), 4);
    put64(0xb000 + 8 * 2, 0xfec00000 | PRESENT);  /* or is not RAM */
    assert_int_equal(fetch(bytes), 4);
}

static void large_pages(void **state)
{
    (void)state;
    paging(0x8000, CR4_PAE, EFER_LMA);
    put64(0x8000, 0x9000 | PRESENT);
    put64(0x9000 + 8 * 1, LARGE | PRESENT | 0x1000);        /* 1 GiB; bit 12 is the PAT's */
    put64(0x9000 + 8 * 2, 0xa000 | PRESENT);
    put64(0xa000 + 8 * 5, LARGE | PRESENT | NX);            /* 2 MiB */
    assert_fetched(0x40000000 + 0x2345, 0x2345);
    assert_fetched(0x80000000 + 5 * 0x200000 + 0x1ff8, 0x1ff8);
    assert_nothing_at(0x80000000 + 6 * 0x200000);
    put64(0x8000 + 8, LARGE | PRESENT);                     /* there is no page of 512 GiB */
    put64(0x0000, 0);
    assert_nothing_at(UINT64_C(0x8000000000) + 0x2345);
}

static void five_levels(void **state)
{
    (void)state;
    paging(0x7000, CR4_PAE | CR4_LA57, EFER_LMA);
    put64(0x7000 + 8 * 1, 0x8000 | PRESENT);
    put64(0x8000 + 8 * 2, 0x9000 | PRESENT);
    put64(0x9000 + 8 * 3, 0xa000 | PRESENT);
    put64(0xa000 + 8 * 4, 0xb000 | PRESENT);
    put64(0xb000 + 8 * 5, 0x3000 | PRESENT);
    assert_fetched(UINT64_C(1) << 48 | UINT64_C(2) << 39 | UINT64_C(3) << 30 | 4u << 21 | 5u << 12 | 0x77, 0x3077);
    assert_nothing_at(UINT64_C(2) << 39 | UINT64_C(3) << 30 | 4u << 21 | 5u << 12 | 0x77);
}

static void physical_address_extension(void **state)
{
    (void)state;
    paging(0x8060, CR4_PAE, 0);                             /* four entries at a multiple of 32 bytes */
    put64(0x8060 + 8 * 3, 0x9000 | PRESENT);
    put64(0x9000 + 8 * 4, 0xa000 | PRESENT);
    put64(0x9000 + 8 * 5, LARGE | PRESENT);
    put64(0xa000 + 8 * 6, 0x5000 | PRESENT | NX);
    assert_fetched(0xc0000000 + 4 * 0x200000 + 6 * 0x1000 + 0x88, 0x5088);
    assert_fetched(0xc0000000 + 5 * 0x200000 + 0x1100, 0x1100);
    assert_nothing_at(0xc0000000 + 4 * 0x200000 + 7 * 0x1000);
    assert_nothing_at(0x80000000 + 4 * 0x200000 + 6 * 0x1000);
    ram[0x8060 + 8 * 3] &= 0xfe;
    assert_nothing_at(0xc0000000 + 4 * 0x200000 + 6 * 0x1000 + 0x88);
}

static void tables_of_32_bits(void **state)
{
    (void)state;
    paging(0x8fff, 0, 0);
    put32(0x8000 + 4 * 768, 0x9000 | (uint32_t)PRESENT);
    put32(0x8000 + 4 * 769, (uint32_t)(LARGE | PRESENT));
    put32(0x9000 + 4 * 17, 0x4000 | (uint32_t)PRESENT);
    put32(0x9000 + 4 * 1023, 0x6000 | (uint32_t)PRESENT);
    assert_fetched(0xc0000000 + 17 * 0x1000 + 0x99, 0x4099);
    assert_fetched(0xc0000000 + 1023 * 0x1000 + 0x99, 0x6099);
    assert_fetched(0xc0400000 + 0x1ff9, 0x1ff9);
    assert_nothing_at(0xc0000000 + 18 * 0x1000);
    assert_nothing_at(0xc0800000);
}

/* Tables outside the partition's RAM are not looked at, wherever they point. */
static void tables_elsewhere(void **state)
{
    static const uint64_t hostile[] = { RAM_SIZE, 0xfec00000, 0x7ffff000, HIGH_RAM + HIGH_SIZE, UINT64_C(0xffffffffff000) };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(hostile); i++) {
        for (uint32_t level = 0; level < 5; level++) {
            paging(level == 0 ? hostile[i] : 0x8000, CR4_PAE, EFER_LMA);
            for (uint32_t table = 0; table < 4; table++) {
                put64(0x8000 + 0x1000 * table, (table + 1 == level ? hostile[i] : 0x9000 + 0x1000 * table) | PRESENT);
            }
            put64(0xb000, (level == 4 ? hostile[i] : 0x3000) | PRESENT);
            assert_nothing_at(0x123);
        }
    }
    paging((uint64_t)(uintptr_t)ram & 0xfffff000, 0, 0);
    assert_nothing_at(0);
}

static void tables_and_code_above_4_gib(void **state)
{
    uint8_t bytes[INSN_MAX];

    (void)state;
    paging(HIGH_RAM, CR4_PAE, EFER_LMA);
    *(uint64_t *)(void *)(high_ram) = (HIGH_RAM + 0x1000) | PRESENT;
    *(uint64_t *)(void *)(high_ram + 0x1000) = (HIGH_RAM + 0x2000) | PRESENT;
    *(uint64_t *)(void *)(high_ram + 0x2000) = HIGH_RAM | LARGE | PRESENT;
    memset(high_ram + 0x3ff0, 0x42, 16);
    vmcb_now()->rip = 0x3ff0;
    assert_int_equal(fetch(bytes), INSN_MAX);
    assert_int_equal(bytes[14], 0x42);
    vmcb_now()->rip = 0x3ff8;
    assert_int_equal(fetch(bytes), 8);   /* RAM ends inside the large page */
}

/* A core of another partition sees its own memory at the same address. */
static void memory_of_its_own_partition(void **state)
{
    uint8_t bytes[INSN_MAX];

    (void)state;
    memset(ram + 0x800, 0x77, 16);
    (void)on(3);
    protected_mode();
    vmcb_now()->rip = 0x800;
    assert_int_equal(fetch(bytes), INSN_MAX);
    assert_int_equal(bytes[0], 0);
    vmcb_now()->rip = 0x1000;
    assert_int_equal(fetch(bytes), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_form_has_the_assemblers_length, setup),
        cmocka_unit_test_setup(bytes_that_are_not_there_are_not_looked_at, setup),
        cmocka_unit_test_setup(everything_else_is_refused, setup),
        cmocka_unit_test_setup(random_bytes, setup),
        cmocka_unit_test_setup(without_paging, setup),
        cmocka_unit_test_setup(page_tables_of_four_levels, setup),
        cmocka_unit_test_setup(an_instruction_across_pages_that_are_not_neighbours, setup),
        cmocka_unit_test_setup(large_pages, setup),
        cmocka_unit_test_setup(five_levels, setup),
        cmocka_unit_test_setup(physical_address_extension, setup),
        cmocka_unit_test_setup(tables_of_32_bits, setup),
        cmocka_unit_test_setup(tables_elsewhere, setup),
        cmocka_unit_test_setup(tables_and_code_above_4_gib, setup),
        cmocka_unit_test_setup(memory_of_its_own_partition, setup),
    };

    return cmocka_run_group_tests_name("x86_insn", tests, NULL, NULL);
}
