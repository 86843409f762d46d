/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"

static void read_node(int node, struct channel *channel)
{
    struct range range;

    *channel = (struct channel){0};
    if (fdt_reg(node, 0, &range)) {
        channel->base = range.base;
        channel->size = range.size;
    }
    if (fdt_reg(node, 1, &range)) {
        channel->doorbell = range.base;
    }
    channel->irq = fdt_interrupt(node, 0);
    channel->writable = !str_equal(fdt_string(node, "bulkhead,role"), "reader");
}

bool channel_at(uint32_t index, struct channel *channel, const char **name)
{
    int node = fdt_compatible("bulkhead,channel", FDT_NONE);

    while (node != FDT_NONE && index-- > 0) {
        node = fdt_compatible("bulkhead,channel", node);
    }
    if (node == FDT_NONE) {
        return false;
    }
    read_node(node, channel);
    *name = fdt_string(node, "bulkhead,channel");
    return channel->size != 0;
}
