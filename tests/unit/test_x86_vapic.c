/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/x86/vapic.c */
#include "host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <arch/x86/vapic.h>

#define X2(reg)    (0x800u + (reg))
#define DEADLINE   0x6e0u
#define TPR        X2(0x08u)
#define SVR        X2(0x0fu)
#define LVT_TIMER  X2(0x32u)
#define LVT_LINT0  X2(0x35u)
#define INITIAL    X2(0x38u)
#define CURRENT    X2(0x39u)
#define DIVIDE     X2(0x3eu)
#define SELF       X2(0x3fu)

static struct vapic apic;

static uint64_t reads(uint32_t msr, uint64_t now)
{
    uint64_t value = 0;

    assert_true(vapic_read(&apic, msr, now, &value));
    return value;
}

static void writes(uint32_t msr, uint64_t now, uint64_t value)
{
    assert_true(vapic_write(&apic, msr, now, value));
}

static bool refuses(uint32_t msr, uint64_t value)
{
    return !vapic_write(&apic, msr, 0, value);
}

static int on(void **state)
{
    (void)state;
    memset(&apic, 0xa5, sizeof(apic));
    vapic_reset(&apic, 35);
    writes(SVR, 0, 0x1ff);
    return 0;
}

static void resets(void **state)
{
    (void)state;
    vapic_reset(&apic, 35);
    assert_int_equal(reads(X2(2), 0), 35);
    assert_int_equal(reads(X2(3), 0), 0x50015);
    assert_int_equal(reads(X2(0xd), 0), 2u << 16 | 1u << 3);
    assert_int_equal(reads(SVR, 0), 0xff);
    assert_int_equal(reads(LVT_TIMER, 0), 1u << 16);
    assert_int_equal(reads(INITIAL, 0), 0);
    assert_int_equal(apic.timer_at, VAPIC_NEVER);
    assert_int_equal(vapic_next(&apic), 0);
    for (uint32_t reg = 0x10; reg < 0x28; reg++) {
        assert_int_equal(reads(X2(reg), 0), 0);
    }
}

static void is_off_until_it_is_switched_on(void **state)
{
    (void)state;
    vapic_reset(&apic, 0);
    assert_false(vapic_request(&apic, 0x40, false));
    writes(LVT_TIMER, 0, 0x40);
    assert_int_equal(reads(LVT_TIMER, 0), 0x10040);  /* stays masked while it is off */
    writes(SVR, 0, 0x1ff);
    assert_true(vapic_request(&apic, 0x40, false));
    writes(LVT_TIMER, 0, 0x40);
    writes(SVR, 0, 0xff);
    assert_int_equal(reads(LVT_TIMER, 0), 0x10040);
    assert_int_equal(vapic_next(&apic), 0x40);       /* what had come stays (SDM 3 11.4.7.2) */
}

static void takes_the_highest_first(void **state)
{
    (void)state;
    vapic_request(&apic, 0x31, false);
    vapic_request(&apic, 0xef, false);
    vapic_request(&apic, 0x55, false);
    assert_int_equal(reads(X2(0x27), 0), 1u << 15);
    assert_int_equal(vapic_next(&apic), 0xef);
    vapic_take(&apic, 0xef);
    assert_int_equal(reads(X2(0x17), 0), 1u << 15);
    assert_int_equal(reads(X2(0x27), 0), 0);
    assert_int_equal(reads(X2(0x0a), 0), 0xe0);
    assert_int_equal(vapic_next(&apic), 0);
    assert_int_equal(vapic_end(&apic), 0);
    assert_int_equal(vapic_next(&apic), 0x55);
}

static void nests_by_class_only(void **state)
{
    (void)state;
    vapic_request(&apic, 0x50, false);
    vapic_take(&apic, 0x50);
    vapic_request(&apic, 0x5f, false);
    assert_int_equal(vapic_next(&apic), 0);
    vapic_request(&apic, 0x60, false);
    assert_int_equal(vapic_next(&apic), 0x60);
    vapic_take(&apic, 0x60);
    assert_int_equal(vapic_end(&apic), 0);
    assert_int_equal(reads(X2(0x12), 0), 1u << 16);  /* the one below is still in service */
    assert_int_equal(vapic_next(&apic), 0);
}

static void the_task_priority_holds_back(void **state)
{
    (void)state;
    writes(TPR, 0, 0x4f);
    vapic_request(&apic, 0x4f, false);
    assert_int_equal(vapic_next(&apic), 0);
    assert_int_equal(reads(X2(0x0a), 0), 0x4f);
    writes(TPR, 0, 0x3f);
    assert_int_equal(vapic_next(&apic), 0x4f);
    assert_true(refuses(TPR, 0x100));
    assert_int_equal(reads(TPR, 0), 0x3f);
}

static void a_level_is_told_at_its_end(void **state)
{
    (void)state;
    assert_int_equal(vapic_end(&apic), 0);
    vapic_request(&apic, 0x44, true);
    assert_int_equal(reads(X2(0x1a), 0), 1u << 4);
    vapic_take(&apic, 0x44);
    assert_int_equal(vapic_end(&apic), 0x44);
    vapic_request(&apic, 0x44, false);
    vapic_take(&apic, 0x44);
    assert_int_equal(vapic_end(&apic), 0);
}

static void vectors_of_exceptions_are_none(void **state)
{
    (void)state;
    for (uint32_t vector = 0; vector < 16; vector++) {
        assert_false(vapic_request(&apic, vector, false));
        writes(SELF, 0, vector);
    }
    assert_false(vapic_request(&apic, 0x100, false));
    assert_true(refuses(SELF, 0x100));
    assert_int_equal(vapic_next(&apic), 0);
    writes(SELF, 0, 16);
    assert_int_equal(apic.requested[0], 1u << 16);
}

static void one_shot(void **state)
{
    (void)state;
    writes(DIVIDE, 0, 0xb);
    writes(LVT_TIMER, 0, 0x40);
    writes(INITIAL, 1000, 500);
    assert_int_equal(apic.timer_at, 1500);
    assert_int_equal(reads(CURRENT, 1100), 400);
    vapic_tick(&apic, 1499);
    assert_int_equal(vapic_next(&apic), 0);
    vapic_tick(&apic, 1500);
    assert_int_equal(vapic_next(&apic), 0x40);
    assert_int_equal(apic.timer_at, VAPIC_NEVER);
    assert_int_equal(reads(CURRENT, 1600), 0);
    writes(INITIAL, 2000, 500);
    writes(INITIAL, 2100, 0);
    assert_int_equal(apic.timer_at, VAPIC_NEVER);
}

static void divides(void **state)
{
    static const struct { uint32_t value, by; } cases[] = { { 0, 2 }, { 1, 4 }, { 2, 8 }, { 3, 16 }, { 8, 32 }, { 9, 64 },
                                                            { 10, 128 }, { 11, 1 } };

    (void)state;
    writes(LVT_TIMER, 0, 0x40);
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        writes(INITIAL, 0, 0);
        writes(DIVIDE, 0, cases[i].value);
        writes(INITIAL, 0, 10);
        assert_int_equal(apic.timer_at, 10u * cases[i].by);
    }
    assert_true(refuses(DIVIDE, 4));
    writes(INITIAL, 0, 100);       /* by 1 */
    writes(DIVIDE, 40, 0);         /* 60 are left, and take twice as long */
    assert_int_equal(apic.timer_at, 160);
}

static void periods_that_went_by_are_one_interrupt(void **state)
{
    (void)state;
    writes(DIVIDE, 0, 0xb);
    writes(LVT_TIMER, 0, 0x20040);
    writes(INITIAL, 0, 100);
    vapic_tick(&apic, 1050);
    assert_int_equal(apic.timer_at, 1100);
    vapic_tick(&apic, 1100);
    assert_int_equal(apic.timer_at, 1200);
    writes(INITIAL, 2000, 1);      /* as fast as can be: each look is bounded, and the next lies ahead */
    vapic_tick(&apic, UINT64_C(1) << 60);
    assert_true(apic.timer_at > UINT64_C(1) << 60);
}

static void deadlines(void **state)
{
    (void)state;
    writes(DEADLINE, 0, 900);
    assert_int_equal(apic.timer_at, VAPIC_NEVER);    /* in another mode it has no effect (SDM 3 11.5.4.1) */
    writes(LVT_TIMER, 0, 0x40040);
    writes(INITIAL, 0, 77);
    assert_int_equal(reads(INITIAL, 0), 0);
    assert_int_equal(reads(CURRENT, 0), 0);
    writes(DEADLINE, 0, 900);
    assert_int_equal(reads(DEADLINE, 0), 900);
    vapic_tick(&apic, 900);
    assert_int_equal(vapic_next(&apic), 0x40);
    assert_int_equal(reads(DEADLINE, 901), 0);
    writes(DEADLINE, 0, 2000);
    writes(LVT_TIMER, 0, 0x40);    /* leaving the mode disarms it */
    assert_int_equal(apic.timer_at, VAPIC_NEVER);
    assert_true(refuses(LVT_TIMER, 0x60040));
}

static void a_masked_timer_runs_out_in_silence(void **state)
{
    (void)state;
    writes(LVT_TIMER, 0, 0x10040);
    writes(INITIAL, 0, 10);
    vapic_tick(&apic, 100);
    assert_int_equal(vapic_next(&apic), 0);
    assert_int_equal(apic.timer_at, VAPIC_NEVER);
}

static void reserved_bits_and_registers_are_refused(void **state)
{
    uint64_t value;

    (void)state;
    assert_true(refuses(SVR, 0x400));
    assert_int_equal(reads(SVR, 0), 0x1ff);
    assert_true(refuses(LVT_TIMER, 0x100));
    assert_true(refuses(LVT_TIMER, UINT64_C(1) << 32));
    assert_false(refuses(LVT_LINT0, 0x1a7ff));
    assert_true(refuses(X2(0x28), 1));
    assert_false(refuses(X2(0x28), 0));
    for (uint32_t reg = 0; reg < 0x100; reg++) {
        bool can_read = reg == 2 || reg == 3 || reg == 8 || reg == 0xa || reg == 0xd || reg == 0xf ||
                        (reg >= 0x10 && reg <= 0x28) || reg == 0x30 || (reg >= 0x32 && reg <= 0x39) || reg == 0x3e;

        assert_int_equal(vapic_read(&apic, X2(reg), 0, &value), can_read);
        if (reg < 8 || (reg > 8 && reg < 0xf) || (reg >= 0x10 && reg < 0x28) || reg == 0x39 || reg > 0x3f) {
            assert_true(refuses(X2(reg), 0));
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(resets, on),
        cmocka_unit_test_setup(is_off_until_it_is_switched_on, on),
        cmocka_unit_test_setup(takes_the_highest_first, on),
        cmocka_unit_test_setup(nests_by_class_only, on),
        cmocka_unit_test_setup(the_task_priority_holds_back, on),
        cmocka_unit_test_setup(a_level_is_told_at_its_end, on),
        cmocka_unit_test_setup(vectors_of_exceptions_are_none, on),
        cmocka_unit_test_setup(one_shot, on),
        cmocka_unit_test_setup(divides, on),
        cmocka_unit_test_setup(periods_that_went_by_are_one_interrupt, on),
        cmocka_unit_test_setup(deadlines, on),
        cmocka_unit_test_setup(a_masked_timer_runs_out_in_silence, on),
        cmocka_unit_test_setup(reserved_bits_and_registers_are_refused, on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
