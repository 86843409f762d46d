/* SPDX-License-Identifier: Apache-2.0 */
#include <hv/arch.h>
#include <hv/channel.h>

void channel_init(void)
{
    for (uint32_t i = 0; i < layout.channel_count; i++) {
        const struct layout_channel *channel = &layout.channels[i];

        arch_loader_open(&layout.partitions[channel->loader]);
        arch_zero_shared(channel->pa, channel->size);
        arch_loader_close();
    }
}
