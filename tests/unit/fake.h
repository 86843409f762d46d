/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A board for unit tests: a layout with three partitions, a serial port that records what it is sent, a
 * clock that the test turns, and an arch layer that counts what it was asked for.
 */
#ifndef FAKE_H
#define FAKE_H

#include <hv/layout.h>
#include <hv/types.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FAKE_PARTITIONS 3u
#define FAKE_CPUS       4u

extern char     fake_out[65536];   /* what the port has sent, a C string */
extern uint32_t fake_out_count;
extern void (*fake_meanwhile)(void);  /* what another core does while characters are sent; once */
extern uint32_t fake_port_room;    /* characters that the port still takes at once */
extern uint32_t fake_port_refill;  /* and what it takes more with every look at the clock */
extern uint64_t fake_time;         /* nanoseconds */
extern uint32_t fake_kicks[FAKE_CPUS];
extern bool     fake_console_irq;  /* arch_console_irq() */
extern uint64_t fake_alarm;        /* what arch_alarm() was asked for last */
extern uint32_t fake_withdrawn, fake_resets, fake_board_resets, fake_board_offs;
extern bool     fake_line[FAKE_PARTITIONS];  /* level of each partition's vUART interrupt */
extern jmp_buf  fake_halt;         /* arch_halt() comes back here with 1 */
extern bool     fake_sum_differs;

void fake_reset(void);
void fake_type(const char *keys);  /* characters that come in on the port */

/* Runs a statement that must end in a panic; the text is in fake_out afterwards. */
#define expect_panic(statement) do {                                   \
        if (setjmp(fake_halt) == 0) {                                   \
            statement;                                                  \
            fail_msg("no panic");                                       \
        }                                                               \
    } while (0)

#endif
