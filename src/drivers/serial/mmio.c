/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every serial port, in memory or I/O ports, that sends a byte by one register write and says in another register
 * whether it can: the generator knows the offsets and bits of each kind (scripts/hvgen/uarts.py), so the
 * hypervisor needs no driver per kind. Baud rate and pins are the firmware's.
 */
#include <hv/layout.h>
#include <hv/port.h>
#include <hv/serial.h>

static inline __attribute__((always_inline)) uint32_t reg_read(uint32_t offset)
{
    uint64_t address = layout.uart.base.raw + offset;

    if (HV_HAS_PORTS && layout.uart.width == 0) {
        return port_read8((uint16_t)address);
    }
    switch (layout.uart.width) {
    case 1:  return mmio_read8(address);
    case 2:  return mmio_read16(address);
    default: return mmio_read32(address);
    }
}

static inline __attribute__((always_inline)) void reg_write(uint32_t offset, uint32_t value)
{
    uint64_t address = layout.uart.base.raw + offset;

    if (HV_HAS_PORTS && layout.uart.width == 0) {
        port_write8((uint16_t)address, (uint8_t)value);
    } else if (layout.uart.width <= 2) {
        mmio_write8(address, (uint8_t)value);
    } else {
        mmio_write32(address, value);
    }
}

static void reg_write_list(const struct layout_reg *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        reg_write(list[i].offset, list[i].value);
    }
}

void serial_init(void)
{
    reg_write_list(layout.uart.init, layout.uart.init_count);
}

void serial_receive_on(void)
{
    reg_write_list(layout.uart.rx_on, layout.uart.rx_on_count);
}

void serial_receive_ack(void)
{
    reg_write_list(&layout.uart.rx_ack, layout.uart.rx_ack_used);
}

uint32_t serial_write(const uint8_t *text, uint32_t count)
{
    const struct layout_uart *uart = &layout.uart;
    uint32_t mask = uart->tx_mask, ready = uart->tx_ready;
    uint32_t done = 0;

    if (uart->base.raw == 0) {
        return count;
    }
    while (done < count && (reg_read(uart->tx_status) & mask) == ready) {
        if (uart->tx_pre_count != 0) {
            reg_write_list(uart->tx_pre, uart->tx_pre_count);
        }
        reg_write(uart->tx, text[done++]);
    }
    return done;
}

int serial_get(void)
{
    const struct layout_uart *uart = &layout.uart;

    if (uart->base.raw == 0 || (reg_read(uart->rx_status) & uart->rx_mask) != uart->rx_ready) {
        return -1;
    }
    return (int)(reg_read(uart->rx) & 0xff);
}
