/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channels of Bulkhead, for bare-metal guests (docs/guest-abi.md): memory that other partitions see too, and a
 * page whose writing interrupts them. What stands in the memory is the others' to change at any time.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include "guest.h"

struct channel {
    uint64_t base, size;   /* the memory, the same for all who are on the channel */
    uint64_t doorbell;     /* page to ring the others by, 0: there is none */
    uint32_t irq;          /* by which they ring */
    bool     writable;     /* false: a reader, for whom a write is a fault */
};

/* The channel of that name; false: this guest is not on it. */
bool channel_find(const char *name, struct channel *channel);

/* The index-th channel of this guest, and its name; false: there are no more. */
bool channel_at(uint32_t index, struct channel *channel, const char **name);

/* Lets its interrupt through. What came before stays pending. */
void channel_listen(const struct channel *channel);

/* Interrupts the others: a writer its readers, a reader the writer, a peer all other peers. */
static inline void channel_ring(const struct channel *channel)
{
    if (channel->doorbell != 0) {
        channel_barrier();
        mmio_write32(channel->doorbell, (uint32_t)channel->doorbell);
    }
}

#endif
