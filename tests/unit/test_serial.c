/* SPDX-License-Identifier: Apache-2.0 */
/* tests: drivers/serial/mmio.c */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <hv/layout.h>
#include <hv/serial.h>

#include "host_io.h"

#define BASE  UINT64_C(0x09000000)
#define PORT  0x3f8u

struct layout board __asm__("layout");

static struct { uint32_t offset, value; } writes[64];
static uint32_t write_count, room, reads;
static const char *typed;

/* A port that has room for `room` characters and the keys in `typed`. */
static uint32_t read_register(uint32_t offset)
{
    reads++;
    if (offset == board.uart.tx_status && offset == board.uart.rx_status) {
        return (room != 0 ? board.uart.tx_ready : ~board.uart.tx_ready & board.uart.tx_mask) |
               (*typed != '\0' ? board.uart.rx_ready : ~board.uart.rx_ready & board.uart.rx_mask) |
               (0xffu & ~board.uart.tx_mask & ~board.uart.rx_mask);
    }
    assert_int_equal(offset, board.uart.rx);
    assert_true(*typed != '\0');
    return 0xf00u | (uint8_t)*typed++;  /* PL011: error bits stand above the character */
}

static void write_register(uint32_t offset, uint32_t value)
{
    assert_true(write_count < ARRAY_COUNT(writes));
    writes[write_count].offset = offset;
    writes[write_count++].value = value;
    if (offset == board.uart.tx) {
        assert_true(room > 0);
        room--;
    }
}

uint64_t fake_mmio_read(uint64_t address, uint32_t size)
{
    assert_int_equal(size, board.uart.width);
    return read_register((uint32_t)(address - BASE));
}

void fake_mmio_write(uint64_t address, uint32_t size, uint64_t value)
{
    assert_int_equal(size, board.uart.width == 2 ? 1 : board.uart.width);
    write_register((uint32_t)(address - BASE), (uint32_t)value);
}

uint32_t fake_port_read(uint16_t port, uint32_t size)
{
    assert_true(board.uart.width == 0 && size == 1);
    return read_register(port - PORT);
}

void fake_port_write(uint16_t port, uint32_t size, uint32_t value)
{
    assert_true(board.uart.width == 0 && size == 1);
    write_register(port - PORT, value);
}

static void assert_writes(uint32_t count, const struct layout_reg *expected)
{
    assert_int_equal(write_count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(writes[i].offset, expected[i].offset);
        assert_int_equal(writes[i].value, expected[i].value);
    }
}

static int setup(void **state)
{
    (void)state;
    memset(&board, 0, sizeof(board));
    board.uart = (struct layout_uart){
        .base = { BASE }, .width = 4, .intid = 33, .tx = 0, .tx_status = 0x18, .tx_mask = 1u << 5, .tx_ready = 0,
        .rx = 0, .rx_status = 0x18, .rx_mask = 1u << 4, .rx_ready = 0,
        .init_count = 2, .init = { { 0x30, 0x301 }, { 0x2c, 0x70 } },
        .rx_on_count = 1, .rx_on = { { 0x38, 0x50 } }, .rx_ack_used = 1, .rx_ack = { 0x44, 0x7ff } };
    write_count = reads = 0;
    room = 16;
    typed = "";
    return 0;
}

static void sends_while_there_is_room(void **state)
{
    (void)state;
    room = 3;
    assert_int_equal(serial_write((const uint8_t *)"abcdef", 6), 3);
    assert_writes(3, (const struct layout_reg[]){ { 0, 'a' }, { 0, 'b' }, { 0, 'c' } });
    room = 16;
    assert_int_equal(serial_write((const uint8_t *)"def", 3), 3);
    assert_int_equal(write_count, 6);
    assert_int_equal(serial_write((const uint8_t *)"", 0), 0);
}

static void receives_what_has_come(void **state)
{
    (void)state;
    assert_int_equal(serial_get(), -1);
    typed = "k\xff";
    assert_int_equal(serial_get(), 'k');
    assert_int_equal(serial_get(), 0xff);
    assert_int_equal(serial_get(), -1);
}

static void lists_are_written_in_order(void **state)
{
    (void)state;
    serial_init();
    assert_writes(2, (const struct layout_reg[]){ { 0x30, 0x301 }, { 0x2c, 0x70 } });
    write_count = 0;
    serial_receive_on();
    assert_writes(1, (const struct layout_reg[]){ { 0x38, 0x50 } });
    write_count = 0;
    serial_receive_ack();
    assert_writes(1, (const struct layout_reg[]){ { 0x44, 0x7ff } });
    board.uart.rx_ack_used = 0;
    serial_receive_ack();
    assert_int_equal(write_count, 1);
}

static void a_16550_by_bytes(void **state)
{
    (void)state;
    board.uart.width = 1;
    board.uart.tx_status = board.uart.rx_status = 5;
    board.uart.tx_mask = board.uart.tx_ready = 0x20;
    board.uart.rx_mask = board.uart.rx_ready = 1;
    room = 1;
    assert_int_equal(serial_write((const uint8_t *)"ab", 2), 1);
    assert_writes(1, (const struct layout_reg[]){ { 0, 'a' } });
    typed = "z";
    assert_int_equal(serial_get(), 'z');
    assert_int_equal(serial_get(), -1);
}

static void a_scif_reads_two_bytes_and_writes_one(void **state)
{
    (void)state;
    board.uart.width = 2;
    assert_int_equal(serial_write((const uint8_t *)"a", 1), 1);
    assert_writes(1, (const struct layout_reg[]){ { 0, 'a' } });
    typed = "z";
    assert_int_equal(serial_get(), 'z');
    assert_int_equal(serial_get(), -1);
}

static void a_16550_in_io_ports(void **state)
{
    (void)state;
    board.uart = (struct layout_uart){
        .base = { PORT }, .width = 0, .intid = 4, .tx = 0, .tx_status = 5, .tx_mask = 0x20, .tx_ready = 0x20,
        .rx = 0, .rx_status = 5, .rx_mask = 1, .rx_ready = 1, .init_count = 3,
        .init = { { 3, 3 }, { 4, 0xb }, { 2, 7 } }, .rx_on_count = 1, .rx_on = { { 1, 1 } } };
    serial_init();
    assert_writes(3, (const struct layout_reg[]){ { 3, 3 }, { 4, 0xb }, { 2, 7 } });
    write_count = 0;
    serial_receive_on();
    assert_writes(1, (const struct layout_reg[]){ { 1, 1 } });
    write_count = 0;
    serial_receive_ack();
    room = 2;
    assert_int_equal(serial_write((const uint8_t *)"abc", 3), 2);
    assert_writes(2, (const struct layout_reg[]){ { 0, 'a' }, { 0, 'b' } });
    typed = "\xff";
    assert_int_equal(serial_get(), 0xff);
    assert_int_equal(serial_get(), -1);
}

static void what_comes_before_each_character(void **state)
{
    (void)state;
    board.uart.tx_pre_count = 1;
    board.uart.tx_pre[0] = (struct layout_reg){ 0x40, 1 };
    assert_int_equal(serial_write((const uint8_t *)"ab", 2), 2);
    assert_writes(4, (const struct layout_reg[]){ { 0x40, 1 }, { 0, 'a' }, { 0x40, 1 }, { 0, 'b' } });
}

static void no_port_takes_everything(void **state)
{
    (void)state;
    board.uart.base.raw = 0;
    board.uart.init_count = board.uart.rx_on_count = board.uart.rx_ack_used = 0;
    serial_init();
    assert_int_equal(serial_write((const uint8_t *)"abc", 3), 3);
    assert_int_equal(serial_get(), -1);
    serial_receive_on();
    serial_receive_ack();
    assert_int_equal(write_count + reads, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(sends_while_there_is_room, setup),
        cmocka_unit_test_setup(receives_what_has_come, setup),
        cmocka_unit_test_setup(lists_are_written_in_order, setup),
        cmocka_unit_test_setup(a_16550_by_bytes, setup),
        cmocka_unit_test_setup(a_scif_reads_two_bytes_and_writes_one, setup),
        cmocka_unit_test_setup(a_16550_in_io_ports, setup),
        cmocka_unit_test_setup(what_comes_before_each_character, setup),
        cmocka_unit_test_setup(no_port_takes_everything, setup),
    };

    return cmocka_run_group_tests_name("serial", tests, NULL, NULL);
}
