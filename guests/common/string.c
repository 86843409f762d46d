/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

/* Keeps the compiler from making a call of memset out of the loop that is memset. */
#define NOT_AN_IDIOM() __asm__ volatile("" ::: "memory")

void *memset(void *to, int byte, size_t count)
{
    uint8_t *out = to;
    while (count-- > 0) {
        *out++ = (uint8_t)byte;
        NOT_AN_IDIOM();
    }
    return to;
}

void *memcpy(void *to, const void *from, size_t count)
{
    uint8_t *out = to;
    const uint8_t *in = from;
    while (count-- > 0) {
        *out++ = *in++;
        NOT_AN_IDIOM();
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t count)
{
    const uint8_t *x = a, *y = b;
    for (; count > 0; count--, x++, y++) {
        if (*x != *y) {
            return *x - *y;
        }
    }
    return 0;
}

size_t strlen(const char *s)
{
    size_t count = 0;
    while (s[count] != '\0') {
        count++;
        NOT_AN_IDIOM();
    }
    return count;
}

bool str_equal(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

bool str_prefix(const char *s, const char *prefix)
{
    while (*prefix != '\0' && *s == *prefix) {
        s++;
        prefix++;
    }
    return *prefix == '\0';
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return 16;
}

uint64_t str_number(const char *s, const char **end)
{
    int base = 10;
    uint64_t value = 0;
    if (str_prefix(s, "0x")) {
        base = 16;
        s += 2;
    }
    for (int digit = digit_value(*s); digit < base; digit = digit_value(*++s)) {
        value = value * (uint64_t)base + (uint64_t)digit;
    }
    if (end != NULL) {
        *end = s;
    }
    return value;
}
