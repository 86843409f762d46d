/* SPDX-License-Identifier: Apache-2.0 */
/* The first instruction reads the time stamp counter: under icount, instructions since reset. */
#define GUEST_FIRST rdtsc
#include "../../common/x86/start.S"
