/* SPDX-License-Identifier: Apache-2.0 */
/* Booting: between head.S, boot.c, cpu.c and memory.c. */
#ifndef ARM64_INIT_H
#define ARM64_INIT_H

#include <hv/layout.h>
#include <hv/types.h>

/* Called by head.S. */
void boot_early(const void *dtb);
void boot_first_core(uint32_t cpu);
void boot_other_core(uint32_t cpu);

/* This core's EL2 registers, its vcpu and its part of the GIC. */
void cpu_init(uint32_t cpu);

/* The hypervisor's map on this core: layout.el2_ttbr, or a loader map. */
void set_el2_root(uint64_t ttbr);

/* The stage-2 root of a withdrawn partition is valid again. */
void arch_partition_restore(const struct layout_partition *config);

#endif
