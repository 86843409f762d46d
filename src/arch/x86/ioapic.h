/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O APIC (Intel 82093AA 3). Its lines belong to partitions; a guest sees the registers at the board's
 * address, with every line that is not its own masked for ever.
 */
#ifndef X86_IOAPIC_H
#define X86_IOAPIC_H

#include <hv/layout.h>
#include <hv/types.h>

/* All lines masked. */
void ioapic_init(void);

/* A line becomes an NMI of this core: the hypervisor's own interrupts. */
void ioapic_route_nmi(uint32_t line, uint64_t apic_id);

/* A line becomes a vector of this core of a pool, by its edges. */
void ioapic_route_vector(uint32_t line, uint64_t apic_id, uint32_t vector);

/* A line has come to a pool's core: its guest gets it when it runs. */
void ioapic_line(uint32_t line);

/* A guest of a pool has ended the interrupt of a level. */
void ioapic_end(const struct layout_partition *config, uint32_t vector);

/* The partition's lines masked, its virtual one too. */
void ioapic_reset(const struct layout_partition *config);

/* A guest's 32-bit access to its page. */
uint32_t ioapic_read(const struct layout_partition *config, uint64_t offset);
void     ioapic_write(const struct layout_partition *config, uint64_t offset, uint32_t value);

#endif
