/* SPDX-License-Identifier: Apache-2.0 */
/* The first instruction reads the physical counter, which no CNTVOFF shifts: instructions since reset. */
#define GUEST_FIRST mrs x20, cntpct_el0
#include "../../common/arm64/start.S"
