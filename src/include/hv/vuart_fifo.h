/* SPDX-License-Identifier: Apache-2.0 */
/* The receive FIFO of a virtual UART: the console's core puts, the partition's cores take. */
#ifndef HV_VUART_FIFO_H
#define HV_VUART_FIFO_H

#include <hv/types.h>

#define VUART_FIFO_SIZE  64u  /* deeper than the 16 of real ones, which no driver can see */

struct vuart_fifo {
    uint32_t head, tail;           /* free-running; head is the console core's */
    uint8_t  data[VUART_FIFO_SIZE];
};

static inline uint32_t fifo_count(const struct vuart_fifo *fifo)
{
    return __atomic_load_n(&fifo->head, __ATOMIC_ACQUIRE) - __atomic_load_n(&fifo->tail, __ATOMIC_ACQUIRE);
}

/* There must be room. */
static inline void fifo_put(struct vuart_fifo *fifo, uint8_t character)
{
    uint32_t head = fifo->head;

    fifo->data[head % VUART_FIFO_SIZE] = character;
    __atomic_store_n(&fifo->head, head + 1u, __ATOMIC_RELEASE);
}

/* There must be a character. */
static inline uint8_t fifo_get(struct vuart_fifo *fifo)
{
    uint32_t tail = fifo->tail;
    uint8_t character = fifo->data[tail % VUART_FIFO_SIZE];

    __atomic_store_n(&fifo->tail, tail + 1u, __ATOMIC_RELEASE);
    return character;
}

#endif
