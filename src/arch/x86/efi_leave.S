/* SPDX-License-Identifier: Apache-2.0 */
/* Entered by UEFI firmware (UEFI 2.10, 2.3.4), and out of it again: to the place the image is linked for. */
#include "boot.h"

    .section .efistub, "ax"
/* rcx: image handle, rdx: system table, in Microsoft's calling convention. */
    .globl efi_entry
efi_entry:
    sub     $8, %rsp
    mov     %rcx, %rdi
    mov     %rdx, %rsi
    call    efi_main
    add     $8, %rsp
    ret

/*
 * void efi_leave(uint64_t image): moves the image from where the firmware put it (rdi) to HV_BASE and enters
 * it with the boot map. What this needs meanwhile has to survive the move: the copying loop and tables that
 * map the first 512 GiB as they are (the firmware's may lie where the image goes). They take three pages
 * behind whichever of the two places lies higher; the PE header has asked for them.
 */
    .globl efi_leave
efi_leave:
    cli
    cld
    mov     %rdi, %rbx
    mov     $HV_BASE, %r8               /* target */
    mov     $_image_size, %r9
    lea     (%rbx, %r9), %r10           /* scratch behind the source... */
    lea     (%r8, %r9), %rax
    cmp     %rbx, %r8
    cmova   %rax, %r10                  /* ...or behind the target, if that is higher */
    mov     %r10, %rdi
    lea     move(%rip), %rsi
    mov     $move_end - move, %ecx
    rep movsb
    lea     0x1000(%r10), %rdi          /* one entry of the top level, 512 pages of 1 GiB below it */
    xor     %eax, %eax
    mov     $512, %ecx
    rep stosq
    lea     0x2023(%r10), %rax
    mov     %rax, 0x1000(%r10)
    mov     $0xe3, %eax
    mov     $512, %ecx
1:  stosq
    add     $0x40000000, %rax
    loop    1b
    lea     0x1000(%r10), %rax
    mov     %rax, %cr3
    jmp     *%r10

/* rbx source, r8 target, r9 size (a multiple of 4 KiB). */
move:
    mov     %r9, %rcx
    shr     $3, %rcx
    mov     %rbx, %rsi
    mov     %r8, %rdi
    cmp     %rbx, %r8
    jbe     1f
    std                                 /* upwards: from the end */
    lea     -8(%rsi, %r9), %rsi
    lea     -8(%rdi, %r9), %rdi
1:  rep movsq
    cld
    mov     $efi_arrive, %eax
    jmp     *%rax
move_end:

    .section .text.efi, "ax"
efi_arrive:                             /* in place; the boot map and descriptors of our own */
    mov     $boot_pml4, %eax
    mov     %rax, %cr3
    mov     $emergency_stack_top, %esp
    lgdt    gdt_pointer
    mov     $BOOT_EFI, %edi
    xor     %esi, %esi
    push    $CODE64
    push    $entry64
    lretq

    .section .note.GNU-stack, "", @progbits
