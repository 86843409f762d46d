/* SPDX-License-Identifier: Apache-2.0 */
/* What others tell flight control, by the channel `orders` if it is on one: its first word, then the doorbell. */
#ifndef ORDERS_H
#define ORDERS_H

#include <stdbool.h>
#include <stdint.h>

enum order { ORDER_NONE, ORDER_HANG, ORDER_STRAY, ORDER_GUST };

bool orders_open(void);             /* false: there is no such channel */
bool orders_interrupt(uint32_t irq);    /* from the handler; false: another's */
enum order orders_take(void);       /* each once; ORDER_NONE for what is no order */

#endif
