/* SPDX-License-Identifier: Apache-2.0 */
/* Called by compiled code only. */
#ifndef HV_STRING_H
#define HV_STRING_H

#include <hv/types.h>

void *memset(void *target, int value, size_t size);
void *memcpy(void *target, const void *source, size_t size);

#endif
