/* SPDX-License-Identifier: Apache-2.0 */
/* 16550, by I/O ports, at 115200 baud 8N1 (with the usual clock of 1.8432 MHz). */
#include "guest.h"

#define RBR  0u    /* read: received character; write: character to send */
#define IER  1u
#define FCR  2u
#define LCR  3u
#define MCR  4u
#define LSR  5u

#define IER_RX        0x01u
#define FCR_ENABLE    0x01u
#define LCR_8N1       0x03u
#define LCR_DLAB      0x80u
#define MCR_DTR_RTS_OUT2  0x0bu   /* OUT2 lets the interrupt reach the line */
#define LSR_DR        0x01u
#define LSR_THRE      0x20u

static uint16_t port(const struct uart *uart, uint32_t reg)
{
    return (uint16_t)(uart->base + reg);
}

void uart_init(const struct uart *uart)
{
    port_write8(port(uart, IER), 0);
    port_write8(port(uart, LCR), LCR_DLAB | LCR_8N1);
    port_write8(port(uart, 0), 1);
    port_write8(port(uart, 1), 0);
    port_write8(port(uart, LCR), LCR_8N1);
    port_write8(port(uart, FCR), FCR_ENABLE);     /* clears the FIFOs only if they were off */
    port_write8(port(uart, MCR), MCR_DTR_RTS_OUT2);
}

void uart_put(const struct uart *uart, char c)
{
    while ((port_read8(port(uart, LSR)) & LSR_THRE) == 0) {
    }
    port_write8(port(uart, RBR), (uint8_t)c);
}

bool uart_get(const struct uart *uart, char *c)
{
    if ((port_read8(port(uart, LSR)) & LSR_DR) == 0) {
        return false;
    }
    *c = (char)port_read8(port(uart, RBR));
    return true;
}

/* An interrupt at each character, and now if one has come. The line is edge-triggered: it is low before. */
void uart_rx_irq(const struct uart *uart)
{
    port_write8(port(uart, IER), 0);
    port_write8(port(uart, IER), IER_RX);
}

void uart_ack(const struct uart *uart)
{
    (void)uart;               /* reading what came is enough */
}
