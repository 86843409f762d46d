/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

/* VMMCALL or VMCALL, by the CPU's vendor (CPUID leaf 0: ebx is "Genu" on Intel's). */
int64_t monitor_call(uint32_t function, uint64_t partition, uint64_t answer[5])
{
    uint64_t rax = 0, rbx, rcx = 0, rdx;
    register uint64_t r8 __asm__("r8") = 0;
    uint64_t rsi = 0, rdi = 0;

    __asm__ volatile("cpuid" : "+a"(rax), "=b"(rbx), "+c"(rcx), "=d"(rdx));
    rax = MONITOR_CALLS + function;
    rcx = partition;
    rdx = 0;
    if ((uint32_t)rbx == 0x756e6547u) {
        __asm__ volatile("vmcall" : "+a"(rax), "+c"(rcx), "+d"(rdx), "+S"(rsi), "+D"(rdi), "+r"(r8) : : "memory");
    } else {
        __asm__ volatile("vmmcall" : "+a"(rax), "+c"(rcx), "+d"(rdx), "+S"(rsi), "+D"(rdi), "+r"(r8) : : "memory");
    }
    answer[0] = rcx;
    answer[1] = rdx;
    answer[2] = rsi;
    answer[3] = rdi;
    answer[4] = r8;
    return (int64_t)rax;
}
