/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared memory is read and written in whole, aligned words of 8 bytes, as it may be device memory to the guest.
 * One side's stores are ordered by fences; each word has one writer.
 */
#include "arinc_ports.h"

#include <stddef.h>

#define WORD      8u
#define TRIES     4u              /* a source that writes twice during each of them outruns the reader */
#define MOST      (1u << 24)      /* longest message and most messages: sizes cannot overflow */

static uint64_t load(uint64_t address)
{
    return *(volatile const uint64_t *)(uintptr_t)address;
}

static void store(uint64_t address, uint64_t value)
{
    *(volatile uint64_t *)(uintptr_t)address = value;
}

static void fence(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static uint64_t padded(uint32_t length)
{
    return ((uint64_t)length + WORD - 1u) / WORD * WORD;
}

static void copy_in(uint64_t to, const void *message, uint32_t length)
{
    const uint64_t *words = message;
    const uint8_t *bytes = message;
    uint32_t whole = length / WORD;
    uint64_t last = 0;

    for (uint32_t i = 0; i < whole; i++, to += WORD) {
        store(to, words[i]);
    }
    for (uint32_t i = 0; i < length % WORD; i++) {
        last |= (uint64_t)bytes[whole * WORD + i] << (8u * i);
    }
    if (length % WORD != 0) {
        store(to, last);
    }
}

static void copy_out(void *message, uint64_t from, uint32_t length)
{
    uint64_t *words = message;
    uint8_t *bytes = message;
    uint32_t whole = length / WORD;
    uint64_t last;

    for (uint32_t i = 0; i < whole; i++, from += WORD) {
        words[i] = load(from);
    }
    last = length % WORD != 0 ? load(from) : 0;
    for (uint32_t i = 0; i < length % WORD; i++) {
        bytes[whole * WORD + i] = (uint8_t)(last >> (8u * i));
    }
}

/* ---------------------------------------------------------------- sampling */

/* A word with the number of the last whole message; then two slots of number, time, length, message. */
#define SLOT_TIME    WORD
#define SLOT_LENGTH  (2u * WORD)
#define SLOT_DATA    (3u * WORD)

static uint64_t slot_of(const struct sampling_port *port, uint64_t number)
{
    return port->base + WORD + number % 2u * (SLOT_DATA + padded(port->room));
}

uint64_t sampling_size(uint32_t room)
{
    return WORD + 2u * (SLOT_DATA + padded(room));
}

bool sampling_open_destination(struct sampling_port *port, uint64_t base, uint64_t size, uint32_t room, uint64_t period)
{
    *port = (struct sampling_port){ .base = base, .room = room, .period = period };
    return base % WORD == 0 && room != 0 && room <= MOST && sampling_size(room) <= size;
}

bool sampling_open_source(struct sampling_port *port, uint64_t base, uint64_t size, uint32_t room)
{
    if (!sampling_open_destination(port, base, size, room, 0)) {
        return false;
    }
    port->number = load(base);
    return true;
}

/* The slot that is not the last message's is written, and only then called the last: a reader always finds a whole one. */
enum port_status sampling_write(struct sampling_port *port, const void *message, uint32_t length, uint64_t now)
{
    uint64_t number = port->number + 1u != 0 ? port->number + 1u : 2u;
    uint64_t slot = slot_of(port, number);

    if (length == 0 || length > port->room) {
        return PORT_INVALID;
    }
    store(slot, 0);
    fence();
    store(slot + SLOT_TIME, now);
    store(slot + SLOT_LENGTH, length);
    copy_in(slot + SLOT_DATA, message, length);
    fence();
    store(slot, number);
    fence();
    store(port->base, number);
    port->number = number;
    return PORT_OK;
}

/* Clocks of two cores may differ a little, so a message from the near future is fresh; one from further on is not. */
static bool is_fresh(uint64_t written, uint64_t now, uint64_t period)
{
    return (now > written ? now - written : written - now) <= period;
}

enum port_status sampling_read(const struct sampling_port *port, void *message, uint32_t *length, bool *valid, uint64_t now)
{
    *length = 0;
    *valid = false;
    for (uint32_t try = 0; try < TRIES; try++) {
        uint64_t number = load(port->base);
        uint64_t slot = slot_of(port, number);
        uint64_t written, size;

        if (number == 0) {
            return PORT_EMPTY;
        }
        if (load(slot) != number) {
            continue;
        }
        fence();
        written = load(slot + SLOT_TIME);
        size = load(slot + SLOT_LENGTH);
        if (size != 0 && size <= port->room) {
            copy_out(message, slot + SLOT_DATA, (uint32_t)size);
        }
        fence();
        if (load(slot) != number) {
            continue;
        }
        if (size == 0 || size > port->room) {
            return PORT_INVALID;
        }
        *length = (uint32_t)size;
        *valid = is_fresh(written, now, port->period);
        return PORT_OK;
    }
    return PORT_INVALID;
}

/* ---------------------------------------------------------------- queuing */

/* The ring: messages sent, messages lost, then `count` slots of length and message. The position: messages received. */
#define RING_LOST   WORD
#define RING_SLOTS  (2u * WORD)

static uint64_t slot_size(uint32_t room)
{
    return WORD + padded(room);
}

uint64_t queuing_ring_size(uint32_t room, uint32_t count)
{
    return RING_SLOTS + count * slot_size(room);
}

static uint64_t place_of(const struct queuing_port *port, uint64_t number)
{
    return port->ring + RING_SLOTS + number % port->count * slot_size(port->room);
}

bool queuing_open(struct queuing_port *port, bool source, uint64_t ring, uint64_t size, uint64_t position, uint32_t room,
                  uint32_t count)
{
    *port = (struct queuing_port){ .ring = ring, .position = position, .room = room, .count = count };
    if ((ring | position) % WORD != 0 || room == 0 || room > MOST || count == 0 || count > MOST ||
        queuing_ring_size(room, count) > size) {
        return false;
    }
    port->head = load(ring);
    port->tail = load(position);
    port->lost = load(ring + RING_LOST);
    if (!source && port->head - port->tail > count) {   /* not a position of this queue: begin with what is to come */
        port->tail = port->head;
        store(position, port->tail);
    }
    return true;
}

enum port_status queuing_send(struct queuing_port *port, const void *message, uint32_t length, bool lose)
{
    uint64_t place = place_of(port, port->head);

    if (length == 0 || length > port->room) {
        return PORT_INVALID;
    }
    if (port->head - port->tail >= port->count) {
        port->tail = load(port->position);
    }
    if (port->head - port->tail >= port->count) {       /* full, or the position makes no sense */
        if (lose) {
            store(port->ring + RING_LOST, ++port->lost);
        }
        return PORT_FULL;
    }
    fence();                                            /* the destination has read what is overwritten now */
    store(place, length);
    copy_in(place + WORD, message, length);
    fence();
    store(port->ring, ++port->head);
    return PORT_OK;
}

uint32_t queuing_waiting(const struct queuing_port *port)
{
    uint64_t waiting = load(port->ring) - port->tail;

    return waiting <= port->count ? (uint32_t)waiting : 0;
}

/* What was lost since the last message is told once. */
static bool overflowed(struct queuing_port *port)
{
    uint64_t lost = load(port->ring + RING_LOST);
    bool more = lost != port->lost;

    port->lost = lost;
    return more;
}

enum port_status queuing_receive(struct queuing_port *port, void *message, uint32_t *length)
{
    uint64_t place = place_of(port, port->tail);
    uint64_t size;

    *length = 0;
    port->head = load(port->ring);
    if (port->head == port->tail) {
        return PORT_EMPTY;
    }
    if (port->head - port->tail > port->count) {        /* nonsense: nothing of it can be trusted */
        port->tail = port->head;
        store(port->position, port->tail);
        return PORT_INVALID;
    }
    fence();
    size = load(place);
    if (size != 0 && size <= port->room) {
        copy_out(message, place + WORD, (uint32_t)size);
        *length = (uint32_t)size;
    }
    fence();
    store(port->position, ++port->tail);
    if (*length == 0) {
        return PORT_INVALID;
    }
    return overflowed(port) ? PORT_OVERFLOW : PORT_OK;
}
