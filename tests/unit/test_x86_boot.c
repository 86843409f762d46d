/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/x86/boot.c arch/x86/svm/svm.c arch/x86/core.c arch/x86/apic.c arch/x86/icr.c arch/x86/clock.c */
/* tests: arch/x86/access.c arch/x86/msr.c arch/x86/state.c arch/x86/insn.c arch/x86/exits.c arch/x86/memory.c arch/x86/ioapic.c */
/* tests: arch/x86/efi_refusal.c core/main.c core/partition.c core/fault.c core/vuart_16550.c ../tests/unit/pc.c */
#include "pc.h"

#include <arch/x86/board.h>
#include <arch/x86/boot.h>
#include <arch/x86/init.h>
#include <hv/board_check.h>
#include <hv/console.h>
#include <hv/efi.h>
#include <hv/main.h>

#define MTRR_DEFAULT  0x2ffu

/* What head.S has for other cores, with the place for the root of the hypervisor's tables. */
extern const uint8_t trampoline[], trampoline_end[], trampoline_cr3[];
__asm__(".pushsection .rodata.trampoline, \"a\"\n"
        ".globl trampoline, trampoline_end, trampoline_cr3\n"
        ".balign 4\n"
        "trampoline: .byte 0xfa, 0xfc, 0x8c, 0xc8\n"
        "trampoline_cr3: .long 0\n"
        ".byte 1, 2, 3\n"
        "trampoline_end:\n"
        ".popsection\n");

uint32_t board_entry;

static const char *order[8];
static uint32_t order_count, input_on;
static const void *checked_info;
static uint64_t checked_id;
static _Alignas(4096) uint8_t low_page[4096];
static const uint8_t information[16];

static void note(const char *step)
{
    assert_true(order_count < ARRAY_COUNT(order));
    order[order_count++] = step;
}

void console_init(void) { note("console"); }
void console_share(void) { note("share"); }
void console_input_on(void) { input_on++; }
void board_check_tables(void) { note("tables"); }

void board_check_devicetree(const void *info, uint64_t id)
{
    checked_info = info;
    checked_id = id;
    note("board");
}

static int setup(void **state)
{
    (void)state;
    pc_reset();
    for (uint32_t i = 0; i < CORES; i++) {
        cpu_at(i)->started = 0;
        cpu_at(i)->vcpu.partition->request = REQUEST_NONE;
    }
    memset(low_page, 0xee, sizeof(low_page));
    board.pc.trampoline.raw = (uintptr_t)low_page;
    order_count = input_on = 0;
    return 0;
}

/* ---------------------------------------------------------------- on the boot map */

static void the_console_comes_first(void **state)
{
    (void)state;
    (void)on(2);
    boot_early(BOOT_PVH, information);
    assert_true(order_count == 4 && strcmp(order[0], "console") == 0 && strcmp(order[2], "tables") == 0 &&
                strcmp(order[3], "board") == 0);
    assert_ptr_equal(checked_info, information);
    assert_int_equal(checked_id, 18);
    assert_int_equal(board_entry, BOOT_PVH);
    order_count = 0;
    boot_early(BOOT_MULTIBOOT, information);
    assert_int_equal(board_entry, BOOT_MULTIBOOT);
    order_count = 0;
    boot_early(BOOT_EFI, NULL);          /* the UEFI stub has compared the memory map already */
    assert_int_equal(order_count, 3);
    assert_string_equal(order[2], "tables");
    assert_null(efi_refusal());
}

static void the_page_that_other_cores_start_in(void **state)
{
    static const uint8_t expected[] = { 0xfa, 0xfc, 0x8c, 0xc8, 0x00, 0x40, 0x23, 0x01, 1, 2, 3, 0xee };

    (void)state;
    boot_early(BOOT_PVH, information);
    assert_memory_equal(low_page, expected, sizeof(expected));
}

static void the_wrong_cpu_is_refused(void **state)
{
    (void)state;
    pc_cpuid(0x80000001)->reg[3] &= ~(1u << 26);
    expect_halt(boot_early(BOOT_PVH, information));
    assert_string_equal(said, "this CPU has no 1 GiB pages or no NX, which the layout needs");
    pc_cpuid(0x80000001)->reg[3] |= 1u << 26;
    pc_cpuid(0x80000001)->reg[3] &= ~(1u << 20);
    expect_halt(boot_early(BOOT_PVH, information));
    pc_cpuid(0x80000001)->reg[3] |= 1u << 20;
    pc_forget();
    *pc_msr(0xc0010114) = 1u << 4;
    expect_halt(boot_early(BOOT_PVH, information));
    assert_string_equal(said, "the firmware has switched SVM off on this CPU");
    *pc_msr(0xc0010114) = 0;
    pc_forget();
    order_count = 0;
    board.pa_bits = 41;
    expect_halt(boot_early(BOOT_PVH, information));
    assert_string_equal(said, "this CPU has 40 physical address bits, the layout needs 41");
    board.pa_bits = 40;
    order_count = 0;
    boot_early(BOOT_PVH, information);
    pc_forget();
    pc_cpuid(1)->reg[2] &= ~(1u << 21);
    order_count = 0;
    expect_halt(boot_early(BOOT_PVH, information));
    assert_string_equal(said, "this CPU has no x2APIC, which guests use for themselves");
    assert_int_equal(low_page[11], 0xee);
}

static void another_layout_is_refused(void **state)
{
    (void)state;
    board.magic ^= 1;
    expect_halt(boot_early(BOOT_PVH, information));
    assert_non_null(strstr(said, "the image holds no layout of version 1"));
}

static void what_the_cpu_can_protect(void **state)
{
    (void)state;
    pc_cr4[0] = 1u << 6 | 1u << 7 | 1u << 9 | CR4_PAE;  /* machine checks and global pages: firmware's */
    boot_protect();
    assert_int_equal(pc_cr4[0], CR4_PAE | 1u << 11 | 1u << 20 | 1u << 21);
    assert_int_equal(*pc_msr(MSR_PAT), UINT64_C(0x0007040600070406));
    pc_cpuid(7)->reg[1] &= ~(1u << 20);
    boot_protect();
    assert_int_equal(pc_cr4[0], CR4_PAE | 1u << 11 | 1u << 20);
    *pc_cpuid(7) = (struct cpuid){ { 0 } };
    boot_protect();
    assert_int_equal(pc_cr4[0], CR4_PAE);
    *pc_cpuid(7) = (struct cpuid){ { 0, UINT32_MAX, UINT32_MAX, 0 } };
    pc_cpuid(0)->reg[0] = 6;             /* then leaf 7 is another's answer */
    boot_protect();
    assert_int_equal(pc_cr4[0], CR4_PAE);
}

static void exceptions_of_the_hypervisor(void **state)
{
    static const uint64_t frame[] = { 0x11, 0x22, 0x33 };

    (void)state;
    for (uint64_t vector = 0; vector < 32; vector++) {
        bool error = vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21;
        char text[128];

        pc_forget();
        expect_halt(boot_exception(vector, frame, 0x1234));
        (void)snprintf(text, sizeof(text), "exception %lu in the hypervisor, error 0x%x, pc 0x%x, address 0x1234", vector,
                       error ? 0x11 : 0, error ? 0x22 : 0x11);
        assert_string_equal(said, text);
    }
}

/* ---------------------------------------------------------------- the other cores */

static uint32_t deaf;                    /* a core that does not start; CORES: all do */
static uint32_t started_by[CORES];

static void call_other(struct cpu *cpu, uint64_t core)
{
    (void)cpu;
    boot_other_core((uint32_t)core);
}

/* Has the core been sent INIT and then a start-up message? */
static bool has_been_called(uint32_t core)
{
    uint32_t state = 0;

    for (uint32_t m = 0; m < sent_count; m++) {
        if (sent[m].value >> 32 == board_cpus[core].apic_id) {
            uint32_t mode = sent[m].value >> 8 & 7u;

            state = mode == ICR_INIT ? 1 : mode == ICR_STARTUP && state >= 1 ? 2 : state;
            started_by[core] = mode == ICR_STARTUP ? (uint32_t)sent[m].value & 0xffu : started_by[core];
        }
    }
    return state == 2;
}

/* Those first that only wait for a start-up message of their guest: the others wait for them. */
static void cores_start(void)
{
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < CORES; i++) {
            if ((board_cpus[i].vcpu == 0) == (round == 1) && i != deaf && cpu_at(i)->started == 0 && has_been_called(i)) {
                (void)on(i);
                *pc_msr(MSR_APIC_BASE) = APIC_BASE_PAGE | APIC_BASE_ON;
                (void)comes_back(call_other, on(i), i);
            }
        }
    }
}

static void call_first(struct cpu *cpu, uint64_t core)
{
    (void)cpu;
    boot_first_core((uint32_t)core);
}

static void firmware_mtrrs(void)
{
    *pc_msr(MSR_MTRRCAP) = 0x508;        /* eight pairs */
    for (uint32_t i = 0; i < 16; i++) {
        *pc_msr(0x200 + i) = 0x1000u + i;
    }
    *pc_msr(0x250) = 1;
    *pc_msr(0x258) = 2;
    *pc_msr(0x259) = 3;
    for (uint32_t i = 0; i < 8; i++) {
        *pc_msr(0x268 + i) = 4 + i;
    }
    *pc_msr(MTRR_DEFAULT) = 0xc06;
}

static void all_cores_start(void **state)
{
    (void)state;
    (void)on(0);
    firmware_mtrrs();
    deaf = CORES;
    pc_meanwhile = cores_start;
    board.pc.trampoline.raw = 0x8000;
    pc_lines[2 * UART_LINE] = 0x30;
    (void)comes_back(call_first, on(0), 0);
    pc_meanwhile = NULL;
    for (uint32_t i = 0; i < CORES; i++) {
        assert_int_equal(cpu_at(i)->started, 1);
        assert_int_equal(cpu_at(i)->vcpu.cpu, i);
        assert_ptr_equal(cpu_at(i)->apic_ids, cpu_at(i)->vcpu.config->pc.apic_ids);
        assert_int_equal(cpu_at(i)->apic_base, 0xfee00c00 | (cpu_at(i)->vcpu.index == 0 ? 0x100 : 0));
        (void)on(i);
        assert_int_equal(*pc_msr(MSR_APIC_BASE) & 0xc00, 0xc00);
        assert_int_equal(*pc_msr(MSR_EFER), EFER_SVME);
        for (uint32_t m = 0; m < 16; m++) {
            assert_int_equal(*pc_msr(0x200 + m), 0x1000u + m);
        }
        for (uint32_t m = 0; m < 8; m++) {
            assert_int_equal(*pc_msr(0x268 + m), 4 + m);
        }
        assert_true(*pc_msr(0x250) == 1 && *pc_msr(0x258) == 2 && *pc_msr(0x259) == 3);
        assert_int_equal(*pc_msr(MTRR_DEFAULT), 0xc06);
        assert_int_equal(started_by[i], i == 0 ? 0 : 8);
    }
    assert_int_equal(input_on, 1);
    assert_non_null(strstr(said, "image\n"));
    assert_int_equal(port_writes[0].port, 0x21);
    assert_int_equal(port_writes[0].value, 0xff);
    assert_int_equal(port_writes[1].port, 0xa1);
    assert_int_equal(pc_lines[2 * UART_LINE], 0x400);    /* the hypervisor's lines: NMIs of the console's core */
    assert_int_equal(pc_lines[2 * PIT_LINE], 0x400);
    assert_int_equal(pc_lines[2 * 9], 1u << 16);
}

/* Firmware has left the 8254 ticking. */
static void the_alarm_is_off_at_first(void **state)
{
    (void)state;
    deaf = CORES;
    pc_meanwhile = cores_start;
    (void)comes_back(call_first, on(0), 0);
    pc_meanwhile = NULL;
    assert_non_null(port_wrote(0x43));
    assert_int_equal(port_wrote(0x43)->value, 0x30);
    assert_null(port_wrote(0x40));
}

static void lines_that_there_are_not(void **state)
{
    (void)state;
    board.pc.pit_line = LAYOUT_NO_LINE;
    deaf = CORES;
    pc_meanwhile = cores_start;
    (void)comes_back(call_first, on(0), 0);
    pc_meanwhile = NULL;
    assert_int_equal(pc_lines[2 * PIT_LINE], 1u << 16);
    assert_null(port_wrote(0x43));
    (void)setup(NULL);
    board.console_irq = 0;
    pc_meanwhile = cores_start;
    (void)comes_back(call_first, on(0), 0);
    pc_meanwhile = NULL;
    assert_int_equal(pc_lines[2 * UART_LINE], 1u << 16);
    assert_int_equal(input_on, 0);
}

static void a_core_that_does_not_start_is_named(void **state)
{
    uint64_t before = pc_tsc;

    (void)state;
    deaf = 5;
    pc_tsc_step = 20000;
    pc_meanwhile = cores_start;
    expect_halt(boot_first_core(0));
    pc_meanwhile = NULL;
    assert_non_null(strstr(said, "this is not the board of the layout: the core with APIC ID 0x12c, which spare needs, "
                                 "has not started within 1 s"));
    assert_in_range(pc_tsc - before, 1000000000, 1100000000);
}

static void one_core_alone(void **state)
{
    (void)state;
    board.cpu_count = 1;
    board_partitions[LINUX].vcpu_count = 1;
    board.partition_count = 1;
    pc_forget();
    assert_true(comes_back(call_first, on(0), 0));
    for (uint32_t i = 0; i < sent_count; i++) {
        assert_int_equal(sent[i].value >> 8 & 7u, ICR_NMI);
    }
}

/* The firmware came up on a core that the layout does not use. */
static void a_first_core_without_a_vcpu(void **state)
{
    (void)state;
    deaf = CORES;
    pc_meanwhile = cores_start;
    core_now = 0;
    expect_halt(boot_first_core(CORES));
    pc_meanwhile = NULL;
    assert_true(did("cli; hlt"));
    for (uint32_t i = 0; i < CORES; i++) {
        assert_int_equal(cpu_at(i)->started, 1);
    }
}

static void more_memory_types_than_there_is_room_for(void **state)
{
    (void)state;
    firmware_mtrrs();
    *pc_msr(MSR_MTRRCAP) = 0x5ff;
    deaf = CORES;
    pc_meanwhile = cores_start;
    (void)comes_back(call_first, on(0), 0);
    pc_meanwhile = NULL;
    assert_int_equal(cpu_at(5)->started, 1);
}

/* A core of another kind among them. */
static void every_core_is_looked_at(void **state)
{
    (void)state;
    board.pa_bits = 48;
    (void)on(1);
    expect_halt(boot_other_core(1));
    assert_non_null(strstr(said, "physical address bits"));
    assert_int_equal(cpu_at(1)->started, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_console_comes_first, setup),
        cmocka_unit_test_setup(the_page_that_other_cores_start_in, setup),
        cmocka_unit_test_setup(the_wrong_cpu_is_refused, setup),
        cmocka_unit_test_setup(another_layout_is_refused, setup),
        cmocka_unit_test_setup(what_the_cpu_can_protect, setup),
        cmocka_unit_test_setup(exceptions_of_the_hypervisor, setup),
        cmocka_unit_test_setup(all_cores_start, setup),
        cmocka_unit_test_setup(the_alarm_is_off_at_first, setup),
        cmocka_unit_test_setup(lines_that_there_are_not, setup),
        cmocka_unit_test_setup(a_core_that_does_not_start_is_named, setup),
        cmocka_unit_test_setup(one_core_alone, setup),
        cmocka_unit_test_setup(a_first_core_without_a_vcpu, setup),
        cmocka_unit_test_setup(more_memory_types_than_there_is_room_for, setup),
        cmocka_unit_test_setup(every_core_is_looked_at, setup),
    };

    return cmocka_run_group_tests_name("x86_boot", tests, NULL, NULL);
}
