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

/* A line's two words: an APIC ID, and the rest; masked while they disagree. */
#define IOAPIC_MASKED   (1u << 16)
#define IOAPIC_LOGICAL  (1u << 11)
#define IOAPIC_LEVEL    (1u << 15)
#define IOAPIC_PIN      (1u << 13 | IOAPIC_LEVEL)  /* polarity and trigger mode: the line's, whoever its vector is for */
#define IOAPIC_NMI      0x400u                     /* delivery mode, in the place of a vector */
void ioapic_route(uint32_t line, uint64_t apic_id, uint32_t low);

/* The APIC ID that a guest's destination names, or UINT32_MAX if it is not one of the partition's. */
uint32_t ioapic_target(const struct layout_partition *config, uint32_t destination, bool logical);

/* The partition's lines masked, its virtual one too. */
void ioapic_reset(const struct layout_partition *config);

/* A guest's 32-bit access to its page. */
uint32_t ioapic_read(const struct layout_partition *config, uint64_t offset);
void     ioapic_write(const struct layout_partition *config, uint64_t offset, uint32_t value);

/* A channel's doorbell rings the partition by that line, which is one of config->pc.bells. */
void ioapic_ring(const struct layout_partition *config, uint32_t line);

/*
 * ---- Lines of partitions that share their cores. The guest sees what it has written; the physical line has a
 * vector of the pool's core, and what it brings waits for the guest's turn. ----
 */
uint32_t shared_line_read(uint32_t line, bool high);
void     shared_line_aim(uint32_t line, uint32_t high);  /* masked until its low word is written */
void     shared_line_write(const struct layout_partition *config, uint32_t line, uint32_t target, uint32_t low);

/* A line has come to a pool's core; a guest of a pool has ended the interrupt of a level. */
void shared_line_raise(uint32_t line);
void shared_line_end(const struct layout_partition *config, uint32_t vector);

#endif
