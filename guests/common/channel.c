/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"

bool channel_find(const char *name, struct channel *channel)
{
    const char *found;

    for (uint32_t i = 0; channel_at(i, channel, &found); i++) {
        if (str_equal(found, name)) {
            return true;
        }
    }
    return false;
}

void channel_listen(const struct channel *channel)
{
    if (channel->irq != 0) {
        line_on(channel->irq);
    }
}
