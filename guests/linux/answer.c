/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channels from user space, for tests: answer FROM TO SAMPLES
 * At each ring of FROM the text there is said back by TO. "sample" asks for what stands in a sampling port in SAMPLES,
 * which is valid for two seconds; "end" ends it.
 */
#include "../common/arinc_ports.c"
#include "channel.h"
#include "clock.h"

#define TEXT_ROOM    64u
#define SAMPLE_ROOM  64u
#define VALID        2u      /* seconds */

static void read_text(const struct channel *channel, char text[TEXT_ROOM])
{
    const volatile uint8_t *from = (const volatile uint8_t *)channel->memory;

    for (uint32_t i = 0; i < TEXT_ROOM; i++) {
        text[i] = (char)from[i];
    }
    text[TEXT_ROOM - 1] = '\0';
}

static void say(const struct channel *channel, const char *text)
{
    volatile uint8_t *to = (volatile uint8_t *)channel->memory;
    size_t length = strlen(text);

    for (size_t i = 0; i <= length; i++) {
        to[i] = (uint8_t)text[i];
    }
    channel_ring(channel);
}

static void show_sample(struct sampling_port *port, const struct board_clock *clock)
{
    uint64_t message[SAMPLE_ROOM / 8];
    uint32_t length;
    bool valid;
    enum port_status status = sampling_read(port, message, &length, &valid, clock_now(clock));

    if (status == PORT_OK) {
        printf("channel: sample %.*s is %s\n", (int)length, (const char *)message, valid ? "valid" : "stale");
    } else {
        printf("channel: no sample\n");
    }
}

static void answer(const struct channel *from, const struct channel *to, const struct channel_ears *ears, struct sampling_port *port,
                   const struct board_clock *clock)
{
    char text[TEXT_ROOM] = "", aye[TEXT_ROOM + 8];

    while (strcmp(text, "end") != 0 && channel_wait(ears)) {
        read_text(from, text);
        if (strcmp(text, "sample") == 0) {
            show_sample(port, clock);
        } else {
            printf("channel: heard %s\n", text);
            (void)snprintf(aye, sizeof(aye), "aye %s", text);
            say(to, aye);
        }
        (void)fflush(stdout);
    }
}

int main(int count, char **words)
{
    struct channel from, to, samples;
    struct channel_ears ears;
    struct board_clock clock;
    struct sampling_port port;

    if (count != 4 || !channel_map(words[1], 0, &from) || !channel_map(words[2], 1, &to) || !channel_map(words[3], 0, &samples)) {
        (void)fprintf(stderr, "answer: FROM TO SAMPLES, which are channels\n");
        return 1;
    }
    if (!channel_listen(words[1], &ears) || !clock_open(&clock) ||
        !sampling_open_destination(&port, (uint64_t)(uintptr_t)samples.memory, samples.size, SAMPLE_ROOM, VALID * clock_hz())) {
        (void)fprintf(stderr, "answer: no way to hear %s, no clock, or no room for samples\n", words[1]);
        return 1;
    }
    printf("channel: %s has %lu bytes; the clock counts %lu times a second\n", words[1], (unsigned long)from.size,
           (unsigned long)clock_hz());
    (void)fflush(stdout);
    channel_ring(&from);
    answer(&from, &to, &ears, &port, &clock);
    return 0;
}
