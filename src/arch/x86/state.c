/* SPDX-License-Identifier: Apache-2.0 */
/* The core's registers that a guest has for itself; see state.h. The hypervisor has no use for any of them. */
#include "state.h"
#include "x86.h"

#define LEAF_1_XSAVE      (1u << 26)   /* ecx */
#define LEAF_XSAVE        0xdu
#define LEAF_XSAVE_XFD    (1u << 4)    /* eax of its subleaf 1 */
#define LEAF_7_SPEC_CTRL  0x8c000000u  /* edx: IBRS, STIBP, SSBD */
#define EXTENDED_SPEC_CTRL  0x0100c000u  /* ebx of 0x80000008: the same for AMD */
#define EXTENDED_RDTSCP   (1u << 27)   /* edx of 0x80000001 */
#define MSR_SPEC_CTRL     0x48u
#define MSR_XFD           0x1c4u
#define MSR_XFD_ERR       0x1c5u
#define MSR_TSC_AUX       0xc0000103u
#define CR4_OSFXSR        (UINT64_C(1) << 9)
#define FCW_RESET         0x37fu
#define MXCSR_RESET       0x1f80u

/* Where XRSTOR and FXRSTOR look: no component is present (SDM 1 13.4.2), so all of them become as after a reset. */
static const struct {
    uint32_t fcw, tag[5];
    uint32_t mxcsr, rest[137];
} initial __attribute__((aligned(64))) = { .fcw = FCW_RESET, .mxcsr = MXCSR_RESET };
_Static_assert(sizeof(initial) == 576, "legacy area and header, SDM 1 13.4");

static void set_xcr0(uint32_t low, uint32_t high)
{
    __asm__ volatile("xsetbv" : : "a"(low), "d"(high), "c"(0u));
}

/* Every component that the CPU knows (SDM 1 13.2), then x87 only, as after a reset. */
static void reset_extended(void)
{
    struct cpuid known = cpuid(LEAF_XSAVE, 0);

    set_xcr0(known.reg[0], known.reg[3]);
    __asm__ volatile("xrstor64 (%0)" : : "r"(&initial), "a"(UINT32_MAX), "d"(UINT32_MAX) : "memory");
    set_xcr0(1, 0);
    if ((cpuid(LEAF_XSAVE, 1).reg[0] & LEAF_XSAVE_XFD) != 0) {
        wrmsr(MSR_XFD, 0);
        wrmsr(MSR_XFD_ERR, 0);
    }
}

/* MSRs that guests write without an exit (scripts/hvgen/msrs.py). */
static void reset_msrs(void)
{
    bool spec_ctrl = (cpuid(0, 0).reg[0] >= 7u && (cpuid(7, 0).reg[3] & LEAF_7_SPEC_CTRL) != 0) ||
                     (cpuid(0x80000008u, 0).reg[1] & EXTENDED_SPEC_CTRL) != 0;

    if (spec_ctrl) {
        wrmsr(MSR_SPEC_CTRL, 0);
    }
    if ((cpuid(0x80000001u, 0).reg[3] & EXTENDED_RDTSCP) != 0) {
        wrmsr(MSR_TSC_AUX, 0);
    }
}

void state_reset(void)
{
    uint64_t cr4 = read_cr4();

    if ((cpuid(1, 0).reg[2] & LEAF_1_XSAVE) != 0) {
        write_cr4(cr4 | CR4_OSXSAVE | CR4_OSFXSR);
        reset_extended();
    } else {
        write_cr4(cr4 | CR4_OSFXSR);
        __asm__ volatile("fxrstor64 (%0)" : : "r"(&initial) : "memory");
    }
    write_cr4(cr4);
    __asm__ volatile("mov %0, %%dr0; mov %0, %%dr1; mov %0, %%dr2; mov %0, %%dr3" : : "r"(UINT64_C(0)));
    reset_msrs();
}
