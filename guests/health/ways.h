/* SPDX-License-Identifier: Apache-2.0 */
/* Ways for a guest not to come back, and to registers, as far as they need the architecture. */
#ifndef WAYS_H
#define WAYS_H

#include <stdint.h>

void way_spin(void) __attribute__((noreturn));     /* interrupts off */
void way_sleep(void) __attribute__((noreturn));    /* waits for interrupts, of which it lets none through */
void way_suspend(void) __attribute__((noreturn));  /* the same through its firmware */
void way_faults(void) __attribute__((noreturn));   /* an exception whose handler faults, and so on */


/* A register: in memory, on x86 below 64 KiB in an I/O port of 8 bits. */
uint32_t way_peek(uint64_t address);
void way_poke(uint64_t address, uint32_t value);

#endif
