/* SPDX-License-Identifier: Apache-2.0 */
/* tests: core/print.c core/vuart.c ../tests/unit/fake.c */
/* with: POOLS */
/* Messages of the hypervisor on shared cores, where nobody waits for the port. */
#include "fake.h"

#include "core/console.c"

enum { LINUX = 0, POOL_THREAD = 100 };

static uint32_t thread;

uint32_t arch_thread(void)
{
    return thread;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    thread = POOL_THREAD;
    port_shared = true;
    rings[OWN_RING].head = rings[OWN_RING].tail = 0;
    own_lost = false;
    line_owner = NOBODY;
    stage_count = stage_at = 0;
    return 0;
}

static void later(const char *text)
{
    console_later(text, (uint32_t)strlen(text));
}

static void tick(void)
{
    fake_port_room = UINT32_MAX;
    fake_time += REST_NS;
    console_tick();
}

static void a_free_port_takes_it_at_once(void **state)
{
    (void)state;
    later("one\n");
    later("two\n");
    assert_string_equal(fake_out, "bulkhead| one\r\nbulkhead| two\r\n");
}

static void a_full_port_is_not_waited_for(void **state)
{
    uint64_t before = fake_time;

    (void)state;
    fake_port_room = 12;
    later("attention\n");
    assert_string_equal(fake_out, "bulkhead| at");
    assert_true(fake_time == before);
    tick();
    assert_string_equal(fake_out, "bulkhead| attention\r\n");
}

static void it_breaks_a_guests_line(void **state)
{
    (void)state;
    assert_true(console_put(LINUX, 'a'));
    later("attention\n");
    assert_true(console_put(LINUX, 'b'));
    assert_true(console_put(LINUX, '\n'));
    assert_string_equal(fake_out, "linux| a\r\nbulkhead| attention\r\nlinux| b\r\n");
}

static void what_does_not_fit_is_lost_and_said(void **state)
{
    (void)state;
    fake_port_room = 0;
    for (uint32_t i = 0; i < RING_SIZE / 8u + 3u; i++) {
        later("1234567\n");
    }
    tick();
    fake_out[0] = '\0';
    fake_reset();
    later("again\n");
    assert_string_equal(fake_out, "bulkhead| messages were lost here: the port is too slow\r\nbulkhead| again\r\n");
}

static void a_core_of_its_own_waits_and_keeps_the_order(void **state)
{
    (void)state;
    fake_port_room = 12;
    later("first\n");
    thread = 0;
    fake_port_room = UINT32_MAX;
    later("second\n");
    assert_string_equal(fake_out, "bulkhead| first\r\nbulkhead| second\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_free_port_takes_it_at_once, setup),
        cmocka_unit_test_setup(a_full_port_is_not_waited_for, setup),
        cmocka_unit_test_setup(it_breaks_a_guests_line, setup),
        cmocka_unit_test_setup(what_does_not_fit_is_lost_and_said, setup),
        cmocka_unit_test_setup(a_core_of_its_own_waits_and_keeps_the_order, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
