/* SPDX-License-Identifier: Apache-2.0 */
#include "attitude.h"

#define GAIN_ANGLE     16    /* 1/s^2: it is back in about a second, without swinging over */
#define GAIN_RATE      8     /* 1/s */
#define STEPS_A_GUST   400u
#define GUST           20000u

static uint32_t random_below(struct attitude *attitude, uint32_t bound)
{
    attitude->random = attitude->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((attitude->random >> 33) % bound);
}

void attitude_gust(struct attitude *attitude, uint32_t strength)
{
    for (uint32_t axis = 0; axis < AXES; axis++) {
        attitude->rate[axis] += ((int64_t)random_below(attitude, 2u * strength) - strength) * 1000;
    }
}

void attitude_step(struct attitude *attitude, uint32_t steps_a_second)
{
    if (random_below(attitude, STEPS_A_GUST) == 0) {
        attitude_gust(attitude, GUST);
    }
    for (uint32_t axis = 0; axis < AXES; axis++) {
        int64_t torque = -GAIN_ANGLE * attitude->angle[axis] - GAIN_RATE * attitude->rate[axis];

        attitude->rate[axis] += torque / (int64_t)steps_a_second;
        attitude->angle[axis] += attitude->rate[axis] / (int64_t)steps_a_second;
    }
}

int64_t attitude_mdeg(const struct attitude *attitude, uint32_t axis)
{
    return attitude->angle[axis] / 1000;
}
