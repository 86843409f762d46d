/* SPDX-License-Identifier: Apache-2.0 */
/* I/O ports, which x86 has beside memory. */
#ifndef HV_PORT_H
#define HV_PORT_H

#include <hv/types.h>

#if defined(__x86_64__)

#define HV_HAS_PORTS  1

static inline uint8_t port_read8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline void port_write8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint32_t port_read32(uint16_t port)
{
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline void port_write16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void port_write32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

/* width: bytes, 1, 2 or 4. */
static inline void port_write(uint16_t port, uint32_t width, uint32_t value)
{
    if (width == 1u) {
        port_write8(port, (uint8_t)value);
    } else if (width == 2u) {
        port_write16(port, (uint16_t)value);
    } else {
        port_write32(port, value);
    }
}

#else

#define HV_HAS_PORTS  0

/* Never called where there are none. */
uint8_t port_read8(uint16_t port);
void    port_write8(uint16_t port, uint8_t value);
void    port_write(uint16_t port, uint32_t width, uint32_t value);

#endif
#endif
