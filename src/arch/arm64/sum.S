/* SPDX-License-Identifier: Apache-2.0 */
/* arch_sum(), see hv/arch.h: v4 and v5 are a and b. Only called before the first guest. */
    .arch_extension fp
    .arch_extension simd
    .section .text.sum, "ax"
    .globl arch_sum
arch_sum:
    hint    #34                     /* bti c */
    movi    v4.2d, #0
    movi    v5.2d, #0
    cmp     x0, x1
    b.hs    2f
1:  ld1     {v0.2d, v1.2d, v2.2d, v3.2d}, [x0], #64
    add     v4.2d, v4.2d, v0.2d
    add     v4.2d, v4.2d, v1.2d
    add     v4.2d, v4.2d, v2.2d
    add     v4.2d, v4.2d, v3.2d
    add     v5.2d, v5.2d, v4.2d
    cmp     x0, x1
    b.lo    1b
2:  mov     x0, v4.d[0]
    mov     x1, v4.d[1]
    eor     x0, x0, x1, ror #48
    mov     x1, v5.d[0]
    eor     x0, x0, x1, ror #32
    mov     x1, v5.d[1]
    eor     x0, x0, x1, ror #16
    ret
