/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long runs of memory, 64 bytes at a time in FP registers. Both functions run only where no guest's FP
 * state is alive on the core: before the first guest, or for a vcpu that has halted and will be reset.
 */
    .arch_extension fp
    .arch_extension simd
    .section .text.bulk, "ax"

/* arch_sum(start, end), see hv/arch.h: v4 and v5 are a and b. */
    .globl arch_sum
arch_sum:
    hint    #34                     /* bti c */
    movi    v4.2d, #0
    movi    v5.2d, #0
    cmp     x0, x1
    b.hs    2f
1:  ld1     {v0.2d, v1.2d, v2.2d, v3.2d}, [x0], #64
    ld1     {v16.2d, v17.2d, v18.2d, v19.2d}, [x0], #64
    add     v4.2d, v4.2d, v0.2d
    add     v4.2d, v4.2d, v1.2d
    add     v4.2d, v4.2d, v2.2d
    add     v4.2d, v4.2d, v3.2d
    add     v4.2d, v4.2d, v16.2d
    add     v4.2d, v4.2d, v17.2d
    add     v4.2d, v4.2d, v18.2d
    add     v4.2d, v4.2d, v19.2d
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

/* arch_copy(target, source, size), size a multiple of 16: each line is cleaned to memory. */
    .globl arch_copy
arch_copy:
    hint    #34                     /* bti c */
    add     x3, x0, x2              /* end of the target */
    sub     x4, x3, #64
    cmp     x0, x4
    b.hi    2f
1:  ld1     {v0.2d, v1.2d, v2.2d, v3.2d}, [x1], #64
    st1     {v0.2d, v1.2d, v2.2d, v3.2d}, [x0]
    dc      cvac, x0
    add     x0, x0, #64
    cmp     x0, x4
    b.ls    1b
2:  cmp     x0, x3
    b.hs    3f
    ld1     {v0.2d}, [x1], #16
    st1     {v0.2d}, [x0]
    dc      cvac, x0
    add     x0, x0, #16
    b       2b
3:  sub     x0, x3, #1              /* the last line, if the target was not aligned to one */
    dc      cvac, x0
    ret
