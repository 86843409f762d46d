/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual UART: the registers of a PL011 (DDI 0183G 3.2) that its drivers use. Transmitted characters
 * go to the console's ring; received ones wait here until the guest reads them.
 */
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/vuart.h>
#include <hv/vuart_fifo.h>

#define DR     0x000u
#define FR     0x018u
#define CR     0x030u
#define IMSC   0x038u
#define RIS    0x03cu
#define MIS    0x040u
#define ICR    0x044u
#define ID     0xfe0u

#define FR_RXFE  (1u << 4)
#define FR_TXFF  (1u << 5)
#define FR_RXFF  (1u << 6)
#define FR_TXFE  (1u << 7)
#define INT_RX   (1u << 4)
#define INT_TX   (1u << 5)

#define REG_COUNT  8u   /* IBRD .. DMACR that only have to read back: 0x20 .. 0x3c */

struct vuart {
    struct vuart_fifo fifo;
    uint32_t cleared;              /* value of fifo.head when the guest last cleared INT_RX */
    uint32_t mask, raw_tx;         /* IMSC; INT_TX from a write until it is cleared */
    uint32_t control[REG_COUNT];   /* registers 0x20..0x3c that have no effect here */
};

static struct vuart vuarts[LAYOUT_MAX_PARTITIONS] HV_LATE;
static const uint8_t identification[8] = { 0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

static uint32_t vuart_raw(const struct vuart *vuart)
{
    uint32_t head = __atomic_load_n(&vuart->fifo.head, __ATOMIC_ACQUIRE);

    return vuart->raw_tx | (head != vuart->fifo.tail && head != vuart->cleared ? INT_RX : 0);
}

static void vuart_line(uint32_t partition)
{
    const struct layout_partition *config = &layout.partitions[partition];
    const struct vuart *vuart = &vuarts[partition];

    arch_irq_line(config, config->vuart.intid, (vuart_raw(vuart) & vuart->mask) != 0);
}

void vuart_reset(uint32_t partition)
{
    struct vuart *vuart = &vuarts[partition];

    vuart->fifo.tail = vuart->fifo.head;
    vuart->mask = 0;
    vuart->cleared = vuart->fifo.head;
    vuart->raw_tx = 0;
    for (uint32_t i = 0; i < REG_COUNT; i++) {
        vuart->control[i] = 0;
    }
    vuart->control[(CR - 0x20u) / 4u] = 0x300u;  /* TXE and RXE, DDI 0183G 3.3.8 */
}

static uint32_t read_data(uint32_t partition)
{
    struct vuart *vuart = &vuarts[partition];
    uint8_t character;

    if (fifo_count(&vuart->fifo) == 0) {
        return 0;
    }
    character = fifo_get(&vuart->fifo);
    vuart_line(partition);
    return character;
}

static uint32_t read_flags(uint32_t partition)
{
    uint32_t count = fifo_count(&vuarts[partition].fifo);

    return (count == 0 ? FR_RXFE : 0) | (count >= VUART_FIFO_SIZE ? FR_RXFF : 0) |
           (console_ready(partition) ? FR_TXFE : FR_TXFF);
}

uint64_t vuart_read(uint32_t partition, uint64_t offset)
{
    const struct vuart *vuart = &vuarts[partition];

    switch (offset) {
    case DR:   return read_data(partition);
    case FR:   return read_flags(partition);
    case IMSC: return vuart->mask;
    case RIS:  return vuart_raw(vuart);
    case MIS:  return vuart_raw(vuart) & vuart->mask;
    default:
        break;
    }
    if (offset >= 0x20u && offset < 0x20u + 4u * REG_COUNT) {
        return vuart->control[(offset - 0x20u) / 4u];
    }
    return offset >= ID && offset < 0x1000u ? identification[(offset - ID) / 4u] : 0;
}

void vuart_write(uint32_t partition, uint64_t offset, uint64_t value)
{
    struct vuart *vuart = &vuarts[partition];

    switch (offset) {
    case DR:
        (void)console_put(partition, (uint8_t)value);
        vuart->raw_tx = INT_TX;
        break;
    case IMSC:
        vuart->mask = (uint32_t)value & 0x7ffu;
        break;
    case ICR:
        vuart->raw_tx &= ~(uint32_t)value;
        if ((value & INT_RX) != 0) {
            vuart->cleared = vuart->fifo.head;
        }
        break;
    default:
        if (offset >= 0x20u && offset < 0x20u + 4u * REG_COUNT) {
            vuart->control[(offset - 0x20u) / 4u] = (uint32_t)value & 0xffffu;
        }
        return;
    }
    vuart_line(partition);
}

bool vuart_has_room(uint32_t partition)
{
    return layout.partitions[partition].vuart.intid == 0 || fifo_count(&vuarts[partition].fifo) < VUART_FIFO_SIZE;
}

bool vuart_receive(uint32_t partition, uint8_t character)
{
    struct vuart *vuart = &vuarts[partition];

    if (layout.partitions[partition].vuart.intid == 0 || fifo_count(&vuart->fifo) >= VUART_FIFO_SIZE) {
        return false;
    }
    fifo_put(&vuart->fifo, character);
    vuart_line(partition);
    return true;
}
