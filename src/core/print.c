/* SPDX-License-Identifier: Apache-2.0 */
/* Formatting for the hypervisor's own messages: into a buffer on the stack, no allocation. */
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/features.h>
#include <hv/message.h>

static inline void put(struct message *message, char character)
{
    if (message->count < MESSAGE_SIZE) {
        message->text[message->count++] = character;
    }
}

static void put_text(struct message *message, const char *text)
{
    while (*text != '\0') {
        put(message, *text++);
    }
}

static void put_number(struct message *message, uint64_t value, unsigned int base)
{
    char digits[20];
    unsigned int count = 0;

    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (count > 0) {
        put(message, digits[--count]);
    }
}

void message_format(struct message *message, const char *format, va_list *args)
{
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            put(message, *format);
            continue;
        }
        format++;
        if (*format == 's') {
            put_text(message, va_arg(*args, const char *));
        } else if (*format == 'c') {
            put(message, (char)va_arg(*args, int));
        } else if (*format == 'u') {
            put_number(message, va_arg(*args, uint32_t), 10);
        } else {
            format++;
            put_number(message, va_arg(*args, uint64_t), *format == 'x' ? 16 : 10);
        }
    }
}

void print(const char *format, ...)
{
    struct message message;
    va_list args;

    message.count = 0;
    va_start(args, format);
    message_format(&message, format, &args);
    va_end(args);
    if (HV_POOLS) {
        console_later(message.text, message.count);
    } else {
        console_message(message.text, message.count);
    }
}

void panic(const char *format, ...)
{
    struct message message;
    va_list args;

    message.count = 0;
    put_text(&message, "PANIC: ");
    va_start(args, format);
    message_format(&message, format, &args);
    va_end(args);
    console_message(message.text, message.count);
    console_message("\n", 1);
    arch_halt();
}
