/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry.h"

#include "arinc_ports.h"
#include "channel.h"

static struct sampling_port port;
static uint32_t life = 1;
static bool is_open;

/* What is in a channel outlives a restart: the last sample says how often there has been one. */
bool telemetry_open(void)
{
    struct channel channel;
    struct telemetry last;
    uint32_t length;
    bool valid;

    is_open = channel_find("telemetry", &channel) && channel.writable &&
              sampling_open_source(&port, channel.base, channel.size, sizeof(last));
    if (is_open && sampling_read(&port, &last, &length, &valid, 0) == PORT_OK && length == sizeof(last)) {
        life = last.life + 1u;
    }
    return is_open;
}

uint32_t telemetry_life(void)
{
    return life;
}

void telemetry_send(struct telemetry *sample)
{
    if (is_open) {
        sample->life = life;
        (void)sampling_write(&port, sample, sizeof(*sample), board_now());
    }
}
