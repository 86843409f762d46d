/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a decision of the scheduler costs with 1 to 64 servers on a core, and what an event of the trace does, on the
 * bare machine and with the hypervisor's own source: one tick is one instruction. Lines "sched: NAME N TICKS".
 */
#include <hv/sched.h>
#include <hv/trace.h>

int main(uint64_t early);
void guest_irq(uint32_t irq);
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct cost {
    uint64_t sum, count, worst;
};

static struct sched sched;
static uint64_t seed, empty;

static uint64_t below(uint64_t bound)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (seed >> 33) % bound;
}

static uint64_t ticks(void)
{
    uint64_t value;

    __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(value) : : "memory");
    return value;
}

static void count(struct cost *cost, uint64_t taken)
{
    taken -= empty;
    cost->sum += taken;
    cost->count++;
    cost->worst = taken > cost->worst ? taken : cost->worst;
}

/* How many periods end by now: each is one more step of the decision. */
static uint32_t ends(uint64_t now)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < sched.server_count; i++) {
        found += sched.server[i].awake && sched.server[i].deadline <= now ? 1u : 0;
    }
    return found;
}

/* together: all have the same period, so that they end at once. */
static void measure(uint32_t n, bool together)
{
    struct cost decide = { 0 }, sleep = { 0 }, wake = { 0 }, all = { 0 };
    uint64_t now = 0, start;

    seed = n;
    sched_init(&sched, 1);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t period = together ? 10000 : 10000 + below(20000);

        sched_add(&sched, &(struct sched_params){ period / (n + 1u), period, 0, (i & 1u) != 0 }, 0);
        (void)sched_wake(&sched, i, 0);
    }
    for (uint32_t i = 0; i < 3000; i++) {
        uint32_t ended = ends(now);

        start = ticks();
        (void)sched_decide(&sched, 0, now);
        count(ended <= 1u ? &decide : &all, ticks() - start);
        if (!together && i % 5u == 4u && sched.running[0] != SCHED_IDLE) {
            uint32_t sleeper = sched.running[0];

            now += below(sched.due[0] - now);
            start = ticks();
            (void)sched_sleep(&sched, 0, now, SCHED_NEVER);
            count(&sleep, ticks() - start);
            start = ticks();
            (void)sched_wake(&sched, sleeper, now);
            count(&wake, ticks() - start);
        } else {
            now = sched.due[0];
        }
    }
    if (together) {
        print("sched: all-%u %lu\n", n, all.count != 0 ? all.worst : decide.worst);
    } else {
        print("sched: mean-%u %lu\nsched: worst-%u %lu\nsched: sleep-%u %lu\nsched: wake-%u %lu\n", n, decide.sum / decide.count, n,
              decide.worst, n, sleep.worst, n, wake.worst);
    }
}

/* Into a ring that is full, as most are. */
static void measure_event(void)
{
    static struct trace_event event[4];
    static struct trace_ring ring = { 4, 3, event };
    struct cost put = { 0 };

    for (uint32_t i = 0; i < 100; i++) {
        uint64_t start = ticks();

        trace_put(&ring, i, TRACE_SWITCH, i, 1);
        count(&put, ticks() - start);
    }
    print("sched: event-1 %lu\n", put.worst);
}

/* None is expected. */
void guest_irq(uint32_t irq)
{
    (void)irq;
}

int main(uint64_t early)
{
    uint64_t start = ticks();

    (void)early;
    empty = ticks() - start;
    for (uint32_t n = 1; n <= SCHED_MAX_SERVERS; n *= 2u) {
        measure(n, false);
        measure(n, true);
    }
    measure_event();
    print("sched: done\n");
    return 0;
}
