/* SPDX-License-Identifier: Apache-2.0 */
/* tests: core/vuart.c core/console.c core/print.c ../tests/unit/fake.c */
#include "fake.h"

#include <hv/vuart.h>

#define DR    0x000u
#define FR    0x018u
#define IBRD  0x024u
#define CR    0x030u
#define IMSC  0x038u
#define RIS   0x03cu
#define MIS   0x040u
#define ICR   0x044u
#define RXFE  0x10u
#define TXFF  0x20u
#define TXFE  0x80u
#define RX    0x10u
#define TX    0x20u

static int setup(void **state)
{
    (void)state;
    fake_reset();
    vuart_reset(0);
    vuart_reset(1);
    return 0;
}

static void identifies_as_a_pl011(void **state)
{
    static const uint8_t id[8] = { 0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(vuart_read(0, 0xfe0u + 4u * i), id[i]);
    }
}

static void after_reset(void **state)
{
    (void)state;
    assert_int_equal(vuart_read(0, FR), RXFE | TXFE);
    assert_int_equal(vuart_read(0, CR), 0x300);
    assert_int_equal(vuart_read(0, IMSC), 0);
    assert_int_equal(vuart_read(0, RIS), 0);
}

static void writes_reach_the_console(void **state)
{
    (void)state;
    vuart_write(0, DR, 'h');
    vuart_write(0, DR, 'i');
    vuart_write(0, DR, '\n');
    assert_string_equal(fake_out, "linux| hi\r\n");
}

static void received_characters_raise_the_line(void **state)
{
    (void)state;
    assert_true(vuart_receive(0, 'a'));
    assert_false(fake_line[0]);
    vuart_write(0, IMSC, RX);
    assert_true(fake_line[0]);
    assert_int_equal(vuart_read(0, MIS), RX);
    assert_int_equal(vuart_read(0, FR) & RXFE, 0);
    assert_int_equal(vuart_read(0, DR), 'a');
    assert_false(fake_line[0]);
    assert_int_equal(vuart_read(0, FR) & RXFE, RXFE);
    assert_false(fake_line[1]);
}

static void an_empty_fifo_reads_zero(void **state)
{
    (void)state;
    assert_int_equal(vuart_read(0, DR), 0);
}

static void a_full_fifo_says_so(void **state)
{
    uint32_t count = 0;

    (void)state;
    while (vuart_receive(0, (uint8_t)count)) {
        assert_true(++count < 1000);
    }
    assert_true(count >= 16);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(vuart_read(0, DR), i & 0xff);
    }
    assert_int_equal(vuart_read(0, FR) & RXFE, RXFE);
}

static void transmit_interrupt_follows_a_write(void **state)
{
    (void)state;
    vuart_write(0, IMSC, TX);
    assert_false(fake_line[0]);
    vuart_write(0, DR, '\n');
    assert_true(fake_line[0]);
    vuart_write(0, ICR, TX);
    assert_false(fake_line[0]);
}

static void control_registers_read_back(void **state)
{
    (void)state;
    vuart_write(0, IBRD, 13);
    vuart_write(0, CR, 0x301);
    assert_int_equal(vuart_read(0, IBRD), 13);
    assert_int_equal(vuart_read(0, CR), 0x301);
    assert_int_equal(vuart_read(1, IBRD), 0);
}

static void every_offset_is_harmless(void **state)
{
    (void)state;
    for (uint64_t offset = 4; offset < 0x1000; offset++) {
        (void)vuart_read(0, offset);
        vuart_write(0, offset, UINT64_MAX);
        (void)vuart_read(0, offset);
    }
    assert_string_equal(fake_out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(identifies_as_a_pl011, setup),
        cmocka_unit_test_setup(after_reset, setup),
        cmocka_unit_test_setup(writes_reach_the_console, setup),
        cmocka_unit_test_setup(received_characters_raise_the_line, setup),
        cmocka_unit_test_setup(an_empty_fifo_reads_zero, setup),
        cmocka_unit_test_setup(a_full_fifo_says_so, setup),
        cmocka_unit_test_setup(transmit_interrupt_follows_a_write, setup),
        cmocka_unit_test_setup(control_registers_read_back, setup),
        cmocka_unit_test_setup(every_offset_is_harmless, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
