/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What flight control tells others, by the channel `telemetry` if it is on one: words of 32 bits.
 *
 *   0  TELEMETRY_MAGIC
 *   1  number of the sample, twice; odd while it is being written. Who reads the same even number before and after
 *      the rest has a whole sample
 *   2  step of the control loop
 *   3  roll, pitch, yaw in millidegrees
 *   6  how often flight control has been started
 */
#ifndef TELEMETRY_H
#define TELEMETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "attitude.h"

#define TELEMETRY_MAGIC  0x454c4554u /* "TELE" */

bool telemetry_open(void);   /* false: there is no such channel */
void telemetry_send(const struct attitude *attitude, uint32_t step);
uint32_t telemetry_life(void);   /* how often it has been started, 1 for the first time */

#endif
