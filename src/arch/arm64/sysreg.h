/* SPDX-License-Identifier: Apache-2.0 */
/* System registers by name or encoding (DDI 0487 D19, IHI 0069 12), and the barriers. */
#ifndef ARM64_SYSREG_H
#define ARM64_SYSREG_H

#include <hv/types.h>

/* Names may be macros: they are expanded before they become text. */
#define SYSREG_STRING(name)  #name
#define sysreg_read(name)                                                             \
    ({                                                                                \
        uint64_t value_;                                                              \
        __asm__ volatile("mrs %0, " SYSREG_STRING(name) : "=r"(value_) : : "memory"); \
        value_;                                                                       \
    })

#define sysreg_write(name, value) \
    __asm__ volatile("msr " SYSREG_STRING(name) ", %x0" : : "rZ"((uint64_t)(value)) : "memory")

#define isb()      __asm__ volatile("isb" : : : "memory")
#define dsb_sy()   __asm__ volatile("dsb sy" : : : "memory")
#define dsb_ish()  __asm__ volatile("dsb ish" : : : "memory")
#define wfi()      __asm__ volatile("wfi" : : : "memory")
#define wfe()      __asm__ volatile("wfe" : : : "memory")
#define sev()      __asm__ volatile("sev" : : : "memory")

/* GICv3 CPU interface; encodings since assemblers know the names only with an extension enabled. */
#define ICC_PMR_EL1      S3_0_C4_C6_0
#define ICC_IAR1_EL1     S3_0_C12_C12_0
#define ICC_EOIR1_EL1    S3_0_C12_C12_1
#define ICC_DIR_EL1      S3_0_C12_C11_1
#define ICC_RPR_EL1      S3_0_C12_C11_3
#define ICC_SGI1R_EL1    S3_0_C12_C11_5
#define ICC_AP0R0_EL1    S3_0_C12_C8_4
#define ICC_AP1R0_EL1    S3_0_C12_C9_0
#define ICC_BPR1_EL1     S3_0_C12_C12_3
#define ICC_CTLR_EL1     S3_0_C12_C12_4
#define ICC_SRE_EL2      S3_4_C12_C9_5
#define ICC_IGRPEN0_EL1  S3_0_C12_C12_6
#define ICC_IGRPEN1_EL1  S3_0_C12_C12_7
#define ICH_AP0R0_EL2    S3_4_C12_C8_0
#define ICH_AP1R0_EL2    S3_4_C12_C9_0
#define ICH_HCR_EL2      S3_4_C12_C11_0
#define ICH_VTR_EL2      S3_4_C12_C11_1
#define ICH_ELRSR_EL2    S3_4_C12_C11_5
#define ICH_VMCR_EL2     S3_4_C12_C11_7

/* ESR_EL2 (D19.2.37). */
#define ESR_EC(esr)        bits((esr), 31, 26)
#define ESR_IL             (UINT64_C(1) << 25)
#define EC_UNKNOWN         0x00u
#define EC_WFX             0x01u
#define EC_HVC64           0x16u
#define EC_SMC64           0x17u
#define EC_SYSREG          0x18u
#define EC_INST_ABORT_LOW  0x20u
#define EC_DATA_ABORT_LOW  0x24u
#define EC_SERROR          0x2fu

/* ISS of a data abort. */
#define ISS_ISV     (UINT64_C(1) << 24)
#define ISS_SSE     (UINT64_C(1) << 21)
#define ISS_SF      (UINT64_C(1) << 15)
#define ISS_CM      (UINT64_C(1) << 8)
#define ISS_S1PTW   (UINT64_C(1) << 7)
#define ISS_WNR     (UINT64_C(1) << 6)
#define ISS_WORD_MASK  (ISS_ISV | UINT64_C(3) << 22 | ISS_SSE | ISS_S1PTW)
#define ISS_WORD       (ISS_ISV | UINT64_C(2) << 22)  /* a plain access of 32 bits */

/* HCR_EL2 (D19.2.48). */
#define HCR_VM      (UINT64_C(1) << 0)
#define HCR_SWIO    (UINT64_C(1) << 1)
#define HCR_PTW     (UINT64_C(1) << 2)
#define HCR_FMO     (UINT64_C(1) << 3)
#define HCR_IMO     (UINT64_C(1) << 4)
#define HCR_AMO     (UINT64_C(1) << 5)
#define HCR_BSU_IS  (UINT64_C(1) << 10)
#define HCR_FB      (UINT64_C(1) << 9)
#define HCR_TWI     (UINT64_C(1) << 13)
#define HCR_TSC     (UINT64_C(1) << 19)
#define HCR_TIDCP   (UINT64_C(1) << 20)
#define HCR_TACR    (UINT64_C(1) << 21)
#define HCR_RW      (UINT64_C(1) << 31)
#define HCR_APK     (UINT64_C(1) << 40)
#define HCR_API     (UINT64_C(1) << 41)
#define HCR_ATA     (UINT64_C(1) << 56)

#define MPIDR_AFFINITY    UINT64_C(0xff00ffffff)
#define CPTR_NO_TRAPS     UINT64_C(0x22ff)  /* RES1 of CPTR_EL2 without TZ (8), TSM (12) */
#define SPSR_EL1H_MASKED  UINT64_C(0x3c5)  /* EL1h, D A I F masked */

#endif
