/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/x86/timer.c */
/* A local APIC whose timer counts with a time-stamp counter that runs by being read: when does it fire? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arch/x86/shared.h>
#include <arch/x86/timer.h>
#include <arch/x86/x86.h>

#define REG(n)      (MSR_X2APIC + (n))
#define MASKED      (1u << 16)
#define DEADLINES   (2u << 17)
#define NEVER       UINT64_MAX
#define READINGS    UINT64_C(2000)   /* counts that setting the timer may take */

static struct {
    bool     deadlines;           /* of the CPU */
    uint32_t tick, of;            /* the timer counts `tick` while the time-stamp counter counts `of` */
    uint64_t tsc, pause_at;       /* no reading falls between pause_at and 10,000,000 counts later */
    uint64_t initial, since, deadline;
    uint32_t lvt, divide, spurious;
    uint32_t resets;
    bool     requested, fenced;
} apic;

struct cpuid fake_cpuid(uint32_t leaf, uint32_t subleaf);
uint64_t fake_rdmsr(uint32_t msr);
void fake_wrmsr(uint32_t msr, uint64_t value);
uint64_t fake_rdtsc(void);
void fake_instruction(const char *text);
void apic_reset(void);

struct cpuid fake_cpuid(uint32_t leaf, uint32_t subleaf)
{
    assert_int_equal(leaf, 1);
    assert_int_equal(subleaf, 0);
    return (struct cpuid){ { 0, 0, apic.deadlines ? 1u << 24 : 0, 0 } };
}

/* When the timer will have fired, as a reading of the time-stamp counter. */
static uint64_t fires_at(void)
{
    if ((apic.lvt & MASKED) != 0 || (apic.spurious & 0x100u) == 0) {
        return NEVER;
    }
    if ((apic.lvt & DEADLINES) != 0) {
        return apic.deadline != 0 ? apic.deadline : NEVER;
    }
    assert_int_equal(apic.divide, 0xb);  /* by 1 */
    return apic.initial != 0 ? apic.since + (apic.initial * apic.of + apic.tick - 1u) / apic.tick : NEVER;
}

uint64_t fake_rdtsc(void)
{
    apic.tsc += 30;
    if (apic.pause_at != 0 && apic.tsc >= apic.pause_at) {
        apic.pause_at = 0;
        apic.tsc += 10000000;
    }
    apic.requested = apic.requested || fires_at() <= apic.tsc;
    return apic.tsc;
}

uint64_t fake_rdmsr(uint32_t msr)
{
    (void)fake_rdtsc();
    assert_int_equal(msr, REG(0x20 + POOL_TIMER / 32));
    return apic.requested ? UINT64_C(1) << POOL_TIMER % 32 : 0;
}

void fake_wrmsr(uint32_t msr, uint64_t value)
{
    switch (msr) {
    case REG(0x0f):        apic.spurious = (uint32_t)value; break;
    case REG(0x32):        apic.lvt = (uint32_t)value; break;
    case REG(0x3e):        apic.divide = (uint32_t)value; break;
    case REG(0x38):
        apic.initial = value;
        apic.since = apic.tsc;
        assert_true(value <= UINT32_MAX);
        break;
    case MSR_TSC_DEADLINE:
        assert_true(apic.deadlines && apic.fenced);
        apic.deadline = value;
        break;
    default:
        fail_msg("MSR 0x%x is written", msr);
    }
}

void fake_instruction(const char *text)
{
    apic.fenced = apic.fenced || strncmp(text, "\"mfence", 7) == 0;
}

void apic_reset(void)
{
    apic.lvt = MASKED;
    apic.initial = apic.spurious = 0;
    apic.requested = false;
    apic.resets++;
}

static void power_on(bool deadlines, uint32_t tick, uint32_t of)
{
    memset(&apic, 0, sizeof(apic));
    apic.deadlines = deadlines;
    apic.tick = tick;
    apic.of = of;
    apic.tsc = 1000;
    timer_init();
    assert_true(apic.resets > 0);
    assert_false(apic.requested);        /* nothing is left of measuring */
    assert_int_equal(fires_at(), NEVER);
    assert_int_equal(apic.lvt & 0xffu, POOL_TIMER);
    assert_int_equal(apic.spurious & 0x100u, 0x100);
}

/* ---------------------------------------------------------------- with deadlines */

static void a_deadline_is_the_counter_itself(void **state)
{
    (void)state;
    power_on(true, 1, 1);
    assert_true(apic.fenced);
    timer_set(5000);
    assert_int_equal(fires_at(), 5000);
    timer_set(UINT64_C(1) << 60);
    assert_int_equal(fires_at(), UINT64_C(1) << 60);
    timer_set(NEVER);
    assert_int_equal(fires_at(), NEVER);
    timer_set(7);                        /* has gone by: at once */
    assert_int_equal(fires_at(), 7);
}

/* ---------------------------------------------------------------- with counts of its own speed */

static const struct { uint32_t tick, of; } speeds[] = { { 1, 1 }, { 1, 2 }, { 1, 3 }, { 10, 37 }, { 1, 60 }, { 3, 2 }, { 1, 1000 } };

/* Not before the time by more than measuring errs, and not after it by more than the call and one tick take. */
static void it_fires_when_asked(void **state)
{
    static const uint64_t ahead[] = { 5000, 100000, 3000000, 1000000000 };

    (void)state;
    for (uint32_t i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++) {
        power_on(false, speeds[i].tick, speeds[i].of);
        assert_false(apic.fenced);
        for (uint32_t n = 0; n < 4; n++) {
            uint64_t at = apic.tsc + ahead[n];

            timer_set(at);
            assert_true(fires_at() <= at + READINGS + speeds[i].of);
            assert_true(fires_at() >= at - ahead[n] / 100u - speeds[i].of);
        }
    }
}

static void far_off_it_fires_early_and_can_be_set_again(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++) {
        uint64_t at;
        uint32_t count = 0;

        power_on(false, speeds[i].tick, speeds[i].of);
        at = apic.tsc + UINT64_C(100000000000);
        do {
            timer_set(at);
            assert_true(fires_at() <= at + READINGS + speeds[i].of);
            assert_true(fires_at() > apic.tsc);
            apic.tsc = fires_at();
            count++;
        } while (apic.tsc < at && count < 1000);
        assert_true(count > 1 && count < 1000);
        timer_set(UINT64_MAX - 1u);
        assert_true(fires_at() < NEVER);
    }
}

static void what_has_gone_by_fires_at_once(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++) {
        power_on(false, speeds[i].tick, speeds[i].of);
        for (uint64_t at = 0; at < apic.tsc + 200u; at += 50) {
            timer_set(at);
            assert_true(fires_at() <= apic.tsc + READINGS + speeds[i].of);  /* a count of 0 would be never */
        }
    }
}

static void never_is_never(void **state)
{
    (void)state;
    power_on(false, 1, 3);
    timer_set(apic.tsc + 5000);
    assert_true(fires_at() < NEVER);
    timer_set(NEVER);
    assert_int_equal(fires_at(), NEVER);
}

/* Measured while nothing ran for a while: the timer must not be taken for slow, or it would fire late. */
static void a_pause_while_measuring_does_no_harm(void **state)
{
    (void)state;
    for (uint64_t pause_at = 2000; pause_at < 2500000; pause_at += 200000) {
        uint64_t at;

        memset(&apic, 0, sizeof(apic));
        apic.tick = 1;
        apic.of = 2;
        apic.tsc = 1000;
        apic.pause_at = pause_at;
        timer_init();
        at = apic.tsc + 1000000;
        timer_set(at);
        assert_true(fires_at() <= at + READINGS);
        assert_true(fires_at() >= at - 20000u);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deadline_is_the_counter_itself),
        cmocka_unit_test(it_fires_when_asked),
        cmocka_unit_test(far_off_it_fires_early_and_can_be_set_again),
        cmocka_unit_test(what_has_gone_by_fires_at_once),
        cmocka_unit_test(never_is_never),
        cmocka_unit_test(a_pause_while_measuring_does_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
