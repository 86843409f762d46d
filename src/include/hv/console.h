/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One serial port for everybody: the hypervisor's messages and the virtual UARTs of partitions, each line
 * with its owner's name before it. A writer never waits for the port or for another partition: what the
 * port does not take at once stays in the writer's ring.
 */
#ifndef HV_CONSOLE_H
#define HV_CONSOLE_H

#include <hv/layout.h>
#include <hv/types.h>

/* The port becomes usable; polled from here on. Needs no stack beyond the caller's and no MMU. */
void console_init(void);

/* From here on several cores print: the port is locked while one of them does. */
void console_share(void);

/* Lets receive interrupts through; called on the core that takes them. */
void console_input_on(void);

/* Hypervisor message: %s string, %u uint32_t, %lu uint64_t, %lx uint64_t in hex, %c. Ends lines with \n. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, ready made: `count` characters, of which \n end lines. Waits for the port, but not for ever. */
void console_message(const char *text, uint32_t count);

/*
 * As console_message(), but a pool's vcpu does not wait, since others share its core: what the port does not take at
 * once is kept and follows; what does not fit is lost, and that is said.
 */
void console_later(const char *text, uint32_t count);

/* The board cannot go on: prints the sentence and halts this core. */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One character of a partition. False: its ring is full, nothing was taken. */
bool console_put(uint32_t partition, uint8_t character);

/* True if console_put() would take a character; gives waiting output another chance. */
bool console_ready(uint32_t partition);

/* The receive interrupt: moves characters to the partition that has the focus; Ctrl-a commands. */
void console_input(void);

/* On the console's core, after a kick or its alarm: output that waits goes on. */
void console_tick(void);

#endif
