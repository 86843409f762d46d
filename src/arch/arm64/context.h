/* SPDX-License-Identifier: Apache-2.0 */
/* All of a vcpu that a core keeps in registers, for a vcpu of a pool that does not run. */
#ifndef ARM64_CONTEXT_H
#define ARM64_CONTEXT_H

/*
 * General state of EL1 and EL0, and of the exit (DDI 0487 D19), in the order of context.reg. Debug and PMU registers
 * are not given to pools. The timers' controls come behind what they look at.
 */
#define CONTEXT_REGISTERS(X)                                                                                   \
    X(elr_el2) X(spsr_el2) X(sctlr_el1) X(cpacr_el1) X(ttbr0_el1) X(ttbr1_el1) X(tcr_el1) X(esr_el1)           \
    X(afsr0_el1) X(afsr1_el1) X(far_el1) X(mair_el1) X(amair_el1) X(vbar_el1) X(contextidr_el1) X(tpidr_el0)   \
    X(tpidrro_el0) X(tpidr_el1) X(sp_el0) X(sp_el1) X(elr_el1) X(spsr_el1) X(par_el1) X(cntkctl_el1)           \
    X(csselr_el1) X(mdscr_el1) X(S3_4_C12_C11_7) X(S3_4_C12_C8_0) X(S3_4_C12_C9_0) X(cntv_cval_el0)            \
    X(cntp_cval_el0) X(cntvoff_el2) X(cntv_ctl_el0) X(cntp_ctl_el0)

/* Keys of pointer authentication, where the CPU has it. */
#define CONTEXT_KEYS(X)                                                                                        \
    X(S3_0_C2_C1_0) X(S3_0_C2_C1_1) X(S3_0_C2_C1_2) X(S3_0_C2_C1_3) X(S3_0_C2_C2_0) X(S3_0_C2_C2_1)            \
    X(S3_0_C2_C2_2) X(S3_0_C2_C2_3) X(S3_0_C2_C3_0) X(S3_0_C2_C3_1)

#define CONTEXT_ONE(name)  +1
#define CONTEXT_COUNT      (0 CONTEXT_REGISTERS(CONTEXT_ONE))
#define CONTEXT_KEY_COUNT  (0 CONTEXT_KEYS(CONTEXT_ONE))
#define CONTEXT_LRS        4u
#define CONTEXT_FP         272  /* offsets that context.S uses; asserted below */
#define CONTEXT_STAGE2     800

#ifndef __ASSEMBLER__

#include <hv/types.h>

struct context {
    uint64_t reg[CONTEXT_COUNT];
    uint64_t fp[66] __attribute__((aligned(16)));  /* q0..q31, FPCR, FPSR */
    uint64_t vtcr, vttbr, vmpidr;    /* do not change */
    uint64_t sp;                     /* of its thread */
    uint64_t key[CONTEXT_KEY_COUNT];
    uint64_t lr[CONTEXT_LRS];        /* those of lr_used */
    uint32_t lr_used, ppi_active;
    uint32_t spi_word;               /* some bit of `spi` may be set, atomic */
    uint32_t spi[32];                /* physical interrupts that came while it did not run, atomic */
};
_Static_assert(offsetof(struct context, fp) == CONTEXT_FP && offsetof(struct context, vtcr) == CONTEXT_STAGE2, "context.S");

/* Registers, stage 2 and FP/SIMD. */
void context_save(struct context *context);
void context_load(const struct context *context);

/* Goes on with the thread whose stack pointer is `to`; this one's is stored at `from`. */
void context_switch(uint64_t *from, uint64_t to);
void context_begin(void);

#endif
#endif
