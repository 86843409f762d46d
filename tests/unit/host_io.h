/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory-mapped registers and I/O ports of code that is built for the host: calls into a fake, which the
 * test provides. A host without I/O ports tests the code for them all the same.
 */
#ifndef HOST_IO_H
#define HOST_IO_H

#include <hv/port.h>
#include <hv/types.h>

uint64_t fake_mmio_read(uint64_t address, uint32_t size);
void fake_mmio_write(uint64_t address, uint32_t size, uint64_t value);
uint32_t fake_port_read(uint16_t port, uint32_t size);
void fake_port_write(uint16_t port, uint32_t size, uint32_t value);

#define mmio_read8(address)           ((uint8_t)fake_mmio_read((address), 1))
#define mmio_read16(address)          ((uint16_t)fake_mmio_read((address), 2))
#define mmio_read32(address)          ((uint32_t)fake_mmio_read((address), 4))
#define mmio_read64(address)          fake_mmio_read((address), 8)
#define mmio_write8(address, value)   fake_mmio_write((address), 1, (value))
#define mmio_write32(address, value)  fake_mmio_write((address), 4, (value))
#define mmio_write64(address, value)  fake_mmio_write((address), 8, (value))

#undef HV_HAS_PORTS
#define HV_HAS_PORTS                 1
#define port_read8(port)             ((uint8_t)fake_port_read((port), 1))
#define port_read32(port)            fake_port_read((port), 4)
#define port_write8(port, value)     fake_port_write((port), 1, (value))
#define port_write16(port, value)    fake_port_write((port), 2, (value))
#define port_write32(port, value)    fake_port_write((port), 4, (value))
#define port_write(port, width, value)  fake_port_write((port), (width), (value))

#endif
