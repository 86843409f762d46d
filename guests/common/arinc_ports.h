/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sampling and queuing ports as in ARINC 653 part 1, on memory that partitions share (channel.h). No locks, and
 * nobody waits for another: a port survives that the other side stops, restarts or writes nonsense at any time.
 * What is read from shared memory is bounded before it is used. A hostile source can send nonsense, a hostile
 * destination can take nothing; neither can do more.
 *
 * The caller says what time it is, in counts of a clock that both sides share (ARM64: the physical counter; x86: the TSC),
 * and rings doorbells if it wants to. Areas and messages' buffers begin at multiples of 8.
 */
#ifndef ARINC_PORTS_H
#define ARINC_PORTS_H

#include <stdbool.h>
#include <stdint.h>

enum port_status {     /* return code of the standard */
    PORT_OK,           /* NO_ERROR */
    PORT_EMPTY,        /* NO_ACTION, NOT_AVAILABLE: there is no message */
    PORT_FULL,         /* NOT_AVAILABLE: the queue has no room for the message */
    PORT_OVERFLOW,     /* INVALID_CONFIG: a message was received, and others were lost since the last one */
    PORT_INVALID,      /* INVALID_PARAM: too long; or what the other side left makes no sense */
};

/* ---------------------------------------------------------------- sampling: the last message counts */

struct sampling_port {
    uint64_t base;    /* written by the source, read by any number of destinations */
    uint64_t period;  /* refresh period of a destination, in counts: no older is a valid message */
    uint64_t number;  /* of a source: of its last message */
    uint32_t room;    /* longest message */
};

/* Bytes of shared memory for messages of up to `room` bytes. */
uint64_t sampling_size(uint32_t room);

/* False: the area is too small. A source that was restarted goes on with the number where it stopped. */
bool sampling_open_source(struct sampling_port *port, uint64_t base, uint64_t size, uint32_t room);
bool sampling_open_destination(struct sampling_port *port, uint64_t base, uint64_t size, uint32_t room, uint64_t period);

enum port_status sampling_write(struct sampling_port *port, const void *message, uint32_t length, uint64_t now);

/* Into `message`, of port->room bytes. valid: the message is not older than the refresh period. */
enum port_status sampling_read(const struct sampling_port *port, void *message, uint32_t *length, bool *valid, uint64_t now);

/* ---------------------------------------------------------------- queuing: every message counts */

/*
 * One source, one destination. The ring is the source's to write, the position the destination's: in the memory of
 * one channel between two peers, or of two channels, where neither can write what is the other's.
 */
struct queuing_port {
    uint64_t ring, position;
    uint64_t head, tail;  /* messages sent, and received, so far */
    uint64_t lost;        /* of a source: so far; of a destination: of which it was told */
    uint32_t room;        /* longest message */
    uint32_t count;       /* messages that the queue holds */
};

#define QUEUING_POSITION_SIZE  64u

uint64_t queuing_ring_size(uint32_t room, uint32_t count);

/* The same for both sides, `source` says which. After a restart it goes on where it stopped. */
bool queuing_open(struct queuing_port *port, bool source, uint64_t ring, uint64_t size, uint64_t position, uint32_t room,
                  uint32_t count);

/* PORT_FULL: not sent. lose: then it counts as lost, and the destination is told; else the caller tries again. */
enum port_status queuing_send(struct queuing_port *port, const void *message, uint32_t length, bool lose);

/* The oldest message, whole, into `message`, of port->room bytes. */
enum port_status queuing_receive(struct queuing_port *port, void *message, uint32_t *length);

/* Messages that wait for this destination; at most port->count. */
uint32_t queuing_waiting(const struct queuing_port *port);

#endif
