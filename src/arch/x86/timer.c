/* SPDX-License-Identifier: Apache-2.0 */
/* The timer of a pool's core; see timer.h. SDM 3 11.5.4; CPUs without deadlines count at a speed of their own. */
#include "apic.h"
#include "shared.h"
#include "timer.h"
#include "x86.h"

#define REG_REQUESTED  (MSR_X2APIC + 0x20u + POOL_TIMER / 32u)
#define REG_SPURIOUS   (MSR_X2APIC + 0x0fu)
#define SPURIOUS_ON    0x1ffu
#define REG_LVT_TIMER  (MSR_X2APIC + 0x32u)
#define REG_INITIAL    (MSR_X2APIC + 0x38u)
#define REG_DIVIDE     (MSR_X2APIC + 0x3eu)
#define DEADLINES      (2u << 17)
#define DIVIDE_BY_1    0xbu
#define LEAF_1_DEADLINE  (1u << 24)  /* ecx */

#define MEASURE_COUNT  0x40000u    /* 5 ms and more at 50 MHz; 0.3 ms at 1 GHz */
#define MEASURE_TRIES  4u
#define AHEAD_MOST     (UINT64_C(1) << 30)  /* counts of the TSC: no product overflows; what is further off is set again */

static uint64_t counts_per_tick;   /* of the timer to the TSC, 32.32; 0: it has deadlines */

/* Nothing waits, the timer is off and interrupts will be taken. */
static void prepare(uint32_t lvt)
{
    apic_reset();
    wrmsr(REG_SPURIOUS, SPURIOUS_ON);
    wrmsr(REG_DIVIDE, DIVIDE_BY_1);
    wrmsr(REG_LVT_TIMER, lvt);
}

/*
 * How long the timer takes to run out, as its request shows. Whatever comes between makes it seem slower, so the
 * shortest of a few counts; a timer that is taken for too slow fires early and is set again.
 */
static uint64_t measure(void)
{
    uint64_t least = UINT64_MAX;

    for (uint32_t i = 0; i < MEASURE_TRIES; i++) {
        uint64_t begin = rdtsc();

        wrmsr(REG_INITIAL, MEASURE_COUNT);
        while ((rdmsr(REG_REQUESTED) >> POOL_TIMER % 32u & 1u) == 0) {
        }
        least = rdtsc() - begin < least ? rdtsc() - begin : least;
        prepare(POOL_TIMER);
    }
    return ((uint64_t)MEASURE_COUNT << 32) / least;
}

void timer_init(void)
{
    uint64_t found = 0;

    if ((cpuid(1, 0).reg[2] & LEAF_1_DEADLINE) != 0) {
        prepare(POOL_TIMER | DEADLINES);
        __asm__ volatile("mfence" : : : "memory");  /* before the first deadline (SDM 3 11.5.4.1) */
    } else {
        prepare(POOL_TIMER);
        found = measure();
    }
    __atomic_store_n(&counts_per_tick, found, __ATOMIC_RELAXED);  /* each core's is as good as the others' */
}

void timer_set(uint64_t at)
{
    uint64_t now = rdtsc(), ahead = at > now ? at - now : 1u, speed = counts_per_tick, counts;

    if (speed == 0) {
        wrmsr(MSR_TSC_DEADLINE, at != UINT64_MAX ? at : 0);
        return;
    }
    counts = (ahead < AHEAD_MOST ? ahead : AHEAD_MOST) * speed >> 32;
    counts = counts > UINT32_MAX ? UINT32_MAX : counts == 0 ? 1u : counts;
    wrmsr(REG_INITIAL, at != UINT64_MAX ? counts : 0);
}
