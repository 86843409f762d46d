/* SPDX-License-Identifier: Apache-2.0 */
/* A drone's attitude about three axes, in gusts, held by a PD controller: whole numbers, no floating point. */
#ifndef ATTITUDE_H
#define ATTITUDE_H

#include <stdint.h>

#define AXES  3u   /* roll, pitch, yaw */

/* Microdegrees, and microdegrees a second. All zeros is level and at rest. */
struct attitude {
    int64_t angle[AXES], rate[AXES];
    uint64_t random;
};

/* One step of so many a second: measure, correct, move. */
void attitude_step(struct attitude *attitude, uint32_t steps_a_second);

/* All axes are pushed, by up to so many millidegrees a second. */
void attitude_gust(struct attitude *attitude, uint32_t strength);

int64_t attitude_mdeg(const struct attitude *attitude, uint32_t axis);

#endif
