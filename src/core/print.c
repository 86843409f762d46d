/* SPDX-License-Identifier: Apache-2.0 */
/* Formatting for the hypervisor's own messages: no buffer, no allocation, digits on the stack. */
#include <stdarg.h>

#include <hv/arch.h>
#include <hv/console.h>
#include <hv/console_out.h>

static void put_text(const char *text)
{
    while (*text != '\0') {
        console_out((uint8_t)*text++);
    }
}

static void put_number(uint64_t value, unsigned int base)
{
    char digits[20];
    unsigned int count = 0;

    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (count > 0) {
        console_out((uint8_t)digits[--count]);
    }
}

/* %s %c %u %lu %lx and nothing else: what the hypervisor says needs no more. */
static void print_list(const char *format, va_list args)
{
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            console_out((uint8_t)*format);
            continue;
        }
        format++;
        if (*format == 's') {
            put_text(va_arg(args, const char *));
        } else if (*format == 'c') {
            console_out((uint8_t)va_arg(args, int));
        } else if (*format == 'u') {
            put_number(va_arg(args, uint32_t), 10);
        } else {
            format++;
            put_number(va_arg(args, uint64_t), *format == 'x' ? 16 : 10);
        }
    }
}

void print(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    console_out_begin();
    print_list(format, args);
    console_out_end();
    va_end(args);
}

void panic(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    console_out_begin();
    put_text("PANIC: ");
    print_list(format, args);
    console_out('\n');
    console_out_end();
    va_end(args);
    arch_halt();
}
