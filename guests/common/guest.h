/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the bare-metal guests share. A guest learns what it has from what its boot loader hands over, a
 * devicetree on ARM64 and PVH's start information with ACPI tables on x86, and from nothing else; so the
 * same file runs without a hypervisor. What only one architecture has stands in its arch.h.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch.h"   /* mmio_*, irq_enable, irq_disable, idle, timer_now, timer_hz, core_id, struct trap */

#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Every guest: `early` is what its first instruction read, 0 but for the probe. Returning powers off. */
int main(uint64_t early);

/*
 * Called with interrupts masked for each interrupt before its end is signalled. ARM64: INTID, all but
 * 1020..1023; x86: vector, without the exceptions.
 */
void guest_irq(uint32_t irq);

/* start.S, guest.ld */
extern char image_start[], image_end[];

/* ------------------------------------------------------------------ string.c, print.c */
void *memset(void *to, int byte, size_t count);
void *memcpy(void *to, const void *from, size_t count);
int memcmp(const void *a, const void *b, size_t count);
size_t strlen(const char *s);
bool str_equal(const char *a, const char *b);
bool str_prefix(const char *s, const char *prefix);
uint64_t str_number(const char *s, const char **end);  /* decimal, or hexadecimal with 0x */

/* %c %s %d %u %x with l, a field width, and 0 or - before it. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_to(void (*put)(char), const char *format, va_list args);

/* ------------------------------------------------------------------ machine.c: what there is */
struct range { uint64_t base, size; };

void machine_open(const void *given);                    /* what the first instruction was given */
uint32_t machine_memory(struct range *ranges, uint32_t room);
bool machine_keeps(uint64_t page);                       /* RAM that holds the image or what was handed over */
uint32_t machine_cpus(uint64_t *ids, uint32_t room);     /* how many there are, maybe more than room */
const char *machine_arguments(void);                     /* command line, "" if none */
uint64_t machine_argument(const char *key, uint64_t otherwise);  /* the number behind `key`, which ends in '=' */
bool machine_console(uint64_t *base, uint32_t *irq);
void machine_info(void);                                 /* prints the rest, for a person */

int64_t cpu_start(uint64_t id, void (*run)(void));       /* 0, or an error; run must not return */
void cpu_stop(void) __attribute__((noreturn));           /* this core */
void power_off(void) __attribute__((noreturn));
void power_reset(void) __attribute__((noreturn));

/* ------------------------------------------------------------------ uart.c: PL011 or 16550; console.c */
struct uart { uint64_t base; uint32_t intid; };

void uart_init(const struct uart *uart);
void uart_put(const struct uart *uart, char c);
bool uart_get(const struct uart *uart, char *c);
void uart_rx_irq(const struct uart *uart);               /* let receive interrupts through */
void uart_ack(const struct uart *uart);

extern struct uart console;                              /* base 0: none */
void console_irq(void);                                  /* a guest's handler of console.intid */
bool console_line(char *line, size_t room);              /* echoes what was typed; true: a line is whole */

/* ------------------------------------------------------------------ interrupts, time */
void line_init(void);                                    /* the interrupt controller, and this core */
void line_on(uint32_t irq);
void line_off(uint32_t irq);
void listen_to_neighbours(void);                         /* interrupts that only another core sends */

uint32_t timer_irq(void);
void timer_at(uint64_t when);
void timer_off(void);
uint64_t timer_ns(uint64_t ticks);

/* ------------------------------------------------------------------ watchdog.c */
#define WATCHDOG_WS0  2u                                 /* in its status: warned, and why the last life ended */
#define WATCHDOG_WS1  4u

bool watchdog_open(uint32_t *irq);                       /* false: there is none. *irq: 0: it does not warn */
uint64_t watchdog_half(void);                            /* counts from a refresh to the interrupt, and on to the end */
void watchdog_set_half(uint64_t counts);
uint32_t watchdog_status(void);
void watchdog_refresh(void);

/* ------------------------------------------------------------------ monitor.c: docs/guest-abi.md, Monitor */
#define MONITOR_CALLS  0xc6000000u
enum { MONITOR_INFO, MONITOR_NAME, MONITOR_STOP, MONITOR_START, MONITOR_RESTART, MONITOR_EVENT, MONITOR_NORMAL };
#define MONITOR_SELF   UINT64_MAX

int64_t monitor_call(uint32_t function, uint64_t partition, uint64_t answer[5]);

/* ------------------------------------------------------------------ trap.c */
/* Runs call(argument); false if it met a synchronous exception, which last_trap then describes. */
bool trap_try(void (*call)(uint64_t), uint64_t argument);
extern struct trap last_trap;

#endif
