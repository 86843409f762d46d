/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual UART on x86: the registers of a 16550A (National PC16550D 8) that its drivers use. Transmitted
 * characters go to the console's ring, by way of a FIFO as in the chip: who has seen it empty may write 16 of them.
 * Received ones wait here until the guest reads them.
 */
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/vuart.h>
#include <hv/vuart_fifo.h>

#define DATA   0u   /* RBR, THR; DLL with DLAB */
#define IER    1u   /* DLM with DLAB */
#define IIR    2u   /* FCR when written */
#define LCR    3u
#define MCR    4u
#define LSR    5u
#define MSR    6u
#define SCR    7u

#define IER_RX       (1u << 0)
#define IER_TX       (1u << 1)
#define IIR_NONE     0x01u
#define IIR_TX       0x02u
#define IIR_RX       0x04u
#define IIR_FIFO     0xc0u
#define FCR_ON       (1u << 0)
#define FCR_CLEAR_RX (1u << 1)
#define FCR_CLEAR_TX (1u << 2)
#define LCR_DLAB     (1u << 7)
#define MCR_LOOP     (1u << 4)
#define LSR_RX       (1u << 0)
#define LSR_TX       0x60u           /* holding register and transmitter empty */
#define MSR_LINES    0xb0u           /* carrier, data set ready, clear to send */
#define TX_SIZE      16u

struct vuart {
    uint8_t ier, lcr, mcr, scr, fcr, divisor[2];
    bool    tx_empty;                /* the interrupt of an empty holding register waits to be seen */
    uint8_t tx[TX_SIZE];             /* what the console's ring has not taken yet */
    uint32_t tx_count, tx_at;        /* atomic; the first never above TX_SIZE */
    struct vuart_fifo fifo;
};

static struct vuart vuarts[LAYOUT_MAX_PARTITIONS] HV_LATE;

/* What IIR says, highest priority first. */
static uint32_t vuart_cause(const struct vuart *vuart)
{
    if ((vuart->ier & IER_RX) != 0 && fifo_count(&vuart->fifo) != 0) {
        return IIR_RX;
    }
    return (vuart->ier & IER_TX) != 0 && vuart->tx_empty ? IIR_TX : IIR_NONE;
}

/*
 * The guest's core and the console's core both come here, after each has changed what the other looks at: the fence
 * makes one of them see it.
 */
static void vuart_line(uint32_t partition)
{
    const struct layout_partition *config = &layout.partitions[partition];

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    arch_irq_line(config, config->vuart.intid, vuart_cause(&vuarts[partition]) != IIR_NONE);
}

/* An edge for what there is still to do: the line goes down in between. */
static void vuart_edge(uint32_t partition)
{
    arch_irq_line(&layout.partitions[partition], layout.partitions[partition].vuart.intid, false);
    vuart_line(partition);
}

/*
 * True if the console has taken everything that waited, and would take more: a guest that looks before each character
 * leaves none behind here. Two vcpus that come here at once mix their characters up, but
 * an index is looked at before it is used, and never read a second time.
 */
static bool tx_flush(struct vuart *vuart, uint32_t partition)
{
    uint32_t count = __atomic_load_n(&vuart->tx_count, __ATOMIC_RELAXED);
    uint32_t at = __atomic_load_n(&vuart->tx_at, __ATOMIC_RELAXED);

    while (at < count && console_put(partition, vuart->tx[at])) {
        at++;
    }
    __atomic_store_n(&vuart->tx_at, at < count ? at : 0, __ATOMIC_RELAXED);
    __atomic_store_n(&vuart->tx_count, at < count ? count : 0, __ATOMIC_RELAXED);
    return at >= count && console_ready(partition);
}

static void tx_put(struct vuart *vuart, uint32_t partition, uint8_t character)
{
    uint32_t count = __atomic_load_n(&vuart->tx_count, __ATOMIC_RELAXED);

    if (count < TX_SIZE) {
        vuart->tx[count] = character;
        __atomic_store_n(&vuart->tx_count, count + 1u, __ATOMIC_RELAXED);
        (void)tx_flush(vuart, partition);
    }
}

void vuart_reset(uint32_t partition)
{
    struct vuart *vuart = &vuarts[partition];

    vuart->ier = vuart->lcr = vuart->mcr = vuart->scr = vuart->fcr = 0;
    vuart->divisor[0] = vuart->divisor[1] = 0;
    vuart->tx_empty = false;
    vuart->tx_count = vuart->tx_at = 0;
    vuart->fifo.tail = vuart->fifo.head;
    vuart_line(partition);
}

static uint64_t read_data(struct vuart *vuart, uint32_t partition)
{
    uint8_t character = 0;

    if (fifo_count(&vuart->fifo) != 0) {
        character = fifo_get(&vuart->fifo);
        vuart_edge(partition);
    }
    return character;
}

static uint64_t read_cause(struct vuart *vuart, uint32_t partition)
{
    uint32_t cause = vuart_cause(vuart);

    /* Where the console has no room the cause stays, and the guest comes back for it. */
    if (cause == IIR_TX && tx_flush(vuart, partition)) {
        vuart->tx_empty = false;
    }
    if (cause != IIR_RX) {
        vuart_edge(partition);
    }
    return cause | ((vuart->fcr & FCR_ON) != 0 ? IIR_FIFO : 0);
}

/* In loop-back mode drivers look for their modem outputs at the inputs, which is how they find the chip. */
static uint64_t modem_status(const struct vuart *vuart)
{
    uint32_t out = vuart->mcr;

    if ((out & MCR_LOOP) == 0) {
        return MSR_LINES;
    }
    return (out & 2u) << 3 | (out & 1u) << 5 | (out & 4u) << 4 | (out & 8u) << 4;
}

uint64_t vuart_read(uint32_t partition, uint64_t offset)
{
    struct vuart *vuart = &vuarts[partition];

    if (offset <= IER && (vuart->lcr & LCR_DLAB) != 0) {
        return vuart->divisor[offset];
    }
    switch (offset) {
    case DATA: return read_data(vuart, partition);
    case IER:  return vuart->ier;
    case IIR:  return read_cause(vuart, partition);
    case LCR:  return vuart->lcr;
    case MCR:  return vuart->mcr;
    case LSR:  return (fifo_count(&vuart->fifo) != 0 ? LSR_RX : 0) | (tx_flush(vuart, partition) ? LSR_TX : 0);
    case MSR:  return modem_status(vuart);
    default:   return vuart->scr;
    }
}

static void write_data(struct vuart *vuart, uint32_t partition, uint8_t value)
{
    if ((vuart->mcr & MCR_LOOP) != 0) {
        if (fifo_count(&vuart->fifo) < VUART_FIFO_SIZE) {
            fifo_put(&vuart->fifo, value);
        }
    } else {
        tx_put(vuart, partition, value);
    }
    vuart->tx_empty = true;
    vuart_edge(partition);
}

/* Enabling the transmit interrupt with an empty holding register raises it. */
static void write_ier(struct vuart *vuart, uint32_t partition, uint8_t value)
{
    vuart->tx_empty = vuart->tx_empty || ((value & ~vuart->ier) & IER_TX) != 0;
    vuart->ier = value & 0xfu;
    vuart_line(partition);
}

void vuart_write(uint32_t partition, uint64_t offset, uint64_t value)
{
    struct vuart *vuart = &vuarts[partition];
    uint8_t byte = (uint8_t)value;

    if (offset <= IER && (vuart->lcr & LCR_DLAB) != 0) {
        vuart->divisor[offset] = byte;
        return;
    }
    switch (offset) {
    case DATA:
        write_data(vuart, partition, byte);
        break;
    case IER:
        write_ier(vuart, partition, byte);
        break;
    case IIR:
        vuart->fcr = byte;
        if ((byte & FCR_CLEAR_TX) != 0) {
            vuart->tx_count = vuart->tx_at = 0;
        }
        if ((byte & FCR_CLEAR_RX) != 0) {
            vuart->fifo.tail = __atomic_load_n(&vuart->fifo.head, __ATOMIC_ACQUIRE);
            vuart_line(partition);
        }
        break;
    case LCR:
        vuart->lcr = byte;
        break;
    case MCR:
        vuart->mcr = byte & 0x1fu;
        break;
    case SCR:
        vuart->scr = byte;
        break;
    default:
        break;
    }
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
