/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What flight control publishes on the channel `telemetry` (guests/flight/telemetry.h), from Linux's user space:
 *   telemetry [LINES [MILLISECONDS]]      so many lines (default 5), so long apart (default 1000)
 */
#include <stdlib.h>

#include "channel.h"

#define TRIES  1000

enum word { MAGIC, NUMBER, STEP, ROLL, PITCH, YAW, LIFE, WORDS };

/* A whole sample: its number is even, and the same before and after. */
static int take(const struct channel *channel, uint32_t *sample)
{
    for (int i = 0; i < TRIES; i++) {
        uint32_t before = channel->memory[NUMBER];

        __sync_synchronize();
        for (int word = 0; word < WORDS; word++) {
            sample[word] = channel->memory[word];
        }
        __sync_synchronize();
        if ((before & 1u) == 0 && before == channel->memory[NUMBER] && before == sample[NUMBER]) {
            return 1;
        }
    }
    return 0;
}

static void show(const uint32_t *sample, uint32_t last)
{
    printf("telemetry: life %u, step %u: roll %d pitch %d yaw %d mdeg%s\n", sample[LIFE], sample[STEP], (int)sample[ROLL],
           (int)sample[PITCH], (int)sample[YAW], sample[NUMBER] == last ? ", nothing new" : "");
    (void)fflush(stdout);
}

int main(int count, char **words)
{
    long lines = count > 1 ? atol(words[1]) : 5, apart = count > 2 ? atol(words[2]) : 1000;
    struct channel channel;
    uint32_t sample[WORDS], last = 1;

    if (!channel_map("telemetry", 0, &channel)) {
        (void)fprintf(stderr, "telemetry: there is no such channel here\n");
        return 1;
    }
    for (; lines > 0; lines--) {
        if (take(&channel, sample)) {
            show(sample, last);
            last = sample[NUMBER];
        } else {
            printf("telemetry: no whole sample\n");
        }
        if (lines > 1) {
            (void)usleep((useconds_t)apart * 1000u);
        }
    }
    return 0;
}
