/* SPDX-License-Identifier: Apache-2.0 */
/* tests: core/console.c core/print.c core/vuart.c ../tests/unit/fake.c */
#include "fake.h"

#include <hv/console.h>
#include <hv/vuart.h>

enum { LINUX = 0, HELLO = 1, MUTE = 2 };

#define REST  UINT64_C(6000000)  /* longer than a line has to stand still to be broken */

/* Time passes, and the console's core looks after what waits. */
static void wait_and_tick(uint64_t ns)
{
    fake_time += ns;
    console_tick();
}

/* Every test begins with empty rings, a finished line and the focus on the first partition. */
static int setup(void **state)
{
    (void)state;
    fake_reset();
    vuart_reset(LINUX);
    vuart_reset(HELLO);
    for (uint32_t i = 0; i < 3; i++) {
        wait_and_tick(REST);
    }
    fake_type("\x01" "1");
    console_input();
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
    wait_and_tick(0);
    assert_string_equal(fake_out, "linux| abcdef\r\n");
    assert_int_equal(fake_alarm, 0);
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

static void what_waits_is_looked_after(void **state)
{
    (void)state;
    fake_port_room = 0;
    put(HELLO, "waits\n");
    assert_int_equal(fake_kicks[layout.console_cpu], 1);  /* once, however much waits */
    wait_and_tick(0);
    assert_true(fake_alarm > 0);
    assert_string_equal(fake_out, "");
    fake_port_room = 4;
    wait_and_tick(fake_alarm);
    assert_string_equal(fake_out, "hell");
    assert_true(fake_alarm > 0);
    fake_port_room = UINT32_MAX;
    wait_and_tick(fake_alarm);
    assert_string_equal(fake_out, "hello| waits\r\n");
    assert_int_equal(fake_alarm, 0);
    fake_alarm = 77;
    wait_and_tick(REST);  /* nothing was asked for */
    assert_int_equal(fake_alarm, 77);
}

static void a_prompt_of_another_comes_out_once_it_rests(void **state)
{
    (void)state;
    put(HELLO, "name? ");
    wait_and_tick(0);
    assert_string_equal(fake_out, "");
    wait_and_tick(REST);
    assert_string_equal(fake_out, "hello| name? ");
    put(HELLO, "x\n");
    assert_string_equal(fake_out, "hello| name? x\r\n");
}

static void a_carriage_return_is_not_doubled(void **state)
{
    (void)state;
    put(LINUX, "a\r\nb\n\n");
    assert_string_equal(fake_out, "linux| a\r\nlinux| b\r\nlinux| \r\n");
}

static void a_long_message_fits_or_is_cut(void **state)
{
    char text[300];

    (void)state;
    memset(text, 'm', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    print("%s\n", text);
    assert_int_equal(strncmp(fake_out, "bulkhead| mmm", 13), 0);
    assert_in_range(fake_out_count, 150, sizeof(text) + 12);
    fake_reset();
    put(LINUX, "next\n");
    assert_non_null(strstr(fake_out, "linux| next\r\n"));
}

static void a_message_waits_for_a_slow_port(void **state)
{
    (void)state;
    fake_port_room = 3;
    fake_port_refill = 5;  /* with every look at the clock */
    print("thirty characters and then some\n");
    assert_string_equal(fake_out, "bulkhead| thirty characters and then some\r\n");
}

static void a_port_that_takes_nothing_stops_nobody(void **state)
{
    uint64_t before;

    (void)state;
    fake_port_room = 0;
    before = fake_time;
    print("lost\n");
    assert_true(fake_time - before < UINT64_C(100000000));
    put(LINUX, "kept\n");
    fake_port_room = UINT32_MAX;
    wait_and_tick(REST);
    assert_non_null(strstr(fake_out, "kept\r\n"));
}

static void say_something(void)
{
    print("attention\n");
}

/* A core that has the port stands still for longer than a message waits; nothing of the holder's is disturbed. */
static void a_holder_that_stands_still(void **state)
{
    (void)state;
    console_share();
    fake_meanwhile = say_something;
    put(LINUX, "a line\n");
    put(LINUX, "another\n");
    assert_string_equal(fake_out, "linux| attention\na line\r\nlinux| another\r\n");
}

static void read_keys(uint32_t partition, char *keys, uint32_t limit)
{
    uint32_t count = 0;

    while ((vuart_read(partition, 0x18) & 0x10u) == 0 && count < limit) {
        keys[count++] = (char)vuart_read(partition, 0);
    }
    keys[count] = '\0';
}

/* Pasted text: the port waits while the guest has not read, and nothing is lost. */
static void keys_wait_while_the_guest_does_not_read(void **state)
{
    char typed[301], keys[301] = "", more[301];

    (void)state;
    for (uint32_t i = 0; i < 300; i++) {
        typed[i] = (char)('a' + i % 26u);
    }
    typed[300] = '\0';
    fake_type(typed);
    console_input();
    assert_false(fake_console_irq);
    assert_true(fake_alarm > 0);
    for (uint32_t i = 0; i < 30; i++) {
        read_keys(LINUX, more, 300);
        assert_true(strlen(keys) + strlen(more) <= 300);
        strcat(keys, more);
        wait_and_tick(1000000);
    }
    assert_string_equal(keys, typed);
    assert_true(fake_console_irq);
}

/* A guest that never reads must not lock everybody out. */
static void commands_get_through_to_a_deaf_guest(void **state)
{
    char typed[120];

    (void)state;
    memset(typed, 'k', sizeof(typed));
    memcpy(typed + 110, "\x01" "2" "h", 4);
    fake_type(typed);
    console_input();
    assert_null(strstr(fake_out, "input goes"));
    for (uint32_t i = 0; i < 200; i++) {
        wait_and_tick(10000000);
    }
    assert_non_null(strstr(fake_out, "bulkhead| input goes to hello\r\n"));
    assert_int_equal(vuart_read(HELLO, 0), 'h');
    assert_true(fake_console_irq);
}

/* ---- everybody talks at once, and the port takes as much as it likes ---- */

#define STREAM  4000u

static char put_text[3][STREAM + 1], heard[3][STREAM + 64];

/* A name that a message of the hypervisor broke off; the line then begins again. */
static bool is_broken_name(const char *line, size_t length)
{
    for (uint32_t p = 0; p < FAKE_PARTITIONS; p++) {
        size_t name = strlen(layout.partitions[p].name);

        if (length <= name + 1 && strncmp(line, layout.partitions[p].name, length < name ? length : name) == 0 &&
            (length <= name || line[name] == '|')) {
            return true;
        }
    }
    return false;
}

static void hear(const char *line, size_t length)
{
    for (uint32_t p = 0; p < FAKE_PARTITIONS; p++) {
        const char *name = layout.partitions[p].name;
        size_t prefix = strlen(name);

        if (length >= prefix + 2 && strncmp(line, name, prefix) == 0 && strncmp(line + prefix, "| ", 2) == 0) {
            assert_true(strlen(heard[p]) + length < sizeof(heard[p]));
            strncat(heard[p], line + prefix + 2, length - prefix - 2);
            return;
        }
    }
    if (is_broken_name(line, length)) {
        return;
    }
    if (strncmp(line, "bulkhead| ", 10) != 0) {
        fail_msg("a line of nobody: '%.*s'", (int)length, line);
    }
    assert_int_equal(length, strlen("bulkhead| message"));
}

static void same_text(const char *a, const char *b)
{
    uint32_t at = 0;

    while (a[at] != '\0' && a[at] == b[at]) {
        at++;
    }
    if (a[at] != b[at]) {
        fail_msg("after %u characters: '%.20s' in place of '%.20s'", at, a + at, b + at);
    }
}

static void nothing_is_lost_or_mixed(void **state)
{
    uint32_t seed = 7, count[3] = { 0, 0, 0 };

    (void)state;
    memset(put_text, 0, sizeof(put_text));
    memset(heard, 0, sizeof(heard));
    fake_port_room = 0;
    for (uint32_t step = 0; step < 30000; step++) {
        uint32_t p, character;

        seed = seed * 1664525u + 1013904223u;
        p = (seed >> 8) % 3u;
        character = (seed >> 12) % 23u == 0 ? '\n' : 'a' + (seed >> 12) % 26u;
        fake_port_room = fake_port_room / 2u + (seed >> 20) % 4u;
        if (count[p] < STREAM && console_put(p, (uint8_t)character) && character != '\n') {
            put_text[p][count[p]++] = (char)character;
        }
        if (seed >> 24 == 1) {
            fake_port_room = 1000;
            print("message\n");
        } else if (seed >> 24 == 2) {
            wait_and_tick(REST);
        }
    }
    fake_port_room = UINT32_MAX;
    for (uint32_t p = 0; p < 3; p++) {
        while (!console_put(p, '\n')) {
            wait_and_tick(REST);
        }
    }
    wait_and_tick(REST);
    for (char *line = fake_out; *line != '\0'; ) {
        char *end = strstr(line, "\r\n");

        assert_non_null(end);
        hear(line, (size_t)(end - line) - (end > line && end[-1] == '\r' ? 1u : 0u));  /* its line end broke off */
        line = end + 2;
    }
    for (uint32_t p = 0; p < 3; p++) {
        assert_true(count[p] > 1000);
        same_text(heard[p], put_text[p]);
    }
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
        cmocka_unit_test_setup(what_waits_is_looked_after, setup),
        cmocka_unit_test_setup(a_prompt_of_another_comes_out_once_it_rests, setup),
        cmocka_unit_test_setup(a_carriage_return_is_not_doubled, setup),
        cmocka_unit_test_setup(a_long_message_fits_or_is_cut, setup),
        cmocka_unit_test_setup(a_message_waits_for_a_slow_port, setup),
        cmocka_unit_test_setup(a_port_that_takes_nothing_stops_nobody, setup),
        cmocka_unit_test_setup(a_holder_that_stands_still, setup),
        cmocka_unit_test_setup(keys_wait_while_the_guest_does_not_read, setup),
        cmocka_unit_test_setup(commands_get_through_to_a_deaf_guest, setup),
        cmocka_unit_test_setup(nothing_is_lost_or_mixed, setup),
    };

    return cmocka_run_group_tests_name("console", tests, NULL, NULL);
}
