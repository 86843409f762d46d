/* SPDX-License-Identifier: Apache-2.0 */
#include "ports.h"

#include "arinc_ports.h"

#define ROOM          256u
#define COUNT         8u
#define SAMPLE_ROOM   64u
#define STREAM_LIMIT  10u     /* seconds in which nothing goes on */

/* What a destination took since it said so last. */
struct taken {
    uint32_t count, wrong, overflows, rings;
    uint32_t first, last;     /* numbers, modulo 256 */
};

static struct queuing_port queue;
static struct sampling_port samples;
static const struct channel *queue_on, *samples_on;
static bool receiving;
static struct taken taken;
static uint64_t buffer[ROOM / 8];

/* Of a message: all sorts of sizes, the longest and the shortest among them. */
static uint32_t length_of(uint32_t number)
{
    static const uint16_t lengths[] = { 1, 7, 8, 9, 64, 100, 255, ROOM };

    return lengths[number % ARRAY_COUNT(lengths)];
}

static void fill(uint32_t number)
{
    uint8_t *bytes = (uint8_t *)buffer;

    for (uint32_t i = 0; i < length_of(number); i++) {
        bytes[i] = (uint8_t)(number + 3u * i);
    }
}

/* Whether it is the whole of a message; its number is in its first byte. */
static bool is_whole(uint32_t length)
{
    const uint8_t *bytes = (const uint8_t *)buffer;

    for (uint32_t i = 0; i < length; i++) {
        if (bytes[i] != (uint8_t)(bytes[0] + 3u * i)) {
            return false;
        }
    }
    return length == length_of(bytes[0]);
}

static bool open_queue(const struct channel *channel, bool source)
{
    if (queue_on != channel) {
        bool fits = channel->size > QUEUING_POSITION_SIZE &&
                    queuing_open(&queue, source, channel->base + QUEUING_POSITION_SIZE, channel->size - QUEUING_POSITION_SIZE,
                                 channel->base, ROOM, COUNT);
        queue_on = fits ? channel : NULL;
    }
    return queue_on == channel;
}

/* ---------------------------------------------------------------- source */

static void send(const char *name, uint32_t first, uint32_t last)
{
    uint32_t sent = 0, lost = 0;

    for (uint32_t number = first; number <= last; number++) {
        fill(number);
        if (queuing_send(&queue, buffer, length_of(number), true) == PORT_OK) {
            sent++;
        } else {
            lost++;
        }
    }
    channel_ring(queue_on);
    print("talk: %s: sent %u, lost %u\n", name, sent, lost);
}

static void stream(const char *name, uint32_t first, uint32_t last)
{
    uint64_t limit = board_now() + STREAM_LIMIT * timer_hz();
    uint32_t number = first;

    while (number <= last && board_now() < limit) {
        fill(number);
        if (queuing_send(&queue, buffer, length_of(number), false) == PORT_OK) {
            channel_ring(queue_on);
            limit = board_now() + STREAM_LIMIT * timer_hz();
            number++;
        }
    }
    print("talk: %s: sent %u, left %u\n", name, number - first, last + 1u - number);
}

static void sample(const struct channel *channel, const char *rest)
{
    const char *text;
    uint64_t age = str_number(rest, &text) * timer_hz() / 1000u;
    uint32_t length = (uint32_t)strlen(text);

    if (samples_on != channel && sampling_open_source(&samples, channel->base, channel->size, SAMPLE_ROOM)) {
        samples_on = channel;
    }
    if (samples_on != channel || length <= 1 || length > SAMPLE_ROOM) {
        print("talk: no such sample\n");
        return;
    }
    memcpy(buffer, text + 1, length - 1u);    /* behind the space */
    (void)sampling_write(&samples, buffer, length - 1u, board_now() - age);
    channel_ring(channel);
}

/* ---------------------------------------------------------------- destination */

static void take(void)
{
    for (;;) {
        uint32_t length;
        enum port_status status = queuing_receive(&queue, buffer, &length);
        uint8_t number = *(const uint8_t *)buffer;

        if (status == PORT_EMPTY) {
            return;
        }
        taken.overflows += status == PORT_OVERFLOW ? 1u : 0;
        if (status == PORT_INVALID || !is_whole(length) || (taken.count != 0 && number != (uint8_t)(taken.last + 1u))) {
            taken.wrong++;
        }
        taken.first = taken.count++ == 0 ? number : taken.first;
        taken.last = number;
    }
}

static void show_taken(const char *name)
{
    print("talk: %s: took %u, %u to %u, %u wrong, %u overflows, %u rings\n", name, taken.count, taken.first, taken.last, taken.wrong,
          taken.overflows, taken.rings);
    taken = (struct taken){0};
}

bool ports_rung(const struct channel *channel)
{
    if (!receiving || channel != queue_on) {
        return false;
    }
    taken.rings++;
    take();
    return true;
}

/* ---------------------------------------------------------------- commands */

static void run_on_queue(const char *name, const char *verb, const char *rest)
{
    uint32_t first = (uint32_t)str_number(rest, &rest);
    uint32_t last = (uint32_t)str_number(*rest == ' ' ? rest + 1 : rest, NULL);

    if (str_equal(verb, "send")) {
        send(name, first, last);
    } else if (str_equal(verb, "stream")) {
        stream(name, first, last);
    } else if (str_equal(verb, "take")) {
        take();
        show_taken(name);
    } else {
        receiving = true;
        print("talk: %s: receives\n", name);
    }
}

bool ports_command(const struct channel *channel, const char *name, const char *verb, const char *rest)
{
    bool source = str_equal(verb, "send") || str_equal(verb, "stream");

    if (str_equal(verb, "sample")) {
        sample(channel, rest);
        return true;
    }
    if (!source && !str_equal(verb, "take") && !str_equal(verb, "receive")) {
        return false;
    }
    if (!open_queue(channel, source)) {
        print("talk: %s has no room for a queue\n", name);
        return true;
    }
    run_on_queue(name, verb, rest);
    return true;
}
