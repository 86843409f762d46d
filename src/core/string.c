/* SPDX-License-Identifier: Apache-2.0 */
/* The two functions that a freestanding compiler may call for initialisers and struct copies (C11 4 6). */
#include <hv/string.h>

void *memset(void *target, int value, size_t size)
{
    volatile uint8_t *bytes = target;

    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)value;
    }
    return target;
}

void *memcpy(void *target, const void *source, size_t size)
{
    volatile uint8_t *to = target;
    const uint8_t *from = source;

    for (size_t i = 0; i < size; i++) {
        to[i] = from[i];
    }
    return target;
}
