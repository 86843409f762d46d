/* SPDX-License-Identifier: Apache-2.0 */
/* tests: core/board_check.c core/table_check.c core/console.c core/print.c core/vuart.c ../tests/unit/fake.c */
#include "fake.h"

#include <hv/board_check.h>

#include <stdlib.h>

/* A devicetree under construction, as the Devicetree Specification 5 lays it down. */
static uint8_t block[8192], strings[512];
static uint32_t block_size, strings_size;
static _Alignas(8) uint8_t blob[16384];
static uint32_t blob_size;

static void put32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

static void word(uint32_t value)
{
    put32(block + block_size, value);
    block_size += 4;
}

static void node(const char *name)
{
    word(1);
    memset(block + block_size, 0, 64);
    memcpy(block + block_size, name, strlen(name));
    block_size += ((uint32_t)strlen(name) + 4u) & ~3u;
}

static void end(void)
{
    word(2);
}

static uint32_t string(const char *name)
{
    uint32_t at = strings_size;

    memcpy(strings + at, name, strlen(name) + 1);
    strings_size += (uint32_t)strlen(name) + 1u;
    return at;
}

static void property(const char *name, uint32_t count, const uint32_t *cells)
{
    word(3);
    word(4 * count);
    word(string(name));
    for (uint32_t i = 0; i < count; i++) {
        word(cells[i]);
    }
}

#define PROPERTY(name, ...) do {                                                       \
        const uint32_t cells[] = { __VA_ARGS__ };                                       \
        property(name, (uint32_t)ARRAY_COUNT(cells), cells);                            \
    } while (0)

static void finish(void)
{
    uint32_t at = 40 + 16;

    word(9);
    memset(blob, 0, sizeof(blob));
    memcpy(blob + at, block, block_size);
    memcpy(blob + at + block_size, strings, strings_size);
    blob_size = at + block_size + strings_size;
    put32(blob, 0xd00dfeed);
    put32(blob + 4, blob_size);
    put32(blob + 8, at);
    put32(blob + 12, at + block_size);
    put32(blob + 16, 40);
    put32(blob + 20, 17);
    put32(blob + 24, 16);
    put32(blob + 32, strings_size);
    put32(blob + 36, block_size);
}

/* The board of the fake layout; what differs is given. */
static void board(uint32_t memory_size, uint32_t last_cpu)
{
    static const uint32_t mpidrs[] = { 0, 1, 0x100 };

    block_size = strings_size = 0;
    node("");
    PROPERTY("#address-cells", 2);
    PROPERTY("#size-cells", 2);
    node("chosen");
    PROPERTY("reg", 0, 0, 0, 1);
    end();
    node("memory@40000000");
    PROPERTY("reg", 0, 0x40000000, 0, memory_size);
    end();
    node("cpus");
    PROPERTY("#address-cells", 1);
    PROPERTY("#size-cells", 0);
    for (uint32_t i = 0; i < ARRAY_COUNT(mpidrs); i++) {
        node(i == 0 ? "cpu@0" : i == 1 ? "cpu@1" : "cpu@100");
        PROPERTY("reg", mpidrs[i]);
        end();
    }
    node("cpu@101");
    PROPERTY("reg", last_cpu);
    end();
    end();
    end();
    finish();
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

static void the_right_board_is_accepted(void **state)
{
    (void)state;
    board(0x40000000, 0x101);
    board_check_devicetree(blob, 0);
    assert_string_equal(fake_out, "");
}

static void too_little_memory_names_its_owner(void **state)
{
    (void)state;
    board(0x21800000, 0x101);
    expect_panic(board_check_devicetree(blob, 0));
    assert_non_null(strstr(fake_out, "linux needs RAM at 0x70000000, 4 KiB"));
}

static void no_memory_for_the_hypervisor(void **state)
{
    (void)state;
    board(0x100000, 0x101);
    expect_panic(board_check_devicetree(blob, 0));
    assert_non_null(strstr(fake_out, "the hypervisor needs RAM at 0x40200000"));
}

static void a_missing_core_names_the_partition(void **state)
{
    (void)state;
    board(0x40000000, 0x102);
    expect_panic(board_check_devicetree(blob, 0));
    assert_non_null(strstr(fake_out, "mute needs the core with MPIDR 0x101"));
}

static void no_devicetree(void **state)
{
    (void)state;
    expect_panic(board_check_devicetree(NULL, 0));
    assert_non_null(strstr(fake_out, "no devicetree at 0x0"));
    board(0x40000000, 0x101);
    blob[0] = 0;
    expect_panic(board_check_devicetree(blob, 0));
    expect_panic(board_check_devicetree(blob + 4, 0));
}

static void sizes_out_of_bounds_are_malformed(void **state)
{
    static const uint32_t fields[] = { 4, 8, 12, 32, 36 };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(fields); i++) {
        fake_reset();
        board(0x40000000, 0x101);
        put32(blob + fields[i], 0xfffffff0);
        expect_panic(board_check_devicetree(blob, 0));
    }
}

/* True: accepted. False: refused in words. */
static bool accepts(const uint8_t *tree)
{
    if (setjmp(fake_halt) != 0) {
        assert_non_null(strstr(fake_out, "PANIC: "));
        return false;
    }
    board_check_devicetree(tree, 0);
    return true;
}

/* Whatever stands in the blob: accepted or refused in words, nothing is read outside (the sanitizer watches). */
static void damaged_trees_do_no_harm(void **state)
{
    uint32_t seed = 12345, accepted = 0;

    (void)state;
    for (uint32_t run = 0; run < 20000; run++) {
        uint8_t *copy;

        fake_reset();
        board(0x40000000, 0x101);
        for (uint32_t i = 0; i < 1 + run % 4; i++) {
            seed = seed * 1664525u + 1013904223u;
            blob[8 + (seed >> 8) % (blob_size - 8)] = (uint8_t)(seed >> 24);
        }
        copy = aligned_alloc(8, (blob_size + 7u) & ~7u);
        assert_non_null(copy);
        memcpy(copy, blob, blob_size);
        put32(copy + 4, blob_size);
        accepted += accepts(copy);
        free(copy);
    }
    assert_in_range(accepted, 1, 19999);
}

static void a_changed_table_is_found(void **state)
{
    (void)state;
    board_check_tables();
    fake_sum_differs = true;
    expect_panic(board_check_tables());
    assert_non_null(strstr(fake_out, "checksum differs"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_right_board_is_accepted, setup),
        cmocka_unit_test_setup(too_little_memory_names_its_owner, setup),
        cmocka_unit_test_setup(no_memory_for_the_hypervisor, setup),
        cmocka_unit_test_setup(a_missing_core_names_the_partition, setup),
        cmocka_unit_test_setup(no_devicetree, setup),
        cmocka_unit_test_setup(sizes_out_of_bounds_are_malformed, setup),
        cmocka_unit_test_setup(damaged_trees_do_no_harm, setup),
        cmocka_unit_test_setup(a_changed_table_is_found, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
