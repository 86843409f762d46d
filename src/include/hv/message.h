/* SPDX-License-Identifier: Apache-2.0 */
/* One message, put together on the stack before it goes out. */
#ifndef HV_MESSAGE_H
#define HV_MESSAGE_H

#include <stdarg.h>

#include <hv/types.h>

#define MESSAGE_SIZE  200u  /* what does not fit is cut off */

struct message {
    uint32_t count;
    char     text[MESSAGE_SIZE];
};

/* Appends: %s %c %u (uint32_t) %lu %lx (uint64_t) and nothing else; what the hypervisor says needs no more. */
void message_format(struct message *message, const char *format, va_list *args);

#endif
