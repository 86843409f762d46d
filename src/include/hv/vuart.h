/* SPDX-License-Identifier: Apache-2.0 */
/* The virtual UART of a partition: a PL011 (DDI 0183), its line to the console, its interrupt. */
#ifndef HV_VUART_H
#define HV_VUART_H

#include <hv/layout.h>
#include <hv/types.h>

/* State as after reset. */
void vuart_reset(uint32_t partition);

/* An access of the guest at `offset` (0..0xfff) of its page. */
uint64_t vuart_read(uint32_t partition, uint64_t offset);
void     vuart_write(uint32_t partition, uint64_t offset, uint64_t value);

/* True if vuart_receive() would take a character. */
bool vuart_has_room(uint32_t partition);

/* A character typed for this partition. False: its FIFO is full, the character is lost. */
bool vuart_receive(uint32_t partition, uint8_t character);

#endif
