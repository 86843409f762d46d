/* SPDX-License-Identifier: Apache-2.0 */
#include "orders.h"

#include "channel.h"

static struct channel channel;
static volatile bool rung;

bool orders_open(void)
{
    if (!channel_find("orders", &channel)) {
        return false;
    }
    channel_listen(&channel);   /* what came in the last life is not carried out in this one */
    return true;
}

bool orders_interrupt(uint32_t irq)
{
    if (channel.irq == 0 || irq != channel.irq) {
        return false;
    }
    rung = true;
    return true;
}

enum order orders_take(void)
{
    uint32_t order;

    if (!rung) {
        return ORDER_NONE;
    }
    rung = false;
    order = mmio_read32(channel.base);
    return order <= ORDER_GUST ? (enum order)order : ORDER_NONE;
}
