/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures doorbells and ports, in ticks of the board's counter; under `qemu -icount` a tick is one executed
 * instruction. The partition with a console rings, the others say by a channel's memory when they heard.
 * One line for each figure, for bench/channels.py: "ringer: NAME TICKS".
 */
#include "arinc_ports.h"
#include "channel.h"
#include "count.h"

#define REPEATS  20
#define WARM_UP  4
#define MESSAGES 32

extern uint64_t heard;
uint64_t heard;                 /* vectors.S: when the last interrupt's handler began */

static struct channel told;     /* a listener's channel */
static volatile uint32_t rings;

void guest_irq(uint32_t irq)
{
    rings++;
    if (irq == told.irq) {
        mmio_write64(told.base, heard);
        channel_ring(&told);
    }
}

/* From the store to the first instruction of the peer's handler. */
static uint64_t ring_once(const struct channel *channel)
{
    uint64_t start, at;
    uint32_t before = rings;

    mmio_write64(channel->base, 0);
    channel_barrier();
    start = count_and_ring(channel->doorbell);
    do {
        idle();
        irq_window();
        at = mmio_read64(channel->base);
    } while (at == 0 || rings == before);
    return at - start - AROUND;
}

/* What the store costs the ringer itself. */
static uint64_t store_once(const struct channel *channel)
{
    uint64_t taken = count_ring(channel->doorbell);

    irq_window();
    return taken;
}

static void report_least(const char *name, uint64_t (*once)(const struct channel *), const struct channel *channel)
{
    uint64_t least = UINT64_MAX;

    for (uint32_t i = 0; i < WARM_UP + REPEATS; i++) {
        uint64_t ticks = once(channel);
        if (i >= WARM_UP && ticks < least) {
            least = ticks;
        }
    }
    print("ringer: %s %lu\n", name, least);
}

/* ---------------------------------------------------------------- ports: both sides, on this core */

static uint64_t memory[8192], position[8], message[512];

static void report_queue(const char *name, uint32_t length)
{
    struct queuing_port source, destination;
    uint64_t start, sent, received;
    uint32_t found;

    memset(memory, 0, sizeof(memory));
    memset(position, 0, sizeof(position));
    if (!queuing_open(&source, true, (uint64_t)memory, sizeof(memory), (uint64_t)position, length, MESSAGES) ||
        !queuing_open(&destination, false, (uint64_t)memory, sizeof(memory), (uint64_t)position, length, MESSAGES)) {
        return;
    }
    start = now();
    for (uint32_t i = 0; i < MESSAGES; i++) {
        (void)queuing_send(&source, message, length, false);
    }
    sent = now();
    for (uint32_t i = 0; i < MESSAGES; i++) {
        (void)queuing_receive(&destination, message, &found);
    }
    received = now();
    print("ringer: %s-send %lu\nringer: %s-receive %lu\n", name, (sent - start) / MESSAGES, name, (received - sent) / MESSAGES);
}

static void report_sampling(void)
{
    struct sampling_port source, destination;
    uint64_t start, written, read;
    uint32_t length;
    bool valid;

    memset(memory, 0, sizeof(memory));
    (void)sampling_open_source(&source, (uint64_t)memory, sizeof(memory), 64);
    (void)sampling_open_destination(&destination, (uint64_t)memory, sizeof(memory), 64, 1000000);
    start = now();
    for (uint32_t i = 0; i < MESSAGES; i++) {
        (void)sampling_write(&source, message, 64, start);
    }
    written = now();
    for (uint32_t i = 0; i < MESSAGES; i++) {
        (void)sampling_read(&destination, message, &length, &valid, start);
    }
    read = now();
    print("ringer: sampling-64-write %lu\nringer: sampling-64-read %lu\n", (written - start) / MESSAGES, (read - written) / MESSAGES);
}

static void listen_for_ever(void)
{
    for (;;) {
        idle();
        irq_window();
    }
}

/* to_virtual: NULL where there are no such partitions. */
static void measure(const struct channel *to_virtual, const struct channel *to_direct)
{
    uint64_t end = now() + timer_hz() / 100;

    while (now() < end) {       /* until all listen */
    }
    report_least("doorbell-store", store_once, to_virtual != NULL ? to_virtual : to_direct);
    if (to_virtual != NULL) {
        report_least("doorbell-virtual", ring_once, to_virtual);
    }
    report_least("doorbell-direct", ring_once, to_direct);
    report_queue("queue-64", 64);
    report_queue("queue-1024", 1024);
    report_sampling();
    print("ringer: done\n");
}

int main(uint64_t early)
{
    struct channel to_virtual, to_direct;
    bool has_virtual;

    (void)early;
    line_init();
    has_virtual = channel_find("to-virtual", &to_virtual);
    (void)channel_find("to-direct", &to_direct);
    if (console.base != 0) {
        channel_listen(&to_direct);
        if (has_virtual) {
            channel_listen(&to_virtual);
        }
        measure(has_virtual ? &to_virtual : NULL, &to_direct);
        return 0;
    }
    told = has_virtual ? to_virtual : to_direct;
    channel_listen(&told);
    listen_for_ever();
    return 0;
}
