/* SPDX-License-Identifier: Apache-2.0 */
/* The physical serial port, driven by the numbers in layout.uart. */
#ifndef HV_SERIAL_H
#define HV_SERIAL_H

#include <hv/types.h>

void serial_init(void);
void serial_receive_on(void);
void serial_receive_ack(void);

/* Sends characters for as long as the port takes them at once; returns how many it took. */
uint32_t serial_write(const uint8_t *text, uint32_t count);

/* A received character, or -1. */
int serial_get(void);

#endif
