/* SPDX-License-Identifier: Apache-2.0 */
/* The first instruction reads the counter that goes on over restarts. */
#define GUEST_FIRST mrs x20, cntpct_el0
#include "../../common/arm64/start.S"
