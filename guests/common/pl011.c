/* SPDX-License-Identifier: Apache-2.0 */
/* ARM PrimeCell UART (DDI 0183), as UEFI or U-Boot leave it, and as Bulkhead's virtual UART shows it. */
#include "guest.h"

#define UARTDR    0x000
#define UARTFR    0x018
#define UARTLCRH  0x02c
#define UARTCR    0x030
#define UARTIFLS  0x034
#define UARTIMSC  0x038
#define UARTICR   0x044

#define UARTFR_RXFE  (1u << 4)
#define UARTFR_TXFF  (1u << 5)
#define UARTLCRH_8N1_FIFO  0x70u
#define UARTCR_ENABLE  0x301u      /* UARTEN, TXE, RXE */
#define UARTINT_RX  (1u << 4)
#define UARTINT_RT  (1u << 6)      /* receive timeout: fewer characters than the FIFO's trigger */

struct pl011 console;

void pl011_init(const struct pl011 *uart)
{
    mmio_write32(uart->base + UARTIMSC, 0);
    mmio_write32(uart->base + UARTLCRH, UARTLCRH_8N1_FIFO);
    mmio_write32(uart->base + UARTCR, UARTCR_ENABLE);
}

void pl011_put(const struct pl011 *uart, char c)
{
    while ((mmio_read32(uart->base + UARTFR) & UARTFR_TXFF) != 0) {
    }
    mmio_write32(uart->base + UARTDR, (uint8_t)c);
}

bool pl011_get(const struct pl011 *uart, char *c)
{
    if ((mmio_read32(uart->base + UARTFR) & UARTFR_RXFE) != 0) {
        return false;
    }
    *c = (char)(mmio_read32(uart->base + UARTDR) & 0xff);
    return true;
}

void pl011_rx_irq(const struct pl011 *uart)
{
    mmio_write32(uart->base + UARTIFLS, 0);
    mmio_write32(uart->base + UARTICR, UARTINT_RX | UARTINT_RT);
    mmio_write32(uart->base + UARTIMSC, UARTINT_RX | UARTINT_RT);
}

void pl011_ack(const struct pl011 *uart)
{
    mmio_write32(uart->base + UARTICR, UARTINT_RX | UARTINT_RT);
}

/* Typed characters, from the interrupt handler to console_line. */
static char typed[64];
static volatile uint32_t typed_head, typed_tail;

/* Empties the receive FIFO: its interrupt stands as long as something is in it. */
void console_irq(void)
{
    char c;
    pl011_ack(&console);
    while (pl011_get(&console, &c)) {
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
