/* SPDX-License-Identifier: Apache-2.0 */
/* What head.S needs to know of C's structs and of the registers it sets; boot.c asserts it. */
#ifndef ARM64_BOOT_H
#define ARM64_BOOT_H

#define LAYOUT_CPU_COUNT      12
#define LAYOUT_EL2_TTBR       56  /* followed by el2_tcr */
#define LAYOUT_CPUS           104
#define LAYOUT_CPU_SIZE       32
#define LAYOUT_CPU_STACK_TOP  8
#define LAYOUT_MAIR           0x04ff

/* SCTLR_EL2: RES1 bits, and M, C, SA, I, WXN. */
#define SCTLR_EL2_BASE  0x30cd183d
#define SCTLR_EL2_BT    0x1000000000  /* bit 36 */
#define SCTLR_EL2_ENIA  0x80000000    /* bit 31 */

#endif
