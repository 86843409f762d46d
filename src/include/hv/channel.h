/* SPDX-License-Identifier: Apache-2.0 */
/* Channels: memory that several partitions see. Doorbells are the architecture's. */
#ifndef HV_CHANNEL_H
#define HV_CHANNEL_H

#include <hv/layout.h>
#include <hv/types.h>

/* Zeroes the memory of all channels. Once, before any partition runs. */
void channel_init(void);

/* The same of one range, through the loader map; afterwards no cache holds anything of it. */
void arch_zero_shared(pa_t base, uint64_t size);

#endif
