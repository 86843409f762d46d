/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What flight control tells others: a message in a sampling port (guests/common/arinc_ports.h) at the beginning of the
 * channel `telemetry`. Little-endian. Readers on Linux compile this file too (guests/linux/telemetry.c).
 */
#ifndef TELEMETRY_H
#define TELEMETRY_H

#include <stdbool.h>
#include <stdint.h>

struct telemetry {
    uint32_t step;       /* of the control loop */
    int32_t  angle[3];   /* roll, pitch, yaw in millidegrees */
    uint32_t life;       /* how often flight control has been started */
    uint32_t reserved;
} __attribute__((aligned(8)));

bool telemetry_open(void);        /* false: there is no such channel */
uint32_t telemetry_life(void);    /* how often it has been started, 1 for the first time */
void telemetry_send(struct telemetry *sample);

#endif
