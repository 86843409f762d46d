/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What follows when a partition is at fault: its on-fault policy with the limit of restarts, its devices' reset.
 * Called where the partition's request is carried out, on the core of its vcpu 0, so one call at a time.
 */
#ifndef HV_HEALTH_H
#define HV_HEALTH_H

#include <hv/partition.h>
#include <hv/types.h>

/* What a request comes to: FAULT and WATCHDOG become RESTART or STOP, and why is said; others stay. */
uint32_t health_decide(const struct layout_partition *config, uint32_t request);

/* Writes to its devices' registers what the board says; through the partition's loader map. */
void health_reset_devices(const struct layout_partition *config);

#endif
