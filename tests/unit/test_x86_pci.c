/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI functions: what reaches the hardware, and what guests see. The board has three functions and a host bridge; two of
 * the functions are linux's, one is flight's, and a fourth device is nobody's.
 */
/* tests: arch/x86/pci.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arch/x86/pci.h>
#include <hv/console.h>
#include <hv/layout.h>
#include <hv/partition.h>
#include <hv/types.h>

#include "host_io.h"

#define LINUX   0u
#define FLIGHT  1u
#define NOBODY  2u
#define ONES    UINT32_MAX
#define ENABLE  (1u << 31)
#define MASTER  4u
#define IRQ_OFF 0x400u

void fake_pause(void);

extern struct layout board __asm__("layout");
struct layout board;
static struct layout_partition partitions[3];
static struct layout_function functions[3];

/* A device on the fake bus: 64 words, and which bits of them can be written. */
struct device {
    uint32_t address, word[64], writable[64];
};
static struct device devices[5];
static uint32_t selected, masters, config_writes;
static char said[512];
static jmp_buf halted;

static struct device *device_at(uint32_t address)
{
    for (uint32_t i = 0; i < ARRAY_COUNT(devices); i++) {
        if (devices[i].address == address) {
            return &devices[i];
        }
    }
    return NULL;
}

uint32_t fake_port_read(uint16_t port, uint32_t size)
{
    struct device *device = device_at(selected >> 8 & 0xffffu);

    assert_int_equal(port, 0xcfc);
    assert_int_equal(size, 4);
    return device != NULL ? device->word[selected >> 2 & 63u] : ONES;
}

void fake_port_write(uint16_t port, uint32_t size, uint32_t value)
{
    struct device *device = device_at(selected >> 8 & 0xffffu);
    uint32_t word = selected >> 2 & 63u;

    assert_int_equal(size, 4);
    if (port == 0xcf8) {
        assert_int_equal(value & 0x7f000003u, 0);
        selected = value;
        return;
    }
    assert_int_equal(port, 0xcfc);
    config_writes++;
    masters += word == 1 && (value & MASTER) != 0 ? 1 : 0;
    if (device != NULL) {
        device->word[word] = (device->word[word] & ~device->writable[word]) | (value & device->writable[word]);
    }
}

uint64_t fake_mmio_read(uint64_t address, uint32_t size)
{
    fail_msg("memory at 0x%lx, %u", (unsigned long)address, size);
    return 0;
}

void fake_mmio_write(uint64_t address, uint32_t size, uint64_t value)
{
    fail_msg("memory at 0x%lx, %u, %lu", (unsigned long)address, size, (unsigned long)value);
}

void fake_pause(void)
{
    fail_msg("nobody else has the lock");
}

uint32_t partition_index(const struct layout_partition *config)
{
    return (uint32_t)(config - partitions);
}

void panic(const char *format, ...)
{
    for (const char *at = strchr(format, '%'); at != NULL; at = strchr(at + 1, '%')) {
        assert_true(at[1] == 's' || at[1] == 'u' || strncmp(at, "%lx", 3) == 0);    /* what the console knows */
    }
    (void)snprintf(said, sizeof(said), "%s", format);
    longjmp(halted, 1);
}

/* As firmware leaves them: BARs elsewhere, bus masters. */
static void plug(uint32_t place, uint32_t address, uint32_t id, uint32_t class, uint32_t bar, uint32_t sizes)
{
    struct device *device = &devices[place];

    *device = (struct device){ .address = address };
    device->word[0] = id;
    device->word[1] = 0x02900107u;
    device->word[2] = class << 16 | 1u;
    device->word[3] = 0x08004008u;
    device->word[4] = bar;
    device->word[11] = 0x11223344u;
    device->word[12] = 0xf0000001u;
    device->word[13] = 0x40;
    device->word[15] = 0x010bu;
    device->word[16] = 0xcafe0005u;
    device->writable[1] = 0x0547u;
    device->writable[4] = sizes & ~15u;
    device->writable[12] = 0xffff0001u;
    device->writable[15] = 0xff;
    device->writable[16] = ONES;
}

static int setup(void **state)
{
    (void)state;
    plug(0, 0, 0x29c08086u, 0x0600, 0, 0);
    plug(1, 0x18, 0x11e81234u, 0x00ff, 0xfe000000u, 0xfff00000u);
    plug(2, 0x20, 0x00021b36u, 0x0700, 0xc001u, 0xfff8u);
    plug(3, 0x300, 0x12345678u, 0x0280, 0xc, 0xffff0000u);
    plug(4, 0x28, 0xabcdabcdu, 0x0200, 0xfd000000u, 0xffff0000u);
    devices[2].word[4] = 0xc001u;
    devices[2].writable[4] = 0xfff8u;          /* upper bits of ports may be 0 */
    devices[3].word[4] = 0xcu;                 /* 64 bits, prefetched, 8 GiB */
    devices[3].writable[4] = 0;
    devices[3].writable[5] = 0xfffffffeu;
    functions[0] = (struct layout_function){
        .name = "/pci/edu", .partition = LINUX, .address = 0x18, .id = 0x11e81234u, .command = 2, .interrupt = 0x117,
        .bar = { 0xe0000000u }, .sizes = { 0xfff00000u } };
    functions[1] = (struct layout_function){
        .name = "/pci/serial", .partition = LINUX, .address = 0x20, .id = 0x00021b36u, .command = 1, .interrupt = 0,
        .bar = { 0xe001u }, .sizes = { 0xfffffff9u } };
    functions[2] = (struct layout_function){
        .name = "/pci/wide", .partition = FLIGHT, .address = 0x300, .id = 0x12345678u, .command = 2, .interrupt = 0x214,
        .bar = { 0xcu, 0x10u }, .sizes = { 0xcu, 0xfffffffeu } };
    board = (struct layout){ .partition_count = 3, .partitions = partitions, .pc = { .functions = functions, .function_count = 3 } };
    partitions[LINUX].name = "linux";
    partitions[FLIGHT].name = "flight";
    partitions[NOBODY].name = "nobody";
    pci_init();
    for (uint32_t i = 0; i < 3; i++) {
        pci_reset(&partitions[i]);
    }
    config_writes = masters = 0;
    return 0;
}

static uint32_t in(uint32_t partition, uint16_t port, uint32_t size)
{
    uint32_t value = 0x5a5a5a5au;
    uint32_t mask = size == 4 ? ONES : (1u << 8 * size) - 1u;

    assert_true(pci_in(&partitions[partition], port, size, &value));
    return value & mask;
}

static void out(uint32_t partition, uint16_t port, uint32_t size, uint32_t value)
{
    assert_true(pci_out(&partitions[partition], port, size, value));
}

static uint32_t read_as(uint32_t partition, uint32_t address, uint32_t reg)
{
    out(partition, 0xcf8, 4, ENABLE | address << 8 | reg);
    return in(partition, 0xcfc, 4);
}

static void write_as(uint32_t partition, uint32_t address, uint32_t reg, uint32_t value)
{
    out(partition, 0xcf8, 4, ENABLE | address << 8 | reg);
    out(partition, 0xcfc, 4, value);
}

static void functions_are_set_up(void **state)
{
    (void)state;
    assert_int_equal(device_at(0x18)->word[4], 0xe0000000u);
    assert_int_equal(device_at(0x18)->word[1] & 0xffffu, 0x0002);
    assert_int_equal(device_at(0x18)->word[12] & 1u, 0);
    assert_int_equal(device_at(0x20)->word[4], 0xe001u);
    assert_int_equal(device_at(0x20)->word[1] & 0xffffu, 0x0001);
    assert_int_equal(device_at(0x300)->word[5], 0x10u);
    assert_int_equal(device_at(0x28)->word[1] & 0xffffu, 0x0107);    /* nobody's: left alone */
}

static void a_guest_sees_its_own_functions(void **state)
{
    (void)state;
    assert_int_equal(read_as(LINUX, 0x18, 0), 0x11e81234u);
    assert_int_equal(read_as(LINUX, 0x18, 8), 0x00ff0001u);
    assert_int_equal(read_as(LINUX, 0x18, 0x0c), 0);
    assert_int_equal(read_as(LINUX, 0x18, 0x2c), 0x11223344u);
    assert_int_equal(read_as(LINUX, 0x18, 0x3c), 0x117);
    assert_int_equal(read_as(LINUX, 0x20, 0x3c), 0);
    for (uint32_t address = 1; address < 0x10000; address++) {
        bool own = address == 0x18 || address == 0x20;

        assert_int_equal(read_as(LINUX, address, 0) != ONES, own);
        assert_int_equal(read_as(FLIGHT, address, 0) != ONES, address == 0x300);
    }
}

static void the_host_bridge_is_a_name_only(void **state)
{
    (void)state;
    for (uint32_t reg = 0; reg < 256; reg += 4) {
        uint32_t wanted = reg == 0 ? 0x29c08086u : reg == 8 ? 0x06000001u : 0;

        assert_int_equal(read_as(LINUX, 0, reg), wanted);
        write_as(LINUX, 0, reg, ONES);
    }
    assert_int_equal(config_writes, 0);
}

static void capabilities_and_what_follows_are_hidden(void **state)
{
    (void)state;
    assert_int_equal(read_as(LINUX, 0x18, 4), 0x02800002u);
    assert_int_equal(read_as(LINUX, 0x18, 0x30), 0);
    assert_int_equal(read_as(LINUX, 0x18, 0x34), 0);
    for (uint32_t reg = 0x40; reg < 256; reg += 4) {
        assert_int_equal(read_as(LINUX, 0x18, reg), 0);
    }
}

/* Every register, with every bit: nothing but one bit of one register reaches the hardware. */
static void writes_reach_one_bit(void **state)
{
    struct device before = *device_at(0x18);

    (void)state;
    for (uint32_t reg = 0; reg < 256; reg += 4) {
        for (uint32_t bit = 0; bit < 34; bit++) {
            write_as(LINUX, 0x18, reg, bit == 33 ? ONES : bit == 32 ? 0 : 1u << bit);
        }
        write_as(LINUX, 0x18, reg, 0);
    }
    assert_int_equal(masters, 0);
    assert_int_equal(config_writes, 35);                          /* the command register's */
    assert_memory_equal(&before, device_at(0x18), sizeof(before));
    write_as(LINUX, 0x18, 4, ONES);
    assert_int_equal(device_at(0x18)->word[1] & 0xffffu, IRQ_OFF | 2u);
    write_as(LINUX, 0x20, 4, ONES);
    assert_int_equal(device_at(0x20)->word[1] & 0xffffu, IRQ_OFF | 1u);   /* it has no memory */
    write_as(LINUX, 0x18, 4, 0);
    assert_int_equal(device_at(0x18)->word[1] & 0xffffu, 2);
    assert_int_equal(masters, 0);
}

static void parts_of_a_register_are_written(void **state)
{
    (void)state;
    out(LINUX, 0xcf8, 4, ENABLE | 0x18 << 8 | 4);
    out(LINUX, 0xcfc, 1, 7);
    assert_int_equal(device_at(0x18)->word[1] & 0xffffu, 2);
    out(LINUX, 0xcfd, 1, 4);
    assert_int_equal(device_at(0x18)->word[1] & 0xffffu, IRQ_OFF | 2u);
    assert_int_equal(in(LINUX, 0xcfd, 1), 4);
    assert_int_equal(in(LINUX, 0xcfc, 2), IRQ_OFF | 2u);
    assert_int_equal(in(LINUX, 0xcfe, 2), 0x0280);
    out(LINUX, 0xcfe, 2, 0xffff);
    assert_int_equal(device_at(0x18)->word[1], 0x02900402u);
    assert_int_equal(in(LINUX, 0xcff, 2), 0xffff);                /* across the end */
    assert_int_equal(in(LINUX, 0xcfd, 4), ONES);
    out(LINUX, 0xcfd, 4, 0);
    out(LINUX, 0xcff, 2, 0);
    assert_int_equal(device_at(0x18)->word[1], 0x02900402u);
    assert_int_equal(masters, 0);
}

static void bars_show_their_sizes_and_stay(void **state)
{
    (void)state;
    assert_int_equal(read_as(LINUX, 0x18, 0x10), 0xe0000000u);
    write_as(LINUX, 0x18, 0x10, ONES);
    assert_int_equal(read_as(LINUX, 0x18, 0x10), 0xfff00000u);
    assert_int_equal(read_as(LINUX, 0x18, 0x14), 0);
    write_as(LINUX, 0x18, 0x14, ONES);
    assert_int_equal(read_as(LINUX, 0x18, 0x14), 0);
    write_as(LINUX, 0x18, 0x10, 0xd0000000u);
    assert_int_equal(read_as(LINUX, 0x18, 0x10), 0xe0000000u);
    write_as(FLIGHT, 0x300, 0x10, ONES);
    assert_int_equal(read_as(FLIGHT, 0x300, 0x10), 0xcu);
    write_as(FLIGHT, 0x300, 0x14, ONES);
    assert_int_equal(read_as(FLIGHT, 0x300, 0x14), 0xfffffffeu);
    assert_int_equal(read_as(LINUX, 0x18, 0x10), 0xe0000000u);    /* another's does not matter */
    assert_int_equal(config_writes, 0);
    pci_reset(&partitions[FLIGHT]);
    assert_int_equal(read_as(FLIGHT, 0x300, 0x14), 0x10u);
}

static void addresses_are_each_partitions_own(void **state)
{
    (void)state;
    out(LINUX, 0xcf8, 4, ONES);
    assert_int_equal(in(LINUX, 0xcf8, 4), 0x80fffffcu);
    out(FLIGHT, 0xcf8, 4, ENABLE | 0x300 << 8);
    out(LINUX, 0xcf8, 4, 0x18 << 8);
    assert_int_equal(in(LINUX, 0xcfc, 4), ONES);                  /* not enabled */
    assert_int_equal(in(FLIGHT, 0xcfc, 4), 0x12345678u);
    out(LINUX, 0xcf8, 1, 0xff);
    out(LINUX, 0xcfb, 1, 1);
    out(LINUX, 0xcf8, 2, 0xffff);
    assert_int_equal(in(LINUX, 0xcf8, 4), 0x1800);
    assert_int_equal(in(LINUX, 0xcfb, 1), 0xff);
    pci_reset(&partitions[FLIGHT]);
    assert_int_equal(in(FLIGHT, 0xcf8, 4), 0);
}

static void without_functions_there_is_no_pci(void **state)
{
    uint32_t value;

    (void)state;
    for (uint16_t port = 0xcf8; port < 0xd00; port++) {
        assert_false(pci_in(&partitions[NOBODY], port, 1, &value));
        assert_false(pci_out(&partitions[NOBODY], port, 1, 0));
    }
    assert_false(pci_in(&partitions[LINUX], 0xcf7, 1, &value));
    assert_false(pci_in(&partitions[LINUX], 0xd00, 1, &value));
    assert_false(pci_out(&partitions[LINUX], 0x80, 1, 0));
}

static void a_restart_begins_anew(void **state)
{
    (void)state;
    write_as(LINUX, 0x18, 4, IRQ_OFF);
    write_as(LINUX, 0x20, 4, 0);
    device_at(0x18)->word[4] = 0;
    pci_reset(&partitions[LINUX]);
    functions_are_set_up(state);
}

static void expect_refusal(const char *words)
{
    if (setjmp(halted) == 0) {
        pci_init();
        fail_msg("did not halt");
    }
    assert_non_null(strstr(said, words));
}

static void another_board_is_refused(void **state)
{
    (void)state;
    devices[1].word[0] = 0x11e91234u;
    expect_refusal("has ID");
    (void)setup(state);
    devices[1].address = 0x30;
    expect_refusal("has ID");
    (void)setup(state);
    devices[1].word[3] |= 0x10000u;
    expect_refusal("is a bridge");
    (void)setup(state);
    devices[1].word[3] |= 0x800000u;           /* one of several functions */
    pci_init();
    devices[1].word[4] = 0;
    devices[1].writable[4] = 0xffe00000u;
    expect_refusal("size of BAR");
    (void)setup(state);
    devices[1].writable[6] = 0xfffff000u;      /* a BAR that the layout does not know */
    expect_refusal("size of BAR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(functions_are_set_up, setup),
        cmocka_unit_test_setup(a_guest_sees_its_own_functions, setup),
        cmocka_unit_test_setup(the_host_bridge_is_a_name_only, setup),
        cmocka_unit_test_setup(capabilities_and_what_follows_are_hidden, setup),
        cmocka_unit_test_setup(writes_reach_one_bit, setup),
        cmocka_unit_test_setup(parts_of_a_register_are_written, setup),
        cmocka_unit_test_setup(bars_show_their_sizes_and_stay, setup),
        cmocka_unit_test_setup(addresses_are_each_partitions_own, setup),
        cmocka_unit_test_setup(without_functions_there_is_no_pci, setup),
        cmocka_unit_test_setup(a_restart_begins_anew, setup),
        cmocka_unit_test_setup(another_board_is_refused, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
