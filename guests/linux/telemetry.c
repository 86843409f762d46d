/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What flight control publishes (guests/flight/telemetry.h), from Linux's user space:
 *   telemetry [LINES [MILLISECONDS]]      so many lines (default 5), so long apart (default 1000)
 * A sample that is older than it should be is stale.
 */
#include "../common/arinc_ports.c"
#include "../flight/telemetry.h"
#include "channel.h"
#include "clock.h"

#define SAMPLES_A_SECOND  5u      /* flight control sends many more */

static void show(const struct telemetry *sample, bool valid)
{
    printf("telemetry: life %u, step %u: roll %d pitch %d yaw %d mdeg%s\n", sample->life, sample->step, sample->angle[0],
           sample->angle[1], sample->angle[2], valid ? "" : ", stale");
    (void)fflush(stdout);
}

int main(int count, char **words)
{
    long lines = count > 1 ? atol(words[1]) : 5, apart = count > 2 ? atol(words[2]) : 1000;
    struct channel channel;
    struct board_clock clock;
    struct sampling_port port;
    struct telemetry sample;
    uint32_t length;
    bool valid;

    if (!channel_map("telemetry", 0, &channel) || !clock_open(&clock) ||
        !sampling_open_destination(&port, (uint64_t)(uintptr_t)channel.memory, channel.size, sizeof(sample),
                                   clock_hz() / SAMPLES_A_SECOND)) {
        (void)fprintf(stderr, "telemetry: there is no such channel here, or none with a doorbell\n");
        return 1;
    }
    for (; lines > 0; lines--) {
        if (sampling_read(&port, &sample, &length, &valid, clock_now(&clock)) == PORT_OK && length == sizeof(sample)) {
            show(&sample, valid);
        } else {
            printf("telemetry: no sample\n");
        }
        if (lines > 1) {
            (void)usleep((useconds_t)apart * 1000u);
        }
    }
    return 0;
}
