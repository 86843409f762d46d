/* SPDX-License-Identifier: Apache-2.0 */
/* tests: core/vuart_16550.c */
/*
 * The virtual 16550 under load: the console's core and the guest's core are threads, interrupts are edges. What must
 * hold: every character arrives once and in order, and the guest never sleeps while there is one.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <time.h>

#include <cmocka.h>

#include <hv/arch.h>
#include <hv/console.h>
#include <hv/layout.h>
#include <hv/vuart.h>

#define CHARACTERS  200000u
#define DATA  0u
#define IER   1u
#define IIR   2u
#define LSR   5u

static const struct layout_partition partitions[1] = { { .name = "linux", .vuart = { { 0x3f8 }, 4, 0 } } };
const struct layout layout = { .partition_count = 1, .partitions = partitions };

static atomic_uint level, interrupt;
static atomic_bool finish;
static _Thread_local uint32_t calls;

/* As src/arch/x86/ioapic.c: an interrupt for each edge. A core may be held up before it gets so far. */
void arch_irq_line(const struct layout_partition *config, uint32_t intid, bool up)
{
    (void)config;
    (void)intid;
    if (++calls % 3u == 0) {
        (void)sched_yield();
    }
    if (atomic_exchange(&level, up ? 1u : 0u) == 0 && up) {
        atomic_store(&interrupt, 1u);
    }
}

bool console_ready(uint32_t partition)
{
    (void)partition;
    return true;
}

bool console_put(uint32_t partition, uint8_t character)
{
    (void)partition;
    (void)character;
    return true;
}

static void *console_core(void *unused)
{
    (void)unused;
    for (uint32_t i = 0; i < CHARACTERS && !atomic_load(&finish);) {
        if (vuart_receive(0, (uint8_t)i)) {
            i++;
        } else {
            (void)sched_yield();
        }
        if (i % 7 == 0) {  /* the guest gets ahead now and then, so that the FIFO is empty */
            (void)sched_yield();
        }
    }
    return NULL;
}

static uint64_t milliseconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* The guest's interrupt handler: false if what it read is not what comes next. */
static bool handle(uint32_t *next)
{
    while ((vuart_read(0, IIR) & 1u) == 0) {
        while ((vuart_read(0, LSR) & 1u) != 0) {
            if (vuart_read(0, DATA) != (uint8_t)*next) {
                return false;
            }
            ++*next;
        }
        if (*next % 5u == 0) {  /* drivers switch the interrupt off and on */
            vuart_write(0, IER, 0);
            vuart_write(0, IER, 1);
        }
    }
    return true;
}

static void no_character_and_no_interrupt_is_lost(void **state)
{
    pthread_t console;
    uint32_t next = 0;
    uint64_t since = milliseconds();
    const char *wrong = NULL;

    (void)state;
    vuart_reset(0);
    vuart_write(0, IER, 1);
    assert_int_equal(pthread_create(&console, NULL, console_core, NULL), 0);
    while (next < CHARACTERS && wrong == NULL) {
        if (atomic_exchange(&interrupt, 0u) != 0) {
            wrong = handle(&next) ? NULL : "another character";
            since = milliseconds();
        } else if (milliseconds() - since > 5000u) {
            wrong = "no interrupt for 5 s";
        } else {
            (void)sched_yield();
        }
    }
    atomic_store(&finish, true);
    (void)pthread_join(console, NULL);
    if (wrong != NULL) {
        fail_msg("after %u characters: %s", next, wrong);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(no_character_and_no_interrupt_is_lost) };

    return cmocka_run_group_tests_name("vuart_races", tests, NULL, NULL);
}
