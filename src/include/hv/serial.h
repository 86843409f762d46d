/* SPDX-License-Identifier: Apache-2.0 */
/* The physical serial port, driven by the numbers in layout.uart. */
#ifndef HV_SERIAL_H
#define HV_SERIAL_H

#include <hv/types.h>

void serial_init(void);
void serial_receive_on(void);
void serial_receive_ack(void);

/* Sends one character if the port takes it now. */
bool serial_put(uint8_t character);

/* A received character, or -1. */
int serial_get(void);

#endif
