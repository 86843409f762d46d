/* SPDX-License-Identifier: Apache-2.0 */
/* Where the architecture's boot code enters the core. */
#ifndef HV_MAIN_H
#define HV_MAIN_H

#include <hv/types.h>

/*
 * On the first core, MMU off: console, and the proof that image and board fit. dtb: the firmware's
 * devicetree, or MAIN_CHECKED if the UEFI stub has compared the board already. mpidr: this core's.
 */
#define MAIN_CHECKED  ((const void *)1)
void main_early(const void *dtb, uint64_t mpidr);

/* On the first core, MMU on: starts the others. cpu: its index, or layout.cpu_count if it has no vcpu. */
void main_first_core(uint32_t cpu);

/* On every core that has a vcpu: returns when the vcpu is to be entered. */
void main_core(uint32_t cpu);

#endif
