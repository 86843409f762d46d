/* SPDX-License-Identifier: Apache-2.0 */
/* This version has no channels on x86. */
#include "channel.h"

bool channel_at(uint32_t index, struct channel *channel, const char **name)
{
    (void)index;
    (void)channel;
    (void)name;
    return false;
}

bool channel_find(const char *name, struct channel *channel)
{
    (void)name;
    (void)channel;
    return false;
}

void channel_listen(const struct channel *channel)
{
    (void)channel;
}
