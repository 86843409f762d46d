/* SPDX-License-Identifier: Apache-2.0 */
/* All of a vcpu that a core keeps in registers, for a vcpu of a pool that does not run. */
#ifndef ARM64_CONTEXT_H
#define ARM64_CONTEXT_H

#include <hv/types.h>

/* General state of EL1 and EL0, and of the exit (DDI 0487 D19). Debug and PMU registers are not given to pools. */
#define CONTEXT_REGISTERS(X)                                                                                   \
    X(elr_el2) X(spsr_el2) X(sctlr_el1) X(cpacr_el1) X(ttbr0_el1) X(ttbr1_el1) X(tcr_el1) X(esr_el1)           \
    X(afsr0_el1) X(afsr1_el1) X(far_el1) X(mair_el1) X(amair_el1) X(vbar_el1) X(contextidr_el1) X(tpidr_el0)   \
    X(tpidrro_el0) X(tpidr_el1) X(sp_el0) X(sp_el1) X(elr_el1) X(spsr_el1) X(par_el1) X(cntkctl_el1)           \
    X(csselr_el1) X(mdscr_el1) X(cntv_cval_el0) X(cntp_cval_el0) X(cntvoff_el2) X(ICH_VMCR_EL2)                \
    X(ICH_AP0R0_EL2) X(ICH_AP1R0_EL2) X(ICH_HCR_EL2)

/* Keys of pointer authentication, where the CPU has it. */
#define CONTEXT_KEYS(X)                                                                                        \
    X(S3_0_C2_C1_0) X(S3_0_C2_C1_1) X(S3_0_C2_C1_2) X(S3_0_C2_C1_3) X(S3_0_C2_C2_0) X(S3_0_C2_C2_1)            \
    X(S3_0_C2_C2_2) X(S3_0_C2_C2_3) X(S3_0_C2_C3_0) X(S3_0_C2_C3_1)

#define CONTEXT_ONE(name)  +1
#define CONTEXT_COUNT      (0 CONTEXT_REGISTERS(CONTEXT_ONE))
#define CONTEXT_KEY_COUNT  (0 CONTEXT_KEYS(CONTEXT_ONE))
#define CONTEXT_LRS        4u

struct context {
    uint64_t sp;                     /* of its thread */
    uint64_t reg[CONTEXT_COUNT];
    uint64_t key[CONTEXT_KEY_COUNT];
    uint64_t lr[CONTEXT_LRS];
    uint64_t fp[66] __attribute__((aligned(16)));
    uint32_t cntv_ctl, cntp_ctl;
    uint32_t ppi_active;
    uint32_t on_core;                /* 1: a core has its state or its stack, atomic */
    uint32_t spi_word;               /* some bit of `spi` may be set, atomic */
    uint32_t spi[32];                /* physical interrupts that came while it did not run, atomic */
};

void context_save_fp(uint64_t *fp);
void context_load_fp(const uint64_t *fp);
void context_switch(uint64_t *from, uint64_t to);
void context_begin(void);

#endif
