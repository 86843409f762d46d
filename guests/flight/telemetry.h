/* SPDX-License-Identifier: Apache-2.0 */
/* What flight control tells the others, by the channel `telemetry` if it is on one. */
#ifndef TELEMETRY_H
#define TELEMETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "attitude.h"

bool telemetry_open(void);   /* false: there is no such channel */
void telemetry_send(const struct attitude *attitude, uint32_t step);

#endif
