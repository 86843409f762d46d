/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry in PVH's state: 32-bit protected mode, paging off, flat segments, ebx = struct hvm_start_info. The
 * flat file is entered at its first byte in the same state. It may have been loaded anywhere below 4 GiB
 * that is not within its own length of where it is linked: it moves itself there.
 */
#ifndef GUEST_FIRST                 /* a guest may have its first instruction read something, into edx:eax */
#define GUEST_FIRST xor %eax, %eax ; xor %edx, %edx
#endif

#define STACK_BYTES 16384
#define SCRATCH     0x7000          /* RAM below 1 MiB: first what was read, and a stack */
#define TRAMPOLINE  0x6000          /* machine.c puts the code of starting cores there */
#define TABLES      8               /* 512 GiB each */

#define CODE32  0x08
#define DATA    0x10
#define CODE64  0x18

#define PRESENT 0x03                /* and writable */
#define LARGE   0x83

    .section .text.start, "ax"
    .code32
    .global image_start
image_start:
    GUEST_FIRST
    mov     %eax, SCRATCH
    mov     %edx, SCRATCH + 4
    mov     $SCRATCH, %esp
    cld
    call    1f
1:  pop     %esi
    sub     $(1b - image_start), %esi
    mov     $image_start, %edi
    cmp     %edi, %esi
    je      2f
    mov     $(file_end - image_start), %ecx
    rep movsb
    mov     $2f, %eax
    jmp     *%eax
2:  mov     $bss_start, %edi
    mov     $bss_end, %ecx
    sub     %edi, %ecx
    xor     %eax, %eax
    rep stosb
    call    build_map
    lgdt    gdt_pointer
    mov     $primary_entry, %edi
    jmp     enter_long

/* Identity map: TABLES * 512 GiB by 1 GiB pages, or 4 GiB by 2 MiB pages where the CPU has no others. */
build_map:
    mov     $0x80000001, %eax
    push    %ebx
    cpuid
    pop     %ebx
    xor     %ecx, %ecx
    test    $(1 << 26), %edx        /* 1 GiB pages */
    jz      2f
1:  mov     %ecx, %eax
    mov     %ecx, %edx
    shl     $30, %eax
    shr     $2, %edx
    or      $LARGE, %eax
    mov     %eax, gib_tables(, %ecx, 8)
    mov     %edx, gib_tables + 4(, %ecx, 8)
    inc     %ecx
    cmp     $(TABLES * 512), %ecx
    jne     1b
    jmp     4f
2:  mov     %ecx, %eax
    shl     $21, %eax
    or      $LARGE, %eax
    mov     %eax, mib_tables(, %ecx, 8)
    inc     %ecx
    cmp     $2048, %ecx
    jne     2b
    mov     $(mib_tables + PRESENT), %eax
    xor     %ecx, %ecx
3:  mov     %eax, gib_tables(, %ecx, 8)
    add     $4096, %eax
    inc     %ecx
    cmp     $4, %ecx
    jne     3b
4:  mov     $(gib_tables + PRESENT), %eax
    xor     %ecx, %ecx
5:  mov     %eax, root_table(, %ecx, 8)
    add     $4096, %eax
    inc     %ecx
    cmp     $TABLES, %ecx
    jne     5b
    ret

/* Goes on at rdi in 64-bit mode, with the GDT loaded. Uses eax, ecx, edx. */
enter_long:
    mov     $0x20, %eax             /* CR4.PAE */
    mov     %eax, %cr4
    mov     $root_table, %eax
    mov     %eax, %cr3
    mov     $0xc0000080, %ecx       /* EFER.LME */
    rdmsr
    or      $0x100, %eax
    wrmsr
    mov     %cr0, %eax
    or      $0x80000001, %eax       /* PG, PE */
    mov     %eax, %cr0
    ljmp    $CODE64, $1f
    .code64
1:  mov     $DATA, %eax
    mov     %eax, %ds
    mov     %eax, %es
    mov     %eax, %ss
    mov     %edi, %edi
    jmp     *%rdi

primary_entry:
    mov     $boot_stack_top, %esp
    mov     %ebx, %ebx
    push    %rbx
    push    SCRATCH
    call    idt_fill
    call    idt_load
    pop     %rsi
    pop     %rdi
    call    guest_start
1:  hlt
    jmp     1b

/* Where a core starts after INIT and SIPI: copied to TRAMPOLINE, entered there in real mode. */
    .global trampoline_begin, trampoline_end
    .code16
trampoline_begin:
    cli
    xor     %ax, %ax
    mov     %ax, %ds
    lgdtl   TRAMPOLINE + 2f - trampoline_begin
    mov     %cr0, %eax
    or      $1, %al
    mov     %eax, %cr0
    ljmpl   $CODE32, $secondary_entry
    .balign 8
2:  .word   gdt_end - gdt - 1
    .long   gdt
trampoline_end:

    .code32
secondary_entry:
    mov     $DATA, %eax
    mov     %eax, %ds
    mov     %eax, %es
    mov     %eax, %ss
    mov     $1f, %edi
    jmp     enter_long
    .code64
1:  mov     secondary_stack, %rsp
    call    idt_load
    call    secondary_start
2:  cli
    hlt
    jmp     2b

    .data
    .balign 16
gdt:
    .quad   0
    .quad   0x00cf9b000000ffff      /* CODE32 */
    .quad   0x00cf93000000ffff      /* DATA */
    .quad   0x00af9b000000ffff      /* CODE64 */
gdt_end:
gdt_pointer:
    .word   gdt_end - gdt - 1
    .quad   gdt

/* ELF note of type XEN_ELFNOTE_PHYS32_ENTRY (Xen, public/elfnote.h): where PVH enters. */
    .section .note.pvh, "a", @note
    .balign 4
    .long   4, 4, 18
    .asciz  "Xen"
    .long   image_start

    .bss
    .balign 4096
root_table:
    .skip   4096
gib_tables:
    .skip   TABLES * 4096
mib_tables:
    .skip   4 * 4096
    .balign 16
    .skip   STACK_BYTES
boot_stack_top:
