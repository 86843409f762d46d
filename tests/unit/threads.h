/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads of shared cores, each on a stack of its own. One goes on at a time, on the core that the test names, until
 * it stops: a fake of what it waits for says so. A core's idle thread and a vcpu's have the numbers of layout.cpus.
 */
#ifndef THREADS_H
#define THREADS_H

#include <stdbool.h>
#include <stdint.h>

#define THREADS  16u

enum stop { SLEEPS, SPINS, IN_GUEST };

/* Nobody has begun; each core has its own thread. arrives: called with a core before its thread goes on. */
void threads_reset(void (*arrives)(uint32_t core));

/* The thread that a core has, and whether it has stopped in its guest. */
uint32_t thread_of(uint32_t core);
bool in_guest(uint32_t core);

/* The core's thread goes on, or begins with thread_main(). Why it stops; another may have the core by then. */
enum stop thread_goes_on(uint32_t core);

/* What the machine's fakes call on a thread: it stops; its core goes on with another, until somebody comes back. */
void thread_stops(enum stop why);
void thread_switch(uint32_t next);

/* Called now and then where no lock is held: a thread that has not stopped for long spins. */
void thread_polls(void);

/* True on one of these threads, false in the test itself; and which it is. */
bool on_thread(void);
uint32_t thread_here(void);

/* The machine's: what a thread does from its beginning. Never returns. */
void thread_main(uint32_t thread);

#endif
