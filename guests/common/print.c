/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

struct field {
    bool left, zeros, is_long;
    int width;
};

static void put_field(void (*put)(char), const char *text, const struct field *field)
{
    int pad = field->width - (int)strlen(text);
    for (; !field->left && pad > 0; pad--) {
        put(field->zeros ? '0' : ' ');
    }
    while (*text != '\0') {
        put(*text++);
    }
    for (; pad > 0; pad--) {
        put(' ');
    }
}

static void put_number(void (*put)(char), uint64_t value, uint32_t base, bool negative,
                       const struct field *field)
{
    char text[24];
    char *at = &text[sizeof(text) - 1];
    *at = '\0';
    do {
        *--at = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    if (negative) {
        *--at = '-';
    }
    put_field(put, at, field);
}

static const char *read_field(const char *format, struct field *field)
{
    *field = (struct field){0};
    for (; *format == '-' || *format == '0'; format++) {
        field->left |= *format == '-';
        field->zeros |= *format == '0';
    }
    for (; *format >= '0' && *format <= '9'; format++) {
        field->width = field->width * 10 + (*format - '0');
    }
    for (; *format == 'l'; format++) {
        field->is_long = true;
    }
    return format;
}

void print_to(void (*put)(char), const char *format, va_list args)
{
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        struct field field;
        format = read_field(format + 1, &field);
        switch (*format) {
        case 'c': {
            char text[2] = {(char)va_arg(args, int), '\0'};
            put_field(put, text, &field);
            break;
        }
        case 's':
            put_field(put, va_arg(args, const char *), &field);
            break;
        case 'd': {
            int64_t value = field.is_long ? va_arg(args, int64_t) : va_arg(args, int);
            put_number(put, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, value < 0, &field);
            break;
        }
        case 'u':
        case 'x': {
            uint64_t value = field.is_long ? va_arg(args, uint64_t) : va_arg(args, unsigned int);
            put_number(put, value, *format == 'x' ? 16 : 10, false, &field);
            break;
        }
        case '\0':
            return;
        default:
            put(*format);
        }
    }
}

static void put_console(char c)
{
    if (c == '\n') {
        uart_put(&console, '\r');
    }
    uart_put(&console, c);
}

void print(const char *format, ...)
{
    va_list args;
    if (console.base == 0) {
        return;
    }
    va_start(args, format);
    print_to(put_console, format, args);
    va_end(args);
}
