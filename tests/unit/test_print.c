/* SPDX-License-Identifier: Apache-2.0 */
/* tests: core/print.c core/console.c core/vuart.c ../tests/unit/fake.c */
#include "fake.h"

#include <hv/console.h>

static int setup(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

static void prints_every_conversion(void **state)
{
    (void)state;
    print("%s, %c, %u, %lu, 0x%lx\n", "text", 'c', 4294967295u, UINT64_MAX, UINT64_C(0xdeadbeef01234567));
    assert_string_equal(fake_out, "bulkhead| text, c, 4294967295, 18446744073709551615, 0xdeadbeef01234567\r\n");
}

static void prints_zero(void **state)
{
    (void)state;
    print("%u %lu %lx\n", 0u, UINT64_C(0), UINT64_C(0));
    assert_string_equal(fake_out, "bulkhead| 0 0 0\r\n");
}

static void two_prints_make_one_line(void **state)
{
    (void)state;
    print("half");
    print(" and half\n");
    assert_string_equal(fake_out, "bulkhead| half and half\r\n");
}

static void panic_prints_and_halts(void **state)
{
    (void)state;
    expect_panic(panic("core %u is of the wrong kind", 3u));
    assert_string_equal(fake_out, "bulkhead| PANIC: core 3 is of the wrong kind\r\n");
}

static void a_dead_port_does_not_hang(void **state)
{
    (void)state;
    fake_port_room = 5;
    print("this line meets a port that takes five characters\n");
    assert_string_equal(fake_out, "bulkh");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(prints_every_conversion, setup),
        cmocka_unit_test_setup(prints_zero, setup),
        cmocka_unit_test_setup(two_prints_make_one_line, setup),
        cmocka_unit_test_setup(panic_prints_and_halts, setup),
        cmocka_unit_test_setup(a_dead_port_does_not_hang, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
