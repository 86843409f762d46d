/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/x86/board.c arch/x86/svm/svm.c arch/x86/core.c arch/x86/apic.c arch/x86/icr.c arch/x86/clock.c */
/* tests: arch/x86/access.c arch/x86/msr.c arch/x86/state.c arch/x86/insn.c arch/x86/exits.c arch/x86/memory.c arch/x86/ioapic.c */
/* tests: core/partition.c core/fault.c core/vuart_16550.c ../tests/unit/pc.c */
/*
 * The boot loader's memory map: hvm_start_info of PVH, and the multiboot2 information, where each test puts one
 * together byte by byte at the end of a block of memory, so that reading behind it is seen.
 */
#include "pc.h"

#include <stdlib.h>

#include <arch/x86/board.h>
#include <arch/x86/boot.h>
#include <hv/board_check.h>

#define PVH_MAGIC  0x336ec578u
#define RAM        1u
#define RESERVED   2u
#define MIB        UINT64_C(0x100000)

struct entry { uint64_t base, size; uint32_t type; };

static struct layout_memory memory[2];
static uint8_t *info, *map_bytes;

static int setup(void **state)
{
    (void)state;
    pc_reset();
    board.pc.trampoline.raw = 0x8000;
    board.hv_base.raw = 16 * MIB;
    board.hv_size = 2 * MIB;
    memory[0] = (struct layout_memory){ { 0 }, { 32 * MIB }, 64 * MIB };
    memory[1] = (struct layout_memory){ { HIGH_RAM }, { HIGH_RAM }, 1024 * MIB };
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        board_partitions[i].memory = memory;
        board_partitions[i].memory_count = i == LINUX ? 2 : 1;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(info);
    free(map_bytes);
    info = map_bytes = NULL;
    return 0;
}

static void put(uint8_t *at, uint64_t value, uint32_t size)
{
    memcpy(at, &value, size);
}

static void put_entry(uint8_t *at, const struct entry *entry)
{
    put(at, entry->base, 8);
    put(at + 8, entry->size, 8);
    put(at + 16, entry->type, 4);
    put(at + 20, 0, 4);
}

/* Xen public/arch-x86/hvm/start_info.h */
static void pvh(const struct entry *entries, uint32_t count)
{
    (void)teardown(NULL);
    info = malloc(56);
    map_bytes = malloc(count * 24 + (count == 0));
    assert_true(info != NULL && map_bytes != NULL);
    memset(info, 0, 56);
    put(info, PVH_MAGIC, 4);
    put(info + 4, 1, 4);
    put(info + 40, (uintptr_t)map_bytes, 8);
    put(info + 48, count, 4);
    for (uint32_t i = 0; i < count; i++) {
        put_entry(map_bytes + 24 * i, &entries[i]);
    }
    board_entry = BOOT_PVH;
}

/* Multiboot2 3.6: an odd tag, the map, the end. */
static void multiboot(const struct entry *entries, uint32_t count, uint32_t stride)
{
    uint32_t map_size = 16 + count * stride, total = 8 + 16 + ((map_size + 7) & ~7u) + 8;

    (void)teardown(NULL);
    info = malloc(total);
    assert_non_null(info);
    memset(info, 0xee, total);
    put(info, total, 4);
    put(info + 8, 1, 4);                /* command line, 11 bytes: the next tag stands 8-aligned */
    put(info + 12, 11, 4);
    put(info + 24, 6, 4);
    put(info + 28, map_size, 4);
    put(info + 32, stride, 4);
    put(info + 36, 0, 4);
    for (uint32_t i = 0; i < count; i++) {
        put_entry(info + 40 + stride * i, &entries[i]);
    }
    put(info + total - 8, 0, 4);
    put(info + total - 4, 8, 4);
    board_entry = BOOT_MULTIBOOT;
}

static void accepted(const struct entry *entries, uint32_t count)
{
    pvh(entries, count);
    board_check_devicetree(info, 0);
    multiboot(entries, count, 24);
    board_check_devicetree(info, 0);
    multiboot(entries, count, 40);      /* versions may add fields */
    board_check_devicetree(info, 0);
    assert_string_equal(said, "");
}

static void refused(const struct entry *entries, uint32_t count, const char *words)
{
    pvh(entries, count);
    expect_halt(board_check_devicetree(info, 0));
    assert_non_null(strstr(said, words));
    pc_forget();
    multiboot(entries, count, 24);
    expect_halt(board_check_devicetree(info, 0));
    assert_non_null(strstr(said, words));
    pc_forget();
}

static void a_pc(void **state)
{
    static const struct entry map[] = {
        { 0, 0x9fc00, RAM }, { 0x9fc00, 0x400, RESERVED }, { 0xf0000, 0x10000, RESERVED },
        { MIB, 2047 * MIB, RAM }, { 0xfec00000, 0x1000, RESERVED }, { HIGH_RAM, 4096 * MIB, RAM } };

    (void)state;
    accepted(map, ARRAY_COUNT(map));
}

static void ram_in_pieces_in_any_order(void **state)
{
    static const struct entry map[] = {
        { 40 * MIB, 160 * MIB, RAM }, { HIGH_RAM + 512 * MIB, 512 * MIB, RAM }, { MIB, 16 * MIB, RAM },
        { HIGH_RAM, 512 * MIB, RAM }, { 17 * MIB, 23 * MIB, RAM }, { 0, 0xa0000, RAM }, { 0x50, 0, RAM } };

    (void)state;
    accepted(map, ARRAY_COUNT(map));
}

static void pieces_that_overlap(void **state)
{
    static const struct entry map[] = {
        { 0, 0xa0000, RAM }, { MIB, 40 * MIB, RAM }, { 2 * MIB, 20 * MIB, RAM }, { 30 * MIB, 1000 * MIB, RAM },
        { HIGH_RAM, 1024 * MIB, RAM } };

    (void)state;
    accepted(map, ARRAY_COUNT(map));
}

static void what_is_missing_is_named(void **state)
{
    static const struct entry no_hv[] = { { 0, 0xa0000, RAM }, { MIB, 16 * MIB, RAM }, { HIGH_RAM, 1024 * MIB, RAM } };
    static const struct entry no_start[] = { { 0, 0x8fff, RAM }, { MIB, 4095 * MIB, RAM }, { HIGH_RAM, 1024 * MIB, RAM } };
    static const struct entry hole[] = { { 0, 0xa0000, RAM }, { MIB, 50 * MIB, RAM },
                                         { 51 * MIB + 0x1000, 4000 * MIB, RAM }, { HIGH_RAM, 1024 * MIB, RAM } };
    static const struct entry reserved[] = { { 0, 0xa0000, RAM }, { MIB, 4095 * MIB, RAM },
                                             { HIGH_RAM, 1024 * MIB, RESERVED } };
    static const struct entry little[] = { { 0, 0xa0000, RAM }, { MIB, 4095 * MIB, RAM },
                                           { HIGH_RAM, 1024 * MIB - 1, RAM } };

    (void)state;
    refused(no_hv, 3, "this is not the board of the layout: the hypervisor needs RAM at 0x1000000, 2048 KiB, which the "
                      "boot loader's memory map does not have from 0x1100000 on");
    refused(no_start, 3, "the start of other cores needs RAM at 0x8000, 4 KiB, which the boot loader's memory map does "
                         "not have from 0x8fff on");
    refused(hole, 4, "linux needs RAM at 0x2000000, 65536 KiB, which the boot loader's memory map does not have from "
                     "0x3300000 on");
    refused(reserved, 3, "linux needs RAM at 0x100000000, 1048576 KiB, which the boot loader's memory map does not have "
                         "from 0x100000000 on");
    refused(little, 3, "does not have from 0x13fffffff on");
}

static void entries_that_reach_round(void **state)
{
    static const struct entry all[] = { { 0, UINT64_MAX, RAM } };
    static const struct entry wraps[] = { { 0, 0xa0000, RAM }, { UINT64_MAX - MIB, UINT64_MAX, RAM } };
    static const struct entry high[] = { { 0, 0xa0000, RAM }, { UINT64_MAX - MIB, 4 * MIB, RAM }, { 12 * MIB, 1, RAM } };

    (void)state;
    accepted(all, 1);
    pvh(wraps, 2);
    board_check_devicetree(info, 0);    /* its boot loader says that everything below the end is RAM */
    refused(high, 3, "the hypervisor needs RAM");
}

static void no_map(void **state)
{
    static struct entry many[300];

    (void)state;
    refused(NULL, 0, "the boot loader gives no memory map");
    for (uint32_t i = 0; i < 300; i++) {
        many[i] = (struct entry){ i * MIB, MIB, RAM };
    }
    refused(many, 300, "the boot loader gives no memory map");
    refused(many, 257, "the boot loader gives no memory map");
    refused(many, 256, "linux needs RAM at 0x100000000");
}

static void another_kind_of_boot(void **state)
{
    static const struct entry map[] = { { 0, UINT64_MAX, RAM } };

    (void)state;
    pvh(map, 1);
    put(info, 0x2badb002, 4);
    expect_halt(board_check_devicetree(info, 0));
    assert_string_equal(said, "entered neither by PVH (version 1) nor by multiboot2");
    pvh(map, 1);
    put(info + 4, 0, 4);
    pc_forget();
    expect_halt(board_check_devicetree(info, 0));
    assert_string_equal(said, "entered neither by PVH (version 1) nor by multiboot2");
    pvh(map, 1);
    put(info + 4, 7, 4);                /* versions add fields */
    board_check_devicetree(info, 0);
}

/* Whatever stands in a word of the multiboot2 information: a decision, in the memory that it says it has. */
static void hostile_multiboot_information(void **state)
{
    static const struct entry map[] = { { 0, 0xa0000, RAM }, { MIB, 4095 * MIB, RAM }, { HIGH_RAM, 1024 * MIB, RAM } };
    static const uint32_t values[] = { 0, 1, 6, 7, 8, 9, 15, 16, 17, 23, 24, 25, 0x60, 0xff, 0x1000, 0x7fffffff,
                                       0x80000000, 0xfffffff0, 0xfffffff8, 0xfffffff9, 0xffffffff };
    uint32_t accepted_count = 0;

    (void)state;
    for (uint32_t word = 0; word < 40; word += 4) {
        for (uint32_t i = 0; i < ARRAY_COUNT(values); i++) {
            uint32_t total;

            multiboot(map, ARRAY_COUNT(map), 24);
            memcpy(&total, info, 4);
            if (word == 0 && values[i] > total) {
                continue;               /* how much memory there is can only be believed */
            }
            put(info + word, values[i], 4);
            pc_forget();
            pc_halt_armed = true;
            if (setjmp(pc_halt) == 0) {
                board_check_devicetree(info, 0);
                accepted_count++;
            } else {
                assert_non_null(strstr(said, "memory map"));
            }
            pc_halt_armed = false;
        }
    }
    assert_true(accepted_count > 0);
    multiboot(map, ARRAY_COUNT(map), 24);
    put(info + 32, 8, 4);               /* entries that are too short to be any */
    expect_halt(board_check_devicetree(info, 0));
}

/* Words that are broken in several places at once. */
static void random_multiboot_information(void **state)
{
    static const struct entry map[] = { { 0, 0xa0000, RAM }, { MIB, 4095 * MIB, RAM }, { HIGH_RAM, 1024 * MIB, RAM } };
    uint64_t seed = 1;

    (void)state;
    for (uint32_t round = 0; round < 20000; round++) {
        uint32_t total;

        multiboot(map, ARRAY_COUNT(map), 24);
        memcpy(&total, info, 4);
        for (uint32_t i = 0; i < 3; i++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
            put(info + 4 + seed / 256 % (total - 8), seed >> 40, (seed >> 33 & 1u) != 0 ? 1 : 4);
        }
        pc_forget();
        pc_halt_armed = true;
        if (setjmp(pc_halt) == 0) {
            board_check_devicetree(info, 0);
        }
        pc_halt_armed = false;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_pc, setup, teardown),
        cmocka_unit_test_setup_teardown(ram_in_pieces_in_any_order, setup, teardown),
        cmocka_unit_test_setup_teardown(pieces_that_overlap, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_missing_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(entries_that_reach_round, setup, teardown),
        cmocka_unit_test_setup_teardown(no_map, setup, teardown),
        cmocka_unit_test_setup_teardown(another_kind_of_boot, setup, teardown),
        cmocka_unit_test_setup_teardown(hostile_multiboot_information, setup, teardown),
        cmocka_unit_test_setup_teardown(random_multiboot_information, setup, teardown),
    };

    return cmocka_run_group_tests_name("x86_board", tests, NULL, NULL);
}
