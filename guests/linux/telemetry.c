/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What flight control publishes (guests/flight/telemetry.h), from Linux's user space:
 *   telemetry [LINES [MILLISECONDS]]      so many lines (default 5), so long apart (default 1000)
 */
#include <stdlib.h>

#include "../common/arinc_ports.c"
#include "../flight/telemetry.h"
#include "channel.h"

static void show(const struct telemetry *sample, const struct telemetry *last)
{
    int old = sample->step == last->step && sample->life == last->life;

    printf("telemetry: life %u, step %u: roll %d pitch %d yaw %d mdeg%s\n", sample->life, sample->step, sample->angle[0],
           sample->angle[1], sample->angle[2], old ? ", nothing new" : "");
    (void)fflush(stdout);
}

int main(int count, char **words)
{
    long lines = count > 1 ? atol(words[1]) : 5, apart = count > 2 ? atol(words[2]) : 1000;
    struct channel channel;
    struct sampling_port port;
    struct telemetry sample, last = { 0 };
    uint32_t length;
    bool valid;          /* by the clock of the board, which user space cannot read */

    if (!channel_map("telemetry", 0, &channel) ||
        !sampling_open_destination(&port, (uint64_t)(uintptr_t)channel.memory, channel.size, sizeof(sample), UINT64_MAX)) {
        (void)fprintf(stderr, "telemetry: there is no such channel here\n");
        return 1;
    }
    for (; lines > 0; lines--) {
        if (sampling_read(&port, &sample, &length, &valid, 0) == PORT_OK && length == sizeof(sample)) {
            show(&sample, &last);
            last = sample;
        } else {
            printf("telemetry: no sample\n");
        }
        if (lines > 1) {
            (void)usleep((useconds_t)apart * 1000u);
        }
    }
    return 0;
}
