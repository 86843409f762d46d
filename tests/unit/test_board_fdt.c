/* SPDX-License-Identifier: Apache-2.0 */
/* tests: core/board_check.c core/console.c core/print.c core/vuart.c ../tests/unit/fake.c */
/*
 * Devicetrees as libfdt writes them, whole and damaged. Each damaged one stands in a block of exactly the size
 * that its header states, so that the address sanitizer sees the first byte that is read behind it.
 */
#include "fake.h"

#include <hv/board_check.h>

#include <libfdt.h>
#include <stdlib.h>

#define HEADER  40u
#define SPARE   0x300   /* MPIDR of a core that the layout does not use, from which the check runs */

enum field { MAGIC = 0, TOTAL = 4, STRUCT = 8, STRINGS = 12, RESERVED = 16, VERSION = 20, COMPATIBLE = 24, BOOT_CPU = 28,
             STRINGS_SIZE = 32, STRUCT_SIZE = 36 };

static _Alignas(16) uint8_t tree[16384];   /* as libfdt leaves it: the structure before the strings */
static _Alignas(16) uint8_t turned[16384]; /* the structure at the very end */
static uint32_t tree_size, turned_size;

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

static void ok(int result)
{
    assert_int_equal(result, 0);
}

static void begin(void)
{
    ok(fdt_create(tree, sizeof(tree)));
    ok(fdt_finish_reservemap(tree));
    ok(fdt_begin_node(tree, ""));
}

static void cells(uint32_t address, uint32_t size)
{
    ok(fdt_property_u32(tree, "#address-cells", address));
    ok(fdt_property_u32(tree, "#size-cells", size));
}

static void reg(uint32_t count, const uint32_t *values)
{
    uint8_t bytes[256];

    for (uint32_t i = 0; i < count; i++) {
        put32(bytes + 4 * i, values[i]);
    }
    ok(fdt_property(tree, "reg", bytes, (int)(4 * count)));
}

#define REG(...)                                                       \
    do {                                                               \
        const uint32_t values_[] = { __VA_ARGS__ };                    \
        reg((uint32_t)ARRAY_COUNT(values_), values_);                  \
    } while (0)

static void memory(const char *name, uint32_t base, uint32_t size)
{
    ok(fdt_begin_node(tree, name));
    ok(fdt_property_string(tree, "device_type", "memory"));
    REG(0, base, 0, size);
    ok(fdt_end_node(tree));
}

static void cpus(uint32_t address_cells, const uint32_t *mpidrs, uint32_t count)
{
    ok(fdt_begin_node(tree, "cpus"));
    cells(address_cells, 0);
    for (uint32_t i = 0; i < count; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "cpu@%x", mpidrs[i]);
        ok(fdt_begin_node(tree, name));
        ok(fdt_property_string(tree, "device_type", "cpu"));
        if (address_cells == 2) {
            REG(0, mpidrs[i]);
        } else {
            REG(mpidrs[i]);
        }
        ok(fdt_end_node(tree));
    }
    ok(fdt_end_node(tree));
}

static void finish(void)
{
    uint32_t at, size, strings;

    ok(fdt_end_node(tree));
    ok(fdt_finish(tree));
    tree_size = (uint32_t)fdt_totalsize(tree);
    size = (uint32_t)fdt_size_dt_struct(tree);
    strings = (uint32_t)fdt_size_dt_strings(tree);
    at = (HEADER + 16u + strings + 3u) & ~3u;
    memset(turned, 0, sizeof(turned));
    memcpy(turned, tree, HEADER);
    memcpy(turned + HEADER + 16u, tree + fdt_off_dt_strings(tree), strings);
    memcpy(turned + at, tree + fdt_off_dt_struct(tree), size);
    turned_size = at + size;
    put32(turned + TOTAL, turned_size);
    put32(turned + RESERVED, HEADER);
    put32(turned + STRINGS, HEADER + 16u);
    put32(turned + STRUCT, at);
}

static const uint32_t all_cpus[] = { 0x000, 0x001, 0x100, 0x101 };

/* The board of the fake layout. */
static void whole_board(void)
{
    begin();
    cells(2, 2);
    ok(fdt_property_string(tree, "compatible", "some,board"));
    ok(fdt_begin_node(tree, "chosen"));
    ok(fdt_property_string(tree, "bootargs", "console=ttyAMA0"));
    ok(fdt_end_node(tree));
    memory("memory@40000000", 0x40000000, 0x40000000);
    cpus(1, all_cpus, 4);
    ok(fdt_begin_node(tree, "pl011@9000000"));
    REG(0, 0x9000000, 0, 0x1000);
    ok(fdt_end_node(tree));
    finish();
}

static bool accepts(const uint8_t *blob)
{
    if (setjmp(fake_halt) != 0) {
        assert_non_null(strstr(fake_out, "PANIC: "));
        return false;
    }
    board_check_devicetree(blob, SPARE);
    return true;
}

/* From a block of exactly `size` bytes, or of a header where that is longer. */
static bool accepts_exactly(const uint8_t *blob, uint32_t size)
{
    uint8_t *copy = malloc(size < HEADER ? HEADER : size);
    bool accepted;

    assert_non_null(copy);
    memset(copy, 0, size < HEADER ? HEADER : size);
    memcpy(copy, blob, size < HEADER ? HEADER : size);
    fake_reset();
    accepted = accepts(copy);
    free(copy);
    return accepted;
}

static void refuses(const char *words)
{
    assert_false(accepts_exactly(tree, tree_size));
    if (strstr(fake_out, words) == NULL) {
        fail_msg("'%s' is not in: %s", words, fake_out);
    }
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    whole_board();
    return 0;
}

/* ---------------------------------------------------------------- whole trees */

static void the_board_is_accepted(void **state)
{
    (void)state;
    assert_true(accepts_exactly(tree, tree_size));
    assert_string_equal(fake_out, "");
    assert_true(accepts_exactly(turned, turned_size));
}

static void memory_in_several_nodes_and_ranges(void **state)
{
    (void)state;
    begin();
    cells(2, 2);
    memory("memory@60000000", 0x60000000, 0x2000000);
    ok(fdt_begin_node(tree, "memory"));
    REG(0, 0x40000000, 0, 0x1000000, 0, 0x50000000, 0, 0x10000000, 0, 0x70000000, 0, 0x1000);
    ok(fdt_end_node(tree));
    cpus(2, all_cpus, 4);
    finish();
    assert_true(accepts_exactly(tree, tree_size));
}

static void memory_in_single_cells(void **state)
{
    (void)state;
    begin();
    cells(1, 1);
    ok(fdt_begin_node(tree, "memory@40000000"));
    REG(0x40000000, 0x40000000);
    ok(fdt_end_node(tree));
    cpus(1, all_cpus, 4);
    finish();
    assert_true(accepts_exactly(tree, tree_size));
}

static void the_running_core_needs_no_node(void **state)
{
    (void)state;
    begin();
    cells(2, 2);
    memory("memory@40000000", 0x40000000, 0x40000000);
    cpus(1, all_cpus, 3);
    finish();
    refuses("mute needs the core with MPIDR 0x101");
    board_check_devicetree(tree, 0x101);
}

static void no_memory_node(void **state)
{
    (void)state;
    begin();
    cells(2, 2);
    cpus(1, all_cpus, 4);
    finish();
    refuses("the hypervisor needs RAM at 0x40200000, 1024 KiB");
}

static void no_cpus_node(void **state)
{
    (void)state;
    begin();
    cells(2, 2);
    memory("memory@40000000", 0x40000000, 0x40000000);
    finish();
    refuses("linux needs the core with MPIDR 0x0");
}

static void too_little_by_a_page(void **state)
{
    (void)state;
    begin();
    cells(2, 2);
    memory("memory@40000000", 0x40000000, 0x22000000 - 0x1000);
    memory("memory@70000000", 0x70000000, 0x1000);
    cpus(1, all_cpus, 4);
    finish();
    refuses("mute needs RAM at 0x61000000, 16384 KiB");
}

/* RAM is what a memory node says; a controller's registers, or memory of a deeper node, are none. */
static void what_is_not_ram(void **state)
{
    (void)state;
    begin();
    cells(2, 2);
    memory("memory-controller@40000000", 0x40000000, 0x40000000);
    ok(fdt_begin_node(tree, "soc"));
    memory("memory@40000000", 0x40000000, 0x40000000);
    ok(fdt_end_node(tree));
    cpus(1, all_cpus, 4);
    finish();
    refuses("the hypervisor needs RAM at 0x40200000");
}

static void nodes_below_a_cpu_are_no_cpus(void **state)
{
    (void)state;
    begin();
    cells(2, 2);
    memory("memory@40000000", 0x40000000, 0x40000000);
    ok(fdt_begin_node(tree, "cpus"));
    cells(1, 0);
    ok(fdt_begin_node(tree, "cpu-map"));
    for (uint32_t i = 0; i < 4; i++) {
        ok(fdt_begin_node(tree, "cpu@0"));
        REG(all_cpus[i]);
        ok(fdt_end_node(tree));
    }
    ok(fdt_end_node(tree));
    ok(fdt_end_node(tree));
    finish();
    refuses("linux needs the core with MPIDR 0x0");
}

static void more_ranges_than_there_is_room_for(void **state)
{
    (void)state;
    begin();
    cells(2, 2);
    for (uint32_t i = 0; i < 40; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "memory@%x", 0x1000000 * i);
        memory(name, 0x100000 * i, 0x1000);
    }
    cpus(1, all_cpus, 4);
    finish();
    refuses("needs RAM");
}

/* ---------------------------------------------------------------- damaged trees */

static void every_header_field_out_of_range(void **state)
{
    static const uint32_t fields[] = { TOTAL, STRUCT, STRINGS, STRINGS_SIZE, STRUCT_SIZE };
    static const uint32_t bad[] = { UINT32_MAX, 0x80000000, 0x7fffffff, 0xfffffff8, 0xfffffff0, 0x200004, 0x200000 };

    (void)state;
    for (uint32_t f = 0; f < ARRAY_COUNT(fields); f++) {
        for (uint32_t i = 0; i < ARRAY_COUNT(bad); i++) {
            if (fields[f] == TOTAL && bad[i] <= 0x200000) {
                continue;  /* a block of that size might be there */
            }
            whole_board();
            put32(turned + fields[f], bad[i]);
            assert_false(accepts_exactly(turned, turned_size));
            assert_non_null(strstr(fake_out, "is malformed"));
        }
    }
    for (uint32_t bit = 0; bit < 32; bit++) {
        whole_board();
        put32(tree + MAGIC, 0xd00dfeedu ^ 1u << bit);
        refuses("no devicetree at 0x");
    }
    for (uint32_t misplaced = 1; misplaced < 4; misplaced++) {
        whole_board();
        put32(turned + STRUCT, get32(turned + STRUCT) + misplaced);
        put32(turned + STRUCT_SIZE, get32(turned + STRUCT_SIZE) - misplaced);
        assert_false(accepts_exactly(turned, turned_size));
    }
}

static void every_value_of_every_header_field_is_harmless(void **state)
{
    (void)state;
    for (uint32_t field = 0; field < HEADER; field += 4) {
        for (uint32_t value = 0; value < turned_size + 64; value++) {
            put32(turned + field, value);
            (void)accepts_exactly(turned, field == TOTAL && value > HEADER && value < turned_size ? value : turned_size);
            if (field == TOTAL && value >= turned_size) {
                break;
            }
        }
        whole_board();
    }
}

/* The size of the blob and its parts shrink together: accepted only when all that counts was before the cut. */
static void truncated_at_every_offset(void **state)
{
    uint32_t start = get32(turned + STRUCT), size = get32(turned + STRUCT_SIZE), first = 0;

    (void)state;
    for (uint32_t kept = 0; kept <= size; kept++) {
        bool accepted;

        whole_board();
        put32(turned + TOTAL, start + kept);
        put32(turned + STRUCT_SIZE, kept);
        accepted = accepts_exactly(turned, start + kept);
        first = accepted && first == 0 ? kept : first;
        assert_int_equal(accepted, first != 0);
    }
    /* the last property that counts is cpu@101's reg; behind it three nodes end, one is skipped, the tree ends */
    assert_in_range(first, size - 120, size - 60);
    for (uint32_t kept = 0; kept < tree_size; kept++) {
        whole_board();
        put32(tree + TOTAL, kept);
        assert_false(accepts_exactly(tree, kept));
    }
}

static void every_word_replaced(void **state)
{
    static const uint32_t words[] = { 0, 1, 2, 3, 4, 5, 8, 9, 0xff, 0x1000, 0x7fffffff, 0x80000000, 0xfffffff4, 0xfffffff8,
                                      0xfffffffc, UINT32_MAX };
    uint32_t accepted = 0, start = get32(turned + STRUCT);

    (void)state;
    for (uint32_t at = start; at < turned_size; at += 4) {
        for (uint32_t i = 0; i < ARRAY_COUNT(words); i++) {
            uint32_t before = get32(turned + at);

            put32(turned + at, words[i]);
            accepted += accepts_exactly(turned, turned_size);
            put32(turned + at, before);
            put32(turned + at, 9);  /* the end comes too early, or the words behind it are what is left */
            put32(turned + TOTAL, at + 4);
            put32(turned + STRUCT_SIZE, at + 4 - start);
            put32(turned + at, words[i]);
            accepted += accepts_exactly(turned, at + 4);
            put32(turned + TOTAL, turned_size);
            put32(turned + STRUCT_SIZE, turned_size - start);
            put32(turned + at, before);
        }
    }
    assert_in_range(accepted, 1, 10000);
}

static void random_bytes(void **state)
{
    uint32_t seed = 31337, accepted = 0;

    (void)state;
    for (uint32_t run = 0; run < 60000; run++) {
        uint8_t *blob = run % 2 == 0 ? turned : tree;
        uint32_t size = run % 2 == 0 ? turned_size : tree_size, changes = 1 + run % 5, at[5];
        uint8_t before[5];

        for (uint32_t i = 0; i < changes; i++) {
            seed = seed * 1664525u + 1013904223u;
            at[i] = 8 + (seed >> 10) % (size - 8);
            before[i] = blob[at[i]];
            blob[at[i]] = (uint8_t)(seed >> 2);
        }
        accepted += accepts_exactly(blob, size);
        while (changes-- > 0) {
            blob[at[changes]] = before[changes];
        }
    }
    assert_in_range(accepted, 1000, 59000);
    assert_true(accepts_exactly(turned, turned_size));
}

static void noise_behind_a_header(void **state)
{
    uint32_t seed = 5;

    (void)state;
    for (uint32_t run = 0; run < 20000; run++) {
        uint32_t size = 64 + (run % 300);

        for (uint32_t i = HEADER; i < size; i++) {
            seed = seed * 1664525u + 1013904223u;
            turned[i] = (seed >> 30) != 0 && i % 4 != 3 ? 0 : (uint8_t)(seed >> 16 & (i % 4 == 3 ? 0xfu : 0xffu));
        }
        put32(turned + TOTAL, size);
        put32(turned + STRUCT, HEADER);
        put32(turned + STRUCT_SIZE, size - HEADER);
        put32(turned + STRINGS, HEADER + (seed & 15));
        put32(turned + STRINGS_SIZE, size - HEADER - (seed & 15));
        assert_false(accepts_exactly(turned, size));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_board_is_accepted, setup),
        cmocka_unit_test_setup(memory_in_several_nodes_and_ranges, setup),
        cmocka_unit_test_setup(memory_in_single_cells, setup),
        cmocka_unit_test_setup(the_running_core_needs_no_node, setup),
        cmocka_unit_test_setup(no_memory_node, setup),
        cmocka_unit_test_setup(no_cpus_node, setup),
        cmocka_unit_test_setup(too_little_by_a_page, setup),
        cmocka_unit_test_setup(what_is_not_ram, setup),
        cmocka_unit_test_setup(nodes_below_a_cpu_are_no_cpus, setup),
        cmocka_unit_test_setup(more_ranges_than_there_is_room_for, setup),
        cmocka_unit_test_setup(every_header_field_out_of_range, setup),
        cmocka_unit_test_setup(every_value_of_every_header_field_is_harmless, setup),
        cmocka_unit_test_setup(truncated_at_every_offset, setup),
        cmocka_unit_test_setup(every_word_replaced, setup),
        cmocka_unit_test_setup(random_bytes, setup),
        cmocka_unit_test_setup(noise_behind_a_header, setup),
    };

    return cmocka_run_group_tests_name("board check, devicetrees", tests, NULL, NULL);
}
