/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/x86/ioapic.c arch/x86/svm/svm.c arch/x86/core.c arch/x86/apic.c arch/x86/icr.c arch/x86/clock.c */
/* tests: arch/x86/access.c arch/x86/msr.c arch/x86/state.c arch/x86/insn.c arch/x86/exits.c arch/x86/memory.c */
/* tests: core/partition.c core/fault.c core/vuart_16550.c ../tests/unit/pc.c */
#include "pc.h"

#define MASKED   (1u << 16)
#define LEVEL    (1u << 15)
#define LOW      (1u << 13)
#define LOGICAL  (1u << 11)
#define OWN      9u
#define OTHER    10u

static int setup(void **state)
{
    (void)state;
    pc_boot();
    return 0;
}

static uint32_t read_as(uint32_t partition, uint32_t reg)
{
    ioapic_write(&board_partitions[partition], 0, reg);
    assert_int_equal(ioapic_read(&board_partitions[partition], 0), reg);
    return ioapic_read(&board_partitions[partition], 0x10);
}

static void write_as(uint32_t partition, uint32_t reg, uint32_t value)
{
    ioapic_write(&board_partitions[partition], 0, reg);
    ioapic_write(&board_partitions[partition], 0x10, value);
}

static uint32_t low(uint32_t line) { return 0x10 + 2 * line; }
static uint32_t high(uint32_t line) { return 0x11 + 2 * line; }

/* As Linux does it: destination first, then the rest. */
static void program(uint32_t partition, uint32_t line, uint32_t destination, uint32_t value)
{
    write_as(partition, high(line), destination << 24);
    write_as(partition, low(line), value);
}

static void assert_line(uint32_t line, uint32_t destination, uint32_t value)
{
    assert_int_equal(pc_lines[2 * line], value);
    if ((value & MASKED) == 0) {
        assert_int_equal(pc_lines[2 * line + 1], destination << 24);
    }
}

static void everything_is_masked_at_first(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < LINES; i++) {
        pc_lines[2 * i] = 0x30;
        pc_lines[2 * i + 1] = 0x01000000;
    }
    ioapic_init();
    for (uint32_t i = 0; i < LINES; i++) {
        assert_line(i, 0, MASKED);
        assert_int_equal(read_as(LINUX, low(i)), MASKED);
    }
}

static void identifies_itself(void **state)
{
    (void)state;
    assert_int_equal(read_as(LINUX, 0), 0);
    assert_int_equal(read_as(LINUX, 1), 0x11 | (LINES - 1) << 16);
    assert_int_equal(read_as(LINUX, 2), 0);
    assert_int_equal(read_as(LINUX, 0x0f), 0);
    assert_int_equal(read_as(LINUX, low(LINES)), 0);
    assert_int_equal(read_as(LINUX, 0xff), 0);
    write_as(LINUX, 0, UINT32_MAX);
    write_as(LINUX, 1, UINT32_MAX);
    write_as(LINUX, 0x0f, UINT32_MAX);
    write_as(LINUX, low(LINES), 0x30);
    write_as(LINUX, high(LINES), 0x30);
    write_as(LINUX, 0xff, UINT32_MAX);
    ioapic_write(&board_partitions[LINUX], 0, 0xffffff01);
    assert_int_equal(ioapic_read(&board_partitions[LINUX], 0), 1);
    for (uint64_t offset = 0; offset < 0x1000; offset++) {  /* the other bytes of the page */
        if (offset != 0 && offset != 0x10) {
            assert_int_equal(ioapic_read(&board_partitions[LINUX], offset), 0);
            ioapic_write(&board_partitions[LINUX], offset, UINT32_MAX);
        }
    }
    assert_int_equal(read_as(LINUX, 1), 0x11 | (LINES - 1) << 16);
    for (uint32_t i = 0; i < LINES; i++) {
        assert_line(i, 0, MASKED);
    }
    assert_string_equal(said, "");
}

static void an_own_line(void **state)
{
    (void)state;
    program(LINUX, OWN, 1, 0x31);
    assert_line(OWN, 1, 0x31);
    program(LINUX, OWN, 18, LEVEL | LOW | 0xfe);
    assert_line(OWN, 18, LEVEL | LOW | 0xfe);
    assert_int_equal(read_as(LINUX, low(OWN)), LEVEL | LOW | 0xfe);
    assert_int_equal(read_as(LINUX, high(OWN)), 18u << 24);
    pc_lines[2 * OWN] |= 1u << 14 | 1u << 12;     /* hardware's own bits: waiting at the core, being delivered */
    assert_int_equal(read_as(LINUX, low(OWN)), LEVEL | LOW | 0xfe | 1u << 14 | 1u << 12);
    write_as(LINUX, low(OWN), LEVEL | LOW | MASKED | 0xfe);
    assert_line(OWN, 18, LEVEL | LOW | MASKED | 0xfe);
    write_as(LINUX, low(OWN), LEVEL | LOW | 0xfe);
    assert_line(OWN, 18, LEVEL | LOW | 0xfe);
    assert_string_equal(said, "");
}

/* The new destination does not count before the low word has been looked at with it. */
static void the_destination_changes_with_the_line_masked(void **state)
{
    (void)state;
    program(LINUX, OWN, 1, 0x31);
    write_as(LINUX, high(OWN), 2u << 24);         /* flight's core */
    assert_true((pc_lines[2 * OWN] & MASKED) != 0);
    write_as(LINUX, low(OWN), 0x31);
    assert_true((pc_lines[2 * OWN] & MASKED) != 0);
    assert_non_null(strstr(said, "linux: line 9 of the I/O APIC stays masked: its destination is not one of the "
                                 "partition's cores\n"));
    program(LINUX, OWN, 0, 0x32);
    assert_line(OWN, 0, 0x32);
}

static void destinations(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < 256; id++) {
        (void)setup(NULL);
        program(LINUX, OWN, id, 0x40);
        assert_line(OWN, id, id == 0 || id == 1 || id == 18 ? 0x40 : MASKED);
        assert_int_equal(said[0] != '\0', id != 0 && id != 1 && id != 18);
    }
    for (uint32_t set = 0; set < 256; set++) {    /* logical: one bit for each of cluster 0's first cores */
        (void)setup(NULL);
        program(LINUX, OWN, set, LOGICAL | 0x40);
        assert_line(OWN, (set & 1u) != 0 ? 0 : 1, (set & 3u) != 0 ? 0x40 : MASKED);
        (void)setup(NULL);
        program(FLIGHT, 11, set, LOGICAL | 0x40);
        assert_line(11, 2, (set & 4u) != 0 ? 0x40 : MASKED);
    }
}

static void delivery_modes(void **state)
{
    (void)state;
    for (uint32_t mode = 0; mode < 8; mode++) {
        (void)setup(NULL);
        program(LINUX, OWN, 1, mode << 8 | 0x45);
        assert_line(OWN, 1, mode <= 1 ? 0x45 : MASKED);  /* lowest priority: of one core */
        assert_int_equal(strstr(said, "delivery mode") != NULL, mode > 1);
        (void)setup(NULL);
        program(LINUX, OWN, 1, MASKED | mode << 8 | 0x45);  /* not while it is masked, either */
        assert_line(OWN, 1, MASKED | 0x45);
        assert_string_equal(said, "");
    }
}

static void vectors_below_16(void **state)
{
    (void)state;
    for (uint32_t vector = 0; vector < 32; vector++) {
        (void)setup(NULL);
        program(LINUX, OWN, 1, vector);
        assert_line(OWN, 1, vector >= 16 ? vector : MASKED);
    }
}

static void only_the_named_bits_reach_the_hardware(void **state)
{
    (void)state;
    for (uint32_t bit = 0; bit < 32; bit++) {
        (void)setup(NULL);
        program(LINUX, OWN, 1, 1u << bit | 0x40);
        assert_int_equal(pc_lines[2 * OWN] & ~(MASKED | LEVEL | LOW | 0xffu), 0);
        write_as(LINUX, high(OWN), 1u << bit);
        assert_int_equal(pc_lines[2 * OWN + 1] & 0x00ffffffu, 0);
    }
}

static void lines_of_others(void **state)
{
    (void)state;
    program(LINUX, OWN, 1, 0x31);
    pc_lines[2 * 11] = 0x66;
    pc_lines[2 * 11 + 1] = 2u << 24;
    for (uint32_t line = 0; line < LINES; line++) {
        if (line != OWN && line != OTHER && line != VUART_LINE) {
            uint32_t before[2] = { pc_lines[2 * line], pc_lines[2 * line + 1] };

            program(LINUX, line, 1, 0x50);
            write_as(LINUX, low(line), 0x400);    /* NMI */
            assert_int_equal(pc_lines[2 * line], before[0]);
            assert_int_equal(pc_lines[2 * line + 1], before[1]);
            assert_int_equal(read_as(LINUX, low(line)), MASKED);
            assert_int_equal(read_as(LINUX, high(line)), 0);
        }
    }
    assert_string_equal(said, "linux: line 0 of the I/O APIC stays masked: it is not the partition's\n");
    assert_int_equal(read_as(FLIGHT, low(11)), 0x66);
    program(FLIGHT, OWN, 2, 0x50);
    assert_line(OWN, 1, 0x31);
}

/* Masking what is not one's own is what every driver does at first: not worth a word. */
static void masking_is_no_offence(void **state)
{
    (void)state;
    for (uint32_t line = 0; line < LINES; line++) {
        program(LINUX, line, 0, MASKED);
        program(SPARE, line, 0, MASKED);
    }
    assert_string_equal(said, "");
}

static void partitions_have_an_index_of_their_own(void **state)
{
    (void)state;
    ioapic_write(&board_partitions[LINUX], 0, low(OWN));
    ioapic_write(&board_partitions[FLIGHT], 0, 1);
    ioapic_write(&board_partitions[LINUX], 0x10, MASKED | 0x77);
    assert_line(OWN, 0, MASKED | 0x77);
    assert_int_equal(ioapic_read(&board_partitions[FLIGHT], 0), 1);
}

static void lines_of_the_hypervisor(void **state)
{
    (void)state;
    ioapic_route(UART_LINE, 19, IOAPIC_NMI);
    assert_line(UART_LINE, 19, 0x400);
    program(LINUX, UART_LINE, 0, 0x41);
    program(FLIGHT, UART_LINE, 2, 0x41);
    assert_line(UART_LINE, 19, 0x400);
}

static void a_restart_masks_the_partitions_lines_only(void **state)
{
    (void)state;
    program(LINUX, OWN, 1, LEVEL | 0x31);
    program(LINUX, OTHER, 1, 0x32);
    program(LINUX, VUART_LINE, 1, 0x33);
    program(FLIGHT, 11, 2, 0x34);
    ioapic_route(UART_LINE, 0, IOAPIC_NMI);
    arch_partition_reset(&board_partitions[LINUX]);
    assert_line(OWN, 0, MASKED);
    assert_line(OTHER, 0, MASKED);
    assert_line(11, 2, 0x34);
    assert_line(UART_LINE, 0, 0x400);
    assert_int_equal(read_as(LINUX, low(VUART_LINE)), MASKED);
    assert_int_equal(ioapic_read(&board_partitions[LINUX], 0), low(VUART_LINE));
    pc_forget();
    arch_irq_line(&board_partitions[LINUX], VUART_LINE, true);
    assert_int_equal(sent_count, 0);
}

/* ---------------------------------------------------------------- the virtual UART's line */

static void line_goes(bool level)
{
    arch_irq_line(&board_partitions[LINUX], VUART_LINE, level);
}

static void assert_sent(uint32_t count, uint32_t target, uint32_t vector)
{
    assert_int_equal(sent_count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(sent[i].value & ~(UINT64_C(1) << 14), (uint64_t)target << 32 | vector);
    }
    pc_forget();
}

static void each_edge_is_one_interrupt(void **state)
{
    (void)state;
    program(LINUX, VUART_LINE, 18, 0x24);
    assert_int_equal(read_as(LINUX, low(VUART_LINE)), 0x24);
    assert_int_equal(read_as(LINUX, high(VUART_LINE)), 18u << 24);
    line_goes(true);
    assert_sent(1, 18, 0x24);
    line_goes(true);
    assert_sent(0, 0, 0);
    line_goes(false);
    assert_sent(0, 0, 0);
    line_goes(true);
    assert_sent(1, 18, 0x24);
    assert_line(VUART_LINE, 0, MASKED);           /* the physical line of that number has no part in it */
}

static void an_edge_under_the_mask_is_not_lost(void **state)
{
    (void)state;
    line_goes(true);
    assert_sent(0, 0, 0);
    program(LINUX, VUART_LINE, 1, 0x24);
    assert_sent(1, 1, 0x24);
    write_as(LINUX, low(VUART_LINE), 0x24);       /* it was open: no second time */
    assert_sent(0, 0, 0);
    write_as(LINUX, low(VUART_LINE), 0x24 | MASKED);
    line_goes(false);
    write_as(LINUX, low(VUART_LINE), 0x24);
    assert_sent(0, 0, 0);
}

/* The other order of the two words, and masks that come first. */
static void any_order_of_programming(void **state)
{
    (void)state;
    write_as(LINUX, low(VUART_LINE), MASKED | 0x24);
    write_as(LINUX, high(VUART_LINE), 1u << 24);
    line_goes(true);
    write_as(LINUX, low(VUART_LINE), 0x24);
    assert_sent(1, 1, 0x24);
}

static void its_destination_stays_in_the_partition(void **state)
{
    (void)state;
    program(LINUX, VUART_LINE, 1, 0x24);
    for (uint32_t id = 0; id < 256; id++) {
        write_as(LINUX, high(VUART_LINE), id << 24);
        line_goes(false);
        line_goes(true);
        assert_int_equal(sent_count, 1);
        assert_true(sent[0].value >> 32 == 0 || sent[0].value >> 32 == 1 || sent[0].value >> 32 == 18);
        pc_forget();
    }
    program(LINUX, VUART_LINE, 2, LOGICAL | 0x24);
    write_as(LINUX, high(VUART_LINE), 2u << 24);
    line_goes(false);
    line_goes(true);
    assert_sent(1, 1, 0x24);
}

/* A message of a vector below 16 is an error of the core that sends it, which may be another partition's. */
static void its_vector_is_one_that_there_is(void **state)
{
    (void)state;
    for (uint32_t vector = 0; vector < 256; vector++) {
        program(LINUX, VUART_LINE, 1, MASKED | vector);
        line_goes(false);
        line_goes(true);
        write_as(LINUX, low(VUART_LINE), vector);
        assert_sent(vector >= 16 ? 1 : 0, 1, vector);
        line_goes(false);
        line_goes(true);
        assert_sent(vector >= 16 ? 1 : 0, 1, vector);
    }
    program(LINUX, VUART_LINE, 1, 0x7ff);         /* whatever mode it asks for, it is a fixed interrupt */
    line_goes(false);
    line_goes(true);
    assert_sent(1, 1, 0xff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(everything_is_masked_at_first, setup),
        cmocka_unit_test_setup(identifies_itself, setup),
        cmocka_unit_test_setup(an_own_line, setup),
        cmocka_unit_test_setup(the_destination_changes_with_the_line_masked, setup),
        cmocka_unit_test_setup(destinations, setup),
        cmocka_unit_test_setup(delivery_modes, setup),
        cmocka_unit_test_setup(vectors_below_16, setup),
        cmocka_unit_test_setup(only_the_named_bits_reach_the_hardware, setup),
        cmocka_unit_test_setup(lines_of_others, setup),
        cmocka_unit_test_setup(masking_is_no_offence, setup),
        cmocka_unit_test_setup(partitions_have_an_index_of_their_own, setup),
        cmocka_unit_test_setup(lines_of_the_hypervisor, setup),
        cmocka_unit_test_setup(a_restart_masks_the_partitions_lines_only, setup),
        cmocka_unit_test_setup(each_edge_is_one_interrupt, setup),
        cmocka_unit_test_setup(an_edge_under_the_mask_is_not_lost, setup),
        cmocka_unit_test_setup(any_order_of_programming, setup),
        cmocka_unit_test_setup(its_destination_stays_in_the_partition, setup),
        cmocka_unit_test_setup(its_vector_is_one_that_there_is, setup),
    };

    return cmocka_run_group_tests_name("x86_ioapic", tests, NULL, NULL);
}
