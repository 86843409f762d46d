/* SPDX-License-Identifier: Apache-2.0 */
/* Between print.c and console.c: one message of the hypervisor, character by character. */
#ifndef HV_CONSOLE_OUT_H
#define HV_CONSOLE_OUT_H

#include <hv/types.h>

/* Takes the port, waiting at most a moment for another core's message; messages are never lost. */
void console_out_begin(void);
void console_out(uint8_t character);
void console_out_end(void);

#endif
