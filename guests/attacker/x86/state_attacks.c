/* SPDX-License-Identifier: Apache-2.0 */
/* What a partition may not find of its own past after a restart. */
#include "attacks.h"

#define CR4_OSFXSR   UINT64_C(0x200)
#define CR4_OSXSAVE  UINT64_C(0x40000)
#define MARK         UINT64_C(0x5ec2e7)
#define XCR0_SSE     3u

static bool has_xsave(void)
{
    return (cpuid(1, 0).ecx >> 26 & 1) != 0;
}

static void open_registers(void)
{
    uint64_t cr4;
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    cr4 |= CR4_OSFXSR | (has_xsave() ? CR4_OSXSAVE : 0);
    __asm__ volatile("mov %0, %%cr4" :: "r"(cr4) : "memory");
}

static uint32_t read_xcr0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* Registers that belong to the core, and to no structure of the hypervisor's. */
void leave_marks(void)
{
    open_registers();
    __asm__ volatile("mov %0, %%dr0; mov %0, %%dr1; mov %0, %%dr2; mov %0, %%dr3" :: "r"(MARK));
    __asm__ volatile("movq %0, %%xmm0; movq %0, %%xmm15; fninit; fldpi" :: "r"(MARK));
    if (has_xsave()) {
        __asm__ volatile("xsetbv" :: "a"(XCR0_SSE), "d"(0), "c"(0));
    }
}

/* Before anything else has used them. */
void attack_leftovers(const char *name, uint64_t address)
{
    uint64_t dr0, dr3, xmm0, xmm15;
    uint16_t status, tags[14];          /* tags: FNSTENV's image */
    (void)address;
    open_registers();
    __asm__ volatile("mov %%dr0, %0; mov %%dr3, %1" : "=r"(dr0), "=r"(dr3));
    __asm__ volatile("movq %%xmm0, %0; movq %%xmm15, %1" : "=r"(xmm0), "=r"(xmm15));
    __asm__ volatile("fnstsw %0; fnstenv %1" : "=m"(status), "=m"(tags));
    uint32_t xcr0 = has_xsave() ? read_xcr0() : 1;
    print("attack %s: DR0 0x%lx, DR3 0x%lx, XMM0 0x%lx, XMM15 0x%lx, x87 status 0x%x, tags 0x%x, XCR0 0x%x", name, dr0,
          dr3, xmm0, xmm15, status, tags[4], xcr0);
    verdict((dr0 | dr3 | xmm0 | xmm15 | status) == 0 && tags[4] == 0xffff && xcr0 == 1);
}
