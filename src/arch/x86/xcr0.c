/* SPDX-License-Identifier: Apache-2.0 */
/* XSETBV, where the hypervisor carries it out. */
#include "exits.h"
#include "x86.h"

/* State components (SDM 1 13.1). */
#define XCR0_X87     UINT64_C(0x1)
#define XCR0_SSE     UINT64_C(0x2)
#define XCR0_AVX     UINT64_C(0x4)
#define XCR0_MPX     UINT64_C(0x18)
#define XCR0_AVX512  UINT64_C(0xe0)
#define XCR0_PKRU    UINT64_C(0x200)
#define XCR0_AMX     UINT64_C(0x60000)

static bool all_or_none(uint64_t value, uint64_t bits)
{
    return (value & bits) == 0 || (value & bits) == bits;
}

bool xcr0_valid(uint64_t value)
{
    struct cpuid native = cpuid(0xd, 0);
    uint64_t known = XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_MPX | XCR0_AVX512 | XCR0_PKRU | XCR0_AMX;

    known &= (uint64_t)native.reg[3] << 32 | native.reg[0];
    return (value & ~known) == 0 && (value & XCR0_X87) != 0 &&
           ((value & XCR0_AVX) == 0 || (value & XCR0_SSE) != 0) &&
           ((value & XCR0_AVX512) == 0 || (value & XCR0_AVX) != 0) && all_or_none(value, XCR0_MPX) &&
           all_or_none(value, XCR0_AVX512) && all_or_none(value, XCR0_AMX);
}
