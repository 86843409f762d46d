/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions and registers of the architecture, by the manuals' names (APM 2, SDM 3). */
#ifndef X86_X86_H
#define X86_X86_H

#include <hv/types.h>

#define CR0_PE  (UINT64_C(1) << 0)
#define CR0_ET  (UINT64_C(1) << 4)
#define CR0_NE  (UINT64_C(1) << 5)
#define CR0_WP  (UINT64_C(1) << 16)
#define CR0_PG  (UINT64_C(1) << 31)
#define CR4_PAE      (UINT64_C(1) << 5)
#define CR4_LA57     (UINT64_C(1) << 12)
#define CR4_OSXSAVE  (UINT64_C(1) << 18)
#define CR4_PKE      (UINT64_C(1) << 22)

#define MSR_TSC             0x10u
#define MSR_APIC_BASE       0x1bu
#define MSR_SPEC_CTRL       0x48u
#define MSR_MTRRCAP         0xfeu
#define MSR_MTRR_BASE0      0x200u
#define MSR_MTRR_FIX64K     0x250u
#define MSR_MTRR_FIX16K     0x258u
#define MSR_MTRR_FIX4K      0x268u
#define MSR_PAT             0x277u
#define MSR_MTRR_DEFAULT    0x2ffu
#define MSR_TSC_DEADLINE    0x6e0u
#define MSR_X2APIC          0x800u   /* to 0x8ff */
#define MSR_X2APIC_EOI      0x80bu
#define MSR_X2APIC_ICR      0x830u
#define MSR_KVM_SYSTEM_TIME 0x4b564d01u
#define MSR_EFER            0xc0000080u
#define MSR_TSC_AUX         0xc0000103u

#define APIC_BASE_BSP   (UINT64_C(1) << 8)
#define APIC_BASE_X2    (UINT64_C(1) << 10)
#define APIC_BASE_ON    (UINT64_C(1) << 11)
#define APIC_BASE_PAGE  UINT64_C(0xfee00000)

#define EFER_SCE   (UINT64_C(1) << 0)
#define EFER_LME   (UINT64_C(1) << 8)
#define EFER_LMA   (UINT64_C(1) << 10)
#define EFER_NXE   (UINT64_C(1) << 11)
#define EFER_SVME  (UINT64_C(1) << 12)

#define PAT_RESET  UINT64_C(0x0007040600070406)  /* what the generator's page attributes count on */

#define VECTOR_DB  1u
#define VECTOR_NMI 2u
#define VECTOR_UD  6u
#define VECTOR_GP  13u
#define VECTOR_AC  17u
#define VECTOR_MC  18u

struct cpuid { uint32_t reg[4]; };  /* eax, ebx, ecx, edx */

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid out;

    __asm__ volatile("cpuid" : "=a"(out.reg[0]), "=b"(out.reg[1]), "=c"(out.reg[2]), "=d"(out.reg[3])
                     : "a"(leaf), "c"(subleaf));
    return out;
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static inline uint64_t rdtsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static inline uint64_t read_cr4(void)
{
    uint64_t value;

    __asm__ volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

static inline void write_cr4(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

static inline uint64_t read_cr3(void)
{
    uint64_t value;

    __asm__ volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}

static inline void write_cr3(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr3" : : "r"(value) : "memory");
}

static inline void pause(void)
{
    __asm__ volatile("pause");
}

#endif
