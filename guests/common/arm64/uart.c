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

void uart_init(const struct uart *uart)
{
    mmio_write32(uart->base + UARTIMSC, 0);
    mmio_write32(uart->base + UARTLCRH, UARTLCRH_8N1_FIFO);
    mmio_write32(uart->base + UARTCR, UARTCR_ENABLE);
}

void uart_put(const struct uart *uart, char c)
{
    while ((mmio_read32(uart->base + UARTFR) & UARTFR_TXFF) != 0) {
    }
    mmio_write32(uart->base + UARTDR, (uint8_t)c);
}

bool uart_get(const struct uart *uart, char *c)
{
    if ((mmio_read32(uart->base + UARTFR) & UARTFR_RXFE) != 0) {
        return false;
    }
    *c = (char)(mmio_read32(uart->base + UARTDR) & 0xff);
    return true;
}

void uart_rx_irq(const struct uart *uart)
{
    mmio_write32(uart->base + UARTIFLS, 0);
    mmio_write32(uart->base + UARTICR, UARTINT_RX | UARTINT_RT);
    mmio_write32(uart->base + UARTIMSC, UARTINT_RX | UARTINT_RT);
}

void uart_ack(const struct uart *uart)
{
    mmio_write32(uart->base + UARTICR, UARTINT_RX | UARTINT_RT);
}
