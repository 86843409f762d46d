/* SPDX-License-Identifier: Apache-2.0 */
/* From the UEFI stub to the common entry, which wants the MMU off and the image in memory. */
#define SCTLR_M_C_I  0x1005

    .section .efistub, "ax"
    .globl efi_entry
efi_entry:
    b       efi_main

    .globl efi_leave
efi_leave:                          /* x0: where the image lies */
    hint    #34                     /* bti c */
    msr     daifset, #0xf
    ldr     x1, =_image_room
    add     x1, x0, x1
    mov     x2, x0
1:  dc      civac, x2
    add     x2, x2, #64
    cmp     x2, x1
    b.lo    1b
    dsb     sy
    mrs     x2, sctlr_el2
    ldr     x3, =SCTLR_M_C_I
    bic     x2, x2, x3
    msr     sctlr_el2, x2
    isb
    ic      iallu
    dsb     sy
    isb
    mov     x0, #1                  /* MAIN_CHECKED */
    b       entry
