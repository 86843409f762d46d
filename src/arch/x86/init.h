/* SPDX-License-Identifier: Apache-2.0 */
/* Called by head.S. */
#ifndef X86_INIT_H
#define X86_INIT_H

#include <hv/types.h>

/* The boot map is in use. kind: BOOT_*, info: what the boot loader hands on. */
void boot_early(uint32_t kind, const void *info);

/* On each core, with the hypervisor's own tables: what CR4 can protect, the page attribute table. */
void boot_protect(void);

/* Return when the core's guest is to be entered. */
void boot_first_core(uint32_t cpu);
void boot_other_core(uint32_t cpu);

/* An exception of the hypervisor itself. frame: what the CPU pushed. */
_Noreturn void boot_exception(uint64_t vector, const uint64_t *frame, uint64_t address);

#endif
