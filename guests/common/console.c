/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

struct uart console;

/* Typed characters, from the interrupt handler to console_line. */
static char typed[64];
static volatile uint32_t typed_head, typed_tail;

/* Empties the receive FIFO: its interrupt stands as long as something is in it. */
void console_irq(void)
{
    char c;
    uart_ack(&console);
    while (uart_get(&console, &c)) {
        if (typed_head - typed_tail < sizeof(typed)) {
            typed[typed_head % sizeof(typed)] = c;
            typed_head++;
        }
    }
}

/* Echoes what is typed, takes backspace, gives a line out at return. */
bool console_line(char *line, size_t room)
{
    static size_t used;
    while (typed_head != typed_tail) {
        char c = typed[typed_tail % sizeof(typed)];
        typed_tail++;
        if (c == '\r' || c == '\n') {
            print("\n");
            line[used] = '\0';
            used = 0;
            return true;
        }
        if (c == '\b' || c == 0x7f) {
            if (used > 0) {
                used--;
                print("\b \b");
            }
        } else if (c >= ' ' && used + 1 < room) {
            line[used++] = c;
            print("%c", c);
        }
    }
    return false;
}
