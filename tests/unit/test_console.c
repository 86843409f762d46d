/* SPDX-License-Identifier: Apache-2.0 */
/* tests: core/console.c core/print.c core/vuart.c ../tests/unit/fake.c */
#include "fake.h"

#include <hv/console.h>
#include <hv/vuart.h>

enum { LINUX = 0, HELLO = 1 };

/* Every test begins with empty rings, a finished line and the focus on the first partition. */
static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_type("\x01" "1");
    console_input();
    while (console_drain()) {
    }
    fake_reset();
    return 0;
}

static void put(uint32_t partition, const char *text)
{
    while (*text != '\0') {
        assert_true(console_put(partition, (uint8_t)*text++));
    }
}

static void lines_carry_their_owner(void **state)
{
    (void)state;
    put(LINUX, "one\n");
    put(HELLO, "two\r\n");
    assert_string_equal(fake_out, "linux| one\r\nhello| two\r\n");
}

static void the_focus_is_heard_at_once(void **state)
{
    (void)state;
    put(LINUX, "pro");
    assert_string_equal(fake_out, "linux| pro");
    put(LINUX, "mpt\n");
}

static void others_are_heard_by_the_line(void **state)
{
    (void)state;
    put(HELLO, "not yet");
    assert_string_equal(fake_out, "");
    put(HELLO, ", now\n");
    assert_string_equal(fake_out, "hello| not yet, now\r\n");
}

static void a_growing_line_is_left_to_its_end(void **state)
{
    (void)state;
    put(LINUX, "begin");
    put(HELLO, "other\n");
    assert_string_equal(fake_out, "linux| begin");
    put(LINUX, " end\n");
    assert_string_equal(fake_out, "linux| begin end\r\nhello| other\r\n");
}

static void a_resting_line_is_broken(void **state)
{
    (void)state;
    put(LINUX, "linux# ");
    fake_time += 10000000;
    put(HELLO, "tick 1\n");
    assert_string_equal(fake_out, "linux| linux# \r\nhello| tick 1\r\n");
}

static void the_hypervisor_breaks_any_line(void **state)
{
    (void)state;
    put(LINUX, "begin");
    print("attention\n");
    put(LINUX, " end\n");
    assert_string_equal(fake_out, "linux| begin\r\nbulkhead| attention\r\nlinux|  end\r\n");
}

static void a_full_port_keeps_what_it_did_not_take(void **state)
{
    (void)state;
    fake_port_room = 9;
    put(LINUX, "abcdef\n");
    assert_string_equal(fake_out, "linux| ab");
    fake_port_room = UINT32_MAX;
    assert_false(console_drain());
    assert_string_equal(fake_out, "linux| abcdef\r\n");
}

static void a_full_ring_takes_no_more_and_loses_nothing(void **state)
{
    uint32_t taken = 0;

    (void)state;
    fake_port_room = 0;
    while (console_put(HELLO, 'x')) {
        assert_true(++taken < 10000);
    }
    assert_false(console_ready(HELLO));
    assert_true(console_ready(LINUX));
    fake_port_room = UINT32_MAX;
    assert_true(console_ready(HELLO));
    put(HELLO, "\n");
    assert_int_equal(fake_out_count, strlen("hello| \r\n") + taken);
}

static void input_goes_to_the_focus(void **state)
{
    (void)state;
    fake_type("a");
    console_input();
    assert_int_equal(vuart_read(LINUX, 0), 'a');
    fake_type("\x01" "2" "b");
    console_input();
    assert_non_null(strstr(fake_out, "bulkhead| input goes to hello\r\n"));
    assert_int_equal(vuart_read(HELLO, 0), 'b');
    assert_int_equal(vuart_read(LINUX, 0x18) & 0x10, 0x10);
}

static void ctrl_a_twice_is_one_for_the_guest(void **state)
{
    (void)state;
    fake_type("\x01\x01");
    console_input();
    assert_int_equal(vuart_read(LINUX, 0), 1);
}

static void help_lists_the_partitions(void **state)
{
    (void)state;
    fake_type("\x01?");
    console_input();
    assert_non_null(strstr(fake_out, "1 linux <- input"));
    assert_non_null(strstr(fake_out, "2 hello\r\n"));
    assert_non_null(strstr(fake_out, "3 mute (no console)"));
}

static void focus_on_nobody_is_refused(void **state)
{
    (void)state;
    fake_type("\x01" "3" "\x01" "9" "\x01" "x" "c");
    console_input();
    assert_null(strstr(fake_out, "input goes"));
    assert_int_equal(vuart_read(LINUX, 0), 'c');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(lines_carry_their_owner, setup),
        cmocka_unit_test_setup(the_focus_is_heard_at_once, setup),
        cmocka_unit_test_setup(others_are_heard_by_the_line, setup),
        cmocka_unit_test_setup(a_growing_line_is_left_to_its_end, setup),
        cmocka_unit_test_setup(a_resting_line_is_broken, setup),
        cmocka_unit_test_setup(the_hypervisor_breaks_any_line, setup),
        cmocka_unit_test_setup(a_full_port_keeps_what_it_did_not_take, setup),
        cmocka_unit_test_setup(a_full_ring_takes_no_more_and_loses_nothing, setup),
        cmocka_unit_test_setup(input_goes_to_the_focus, setup),
        cmocka_unit_test_setup(ctrl_a_twice_is_one_for_the_guest, setup),
        cmocka_unit_test_setup(help_lists_the_partitions, setup),
        cmocka_unit_test_setup(focus_on_nobody_is_refused, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
