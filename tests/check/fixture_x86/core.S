/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for the hypervisor on x86: what hv.ld asks for, two pages of code, three of data. Only its sections matter. */
    .section .head, "ax"
    .globl entry32, trap_stubs
entry32:
trap_stubs:
    jmp entry32
    .text
    .balign 4096
    .fill 4096, 1, 0x90
    .data
    .balign 4096
    .globl writable
writable:
    .fill 12288, 1, 0
    .bss
    .balign 4096
    .zero 4096
    .section .rodata, "a"
    .quad 0x0123456789abcdef
    .section .note.pvh, "a", @note
    .long 4, 4, 18
    .asciz "Xen"
    .long entry32
    .section .padding, "a"
    .section .efistub, "ax"
    ret
    .section .note.GNU-stack, "", @progbits
