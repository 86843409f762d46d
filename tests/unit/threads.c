/* SPDX-License-Identifier: Apache-2.0 */
#include "threads.h"

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <stddef.h>
#include <stdlib.h>
#include <ucontext.h>

#define STACK  0x40000u
#define PATIENCE  64u
#define FRAMES  2048  /* of the test's, bytes */
#define TEST   THREADS       /* the test itself: it has the process's stack */

struct thread {
    ucontext_t context;
    const void *bottom;
    size_t size;
    void *fake_stack;        /* the sanitizer's */
    bool begun;
};

static struct thread threads[THREADS + 1u];
static _Alignas(16) uint8_t stacks[THREADS][STACK];
static uint32_t has[THREADS];   /* the thread of each core */
static uint32_t now = TEST, core_now, before, polls;
static enum stop reasons[THREADS];
static void (*core_arrives)(uint32_t core);

/* A test that fails on a thread leaves it by a jump, of which the sanitizer knows nothing. */
static void back_in_test(void)
{
    const struct thread *test = &threads[TEST];
    const char here = 0;

    __sanitizer_start_switch_fiber(NULL, test->bottom, test->size);
    __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
    __asan_unpoison_memory_region(test->bottom, (size_t)(&here + FRAMES - (const char *)test->bottom));
    now = TEST;
}

void threads_reset(void (*arrives)(uint32_t core))
{
    core_arrives = arrives;
    for (uint32_t i = 0; i < THREADS; i++) {
        threads[i].begun = false;
        reasons[i] = SLEEPS;
        has[i] = i;
    }
    if (now != TEST) {
        back_in_test();
    }
}

uint32_t thread_of(uint32_t core)
{
    return has[core];
}

bool in_guest(uint32_t core)
{
    return threads[has[core]].begun && reasons[has[core]] == IN_GUEST;
}

bool on_thread(void)
{
    return now != TEST;
}

uint32_t thread_here(void)
{
    return now;
}

/* On a stack that execution has come to: where it comes from is noted, since the sanitizer alone knows that of the test. */
static void arrive(void)
{
    __sanitizer_finish_switch_fiber(threads[now].fake_stack, &threads[before].bottom, &threads[before].size);
}

static void begin(void)
{
    arrive();
    thread_main(now);
    abort();
}

static void go_to(uint32_t next)
{
    struct thread *from = &threads[now], *to = &threads[next];

    if (next != TEST && !to->begun) {
        to->begun = true;
        to->bottom = stacks[next];
        to->size = STACK;
        to->fake_stack = NULL;
        (void)getcontext(&to->context);
        to->context.uc_stack.ss_sp = stacks[next];
        to->context.uc_stack.ss_size = STACK;
        to->context.uc_link = NULL;
        makecontext(&to->context, begin, 0);
    }
    before = now;
    now = next;
    __sanitizer_start_switch_fiber(&from->fake_stack, to->bottom, to->size);
    (void)swapcontext(&from->context, &to->context);
    arrive();
}

enum stop thread_goes_on(uint32_t core)
{
    polls = 0;
    core_now = core;
    core_arrives(core);
    go_to(has[core]);
    return reasons[has[core]];
}

void thread_stops(enum stop why)
{
    reasons[now] = why;
    go_to(TEST);
}

void thread_polls(void)
{
    if (on_thread() && ++polls >= PATIENCE) {
        thread_stops(SPINS);
    }
}

void thread_switch(uint32_t next)
{
    has[core_now] = next;
    go_to(next);
}
