/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

int64_t monitor_call(uint32_t function, uint64_t partition, uint64_t answer[5])
{
    register uint64_t x0 __asm__("x0") = MONITOR_CALLS + function;
    register uint64_t x1 __asm__("x1") = partition;
    register uint64_t x2 __asm__("x2") = 0;
    register uint64_t x3 __asm__("x3") = 0;
    register uint64_t x4 __asm__("x4") = 0;
    register uint64_t x5 __asm__("x5") = 0;

    __asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x4), "+r"(x5) : : "memory");
    answer[0] = x1;
    answer[1] = x2;
    answer[2] = x3;
    answer[3] = x4;
    answer[4] = x5;
    return (int64_t)x0;
}
