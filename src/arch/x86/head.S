/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first bytes of the image: a PE/COFF header (UEFI 2.10, 2.1.1), a multiboot2 header, and the note that
 * makes a PVH kernel of the ELF file. PVH and multiboot2 enter in 32-bit protected mode at the address that
 * the image is linked for; UEFI enters in long mode anywhere, and efi_leave.S moves the image.
 */
#include "boot.h"
#include "cpu.h"

#define HEADERS         0x200
#define EMERGENCY_SIZE  4096

#define CR0_BITS  0x80010033    /* PG, WP, NE, ET, MP, PE */
#define CR4_BITS  0x20          /* PAE */
#define MSR_EFER  0xc0000080
#define EFER_BITS 0x900         /* NXE, LME */

    .section .head, "ax"
    .globl _head
_head:
    .ascii  "MZ"
    .org    _head + 0x3c
    .long   pe_header - _head
    .balign 8
multiboot:                              /* Multiboot2 3.1 */
    .long   0xe85250d6, 0, multiboot_end - multiboot, -(0xe85250d6 + (multiboot_end - multiboot))
    .short  3, 0                        /* entry address */
    .long   12
    .long   entry32
    .balign 8
    .short  0, 0
    .long   8
multiboot_end:
    .balign 8
pe_header:
    .ascii  "PE\0\0"
    .short  0x8664                      /* machine: x86-64 */
    .short  4                           /* sections */
    .long   0, 0, 0
    .short  section_table - optional_header
    .short  0x206                       /* executable, line numbers and debug stripped */
optional_header:
    .short  0x20b                       /* PE32+ */
    .byte   1, 0
    .long   _text_size - HEADERS        /* size of code */
    .long   _initialized_size           /* size of initialized data */
    .long   0
    .long   _efi_entry_offset
    .long   HEADERS                     /* base of code */
    .quad   0                           /* image base */
    .long   HEADERS, HEADERS            /* section and file alignment */
    .short  0, 0, 1, 0, 0, 0
    .long   0
    .long   _image_room                 /* size of image */
    .long   HEADERS
    .long   0
    .short  10, 0                       /* subsystem: EFI application */
    .quad   0, 0, 0, 0
    .long   0
    .long   6                           /* data directories, all empty */
    .quad   0, 0, 0, 0, 0, 0
    .macro pe_section name, offset, size, memory_size, flags
    .ascii  "\name"
    .long   \memory_size, \offset, \size, \offset
    .long   0, 0
    .short  0, 0
    .long   \flags
    .endm
#define PE_CODE  0x60000020             /* code, executable, readable */
#define PE_DATA  0xc0000040             /* initialized data, readable, writable */
section_table:
    pe_section ".text\0\0\0", HEADERS, (_text_size - HEADERS), (_text_size - HEADERS), PE_CODE
    pe_section ".data\0\0\0", _text_size, _data_size, _data_size, PE_DATA
    pe_section ".stub\0\0\0", _stub_offset, _stub_size, _stub_size, PE_CODE
    pe_section ".images\0", _images_offset, _images_size, _images_room, PE_DATA
    .org    _head + HEADERS

/* ebx: struct hvm_start_info (PVH), or the multiboot2 information with its magic number in eax. */
    .code32
    .globl entry32
entry32:
    cli
    cld
    mov     $BOOT_PVH, %edi
    cmp     $0x36d76289, %eax
    jne     1f
    mov     $BOOT_MULTIBOOT, %edi
1:  mov     %ebx, %esi
    mov     $emergency_stack_top, %esp
    lgdt    gdt_pointer
    mov     $boot_pml4, %eax
    mov     %eax, %cr3
    call    long_mode
    ljmp    $CODE64, $entry64

/* Paging and long mode on, with the tables in CR3; in compatibility mode until the far jump. */
long_mode:
    mov     $CR4_BITS, %eax
    mov     %eax, %cr4
    mov     $MSR_EFER, %ecx
    rdmsr
    or      $EFER_BITS, %eax
    wrmsr
    mov     $CR0_BITS, %eax
    mov     %eax, %cr0
    ret

/* edi: BOOT_*, rsi: what the boot loader hands on. The boot map below, or firmware's until efi_leave.S. */
    .code64
    .globl entry64
entry64:
    mov     %esi, %r13d
    mov     %edi, %r12d
    mov     $emergency_stack_top, %esp
    mov     $MSR_EFER, %ecx             /* UEFI may come with neither NX nor write protection */
    rdmsr
    or      $EFER_BITS, %eax
    wrmsr
    mov     $CR0_BITS, %eax
    mov     %rax, %cr0
    mov     $1f, %edx
    jmp     find_core                   /* ebp: index of this core, or layout.cpu_count */
1:
    rdtsc
    not     %eax
    mov     %eax, __stack_chk_guard + 4
    mov     %edx, __stack_chk_guard
    mov     %r12d, %edi
    mov     %r13, %rsi
    call    boot_early
    mov     layout + LAYOUT_HOST_CR3, %rax
    mov     %rax, %cr3
    call    boot_protect
    mov     %ebp, %edi
    call    boot_first_core
    jmp     guest_enter

/* A core that came through the trampoline, in long mode with the hypervisor's own tables. */
    .globl entry_other
entry_other:
    mov     $1f, %edx
    jmp     find_core
1:  call    boot_protect
    mov     %ebp, %edi
    call    boot_other_core
    jmp     guest_enter

/*
 * Returns to edx, since other cores have no stack yet. ebp = index of the core with this APIC ID, and its
 * stack; with layout.cpu_count the stack stays as it is.
 */
find_core:
    lgdt    gdt_pointer
    lidt    idt_pointer
    mov     $DATA, %eax
    mov     %eax, %ds
    mov     %eax, %es
    mov     %eax, %ss
    xor     %eax, %eax
    mov     %eax, %fs
    mov     %eax, %gs
    lldt    %ax
    mov     %edx, %r8d
    mov     $1, %eax
    cpuid
    mov     %ebx, %r9d
    shr     $24, %r9d                   /* initial APIC ID */
    xor     %eax, %eax
    cpuid
    cmp     $0xb, %eax
    jb      1f
    mov     $0xb, %eax
    xor     %ecx, %ecx
    cpuid
    test    %bx, %bx
    jz      1f
    mov     %edx, %r9d                  /* x2APIC ID */
1:  mov     layout + LAYOUT_CPUS, %rbx
    xor     %ebp, %ebp
2:  cmp     layout + LAYOUT_CPU_COUNT, %ebp
    je      3f
    cmp     %r9, (%rbx)
    je      4f
    add     $LAYOUT_CPU_SIZE, %rbx
    inc     %ebp
    jmp     2b
4:  mov     LAYOUT_CPU_STACK_TOP(%rbx), %rsp
    sub     $CPU_SIZE, %rsp
3:  jmp     *%r8

/* ---------------------------------------------------------------- other cores, below 1 MiB */

/*
 * Copied to layout.pc.trampoline. Real mode, cs:ip = its page:0 (SDM 3 9.4.4.1); goes to long mode in one
 * step, executing from that page through the hypervisor's tables until the far jump.
 */
    .code16
    .globl trampoline, trampoline_end, trampoline_cr3
trampoline:
    cli
    cld
    mov     %cs, %ax
    mov     %ax, %ds
    mov     $CR4_BITS, %eax
    mov     %eax, %cr4
    mov     trampoline_cr3 - trampoline, %eax
    mov     %eax, %cr3
    mov     $MSR_EFER, %ecx
    rdmsr
    or      $EFER_BITS, %eax
    wrmsr
    lgdtl   trampoline_gdt - trampoline
    mov     $CR0_BITS, %eax
    mov     %eax, %cr0
    ljmpl   $CODE64, $entry_other
    .balign 4
trampoline_cr3:
    .long   0
trampoline_gdt:
    .short  gdt_end - gdt - 1
    .long   gdt
trampoline_end:
    .code64

/* ---------------------------------------------------------------- exceptions of the hypervisor */

/*
 * Vectors 0..15 have a stub each, 16 bytes apart from trap_stubs; every other vector is an interrupt that a
 * guest left behind in its local APIC (apic_reset), which takes any number from 16 on. The exceptions above 15
 * cannot happen: no floating point here, and CR0 and CR4 leave alignment and machine checks off (boot_protect).
 * An NMI is a kick, own_nmi the vendor's (svm/, vmx/).
 */
    .balign 16
    .globl trap_stubs
trap_stubs:
    .set    number, 0
    .rept   16
    .org    trap_stubs + 16 * number
    .if     number == 2
    jmp     own_nmi
    .else
    mov     $number, %edi
    jmp     own_exception
    .endif
    .set    number, number + 1
    .endr
    .org    trap_stubs + 16 * 16
    .globl trap_interrupt
trap_interrupt:
    push    %rax
    push    %rcx
    push    %rdx
    xor     %eax, %eax
    xor     %edx, %edx
    mov     $0x80b, %ecx                /* x2APIC EOI */
    wrmsr
    pop     %rdx
    pop     %rcx
    pop     %rax
    iretq

own_exception:
    mov     %rsp, %rsi
    mov     %cr2, %rdx
    mov     $emergency_stack_top, %esp
    jmp     boot_exception

/* ---------------------------------------------------------------- tables */

    .section .rodata.boot, "a"
    .balign 4096
/* The first 4 GiB as they are, for as long as the layout's own tables are not in use. */
    .globl  boot_pml4, gdt_pointer
boot_pml4:
    .quad   boot_pdpt + 0x23
    .fill   511, 8, 0
boot_pdpt:
    .quad   0x000000e3, 0x400000e3, 0x800000e3, 0xc00000e3
    .fill   508, 8, 0
/* Accessed bits are set, so that the CPU never writes here. */
    .balign 8
gdt:
    .quad   0
    .quad   0x00cf9b000000ffff          /* CODE32 */
    .quad   0x00af9b000000ffff          /* CODE64 */
    .quad   0x00cf93000000ffff          /* DATA */
gdt_end:
gdt_pointer:
    .short  gdt_end - gdt - 1
    .quad   gdt
    .balign 8
idt_pointer:
    .short  idt_end - idt - 1
    .quad   idt
    .balign 16
/* Interrupt gates (SDM 3 6.14.1); hv.ld gives the stubs' addresses in halves. */
    .macro gate low, offset
    .short  \low + \offset, CODE64, 0x8e00, _trap_high
    .long   0, 0
    .endm
idt:
    .set    number, 0
    .rept   16
    gate    _trap_low, (16 * number)
    .set    number, number + 1
    .endr
    .rept   240
    gate    _trap_low, (16 * 16)
    .endr
idt_end:

    .section .bss.emergency, "aw", @nobits
    .balign 16
    .globl emergency_stack
emergency_stack:
    .space  EMERGENCY_SIZE
    .globl emergency_stack_top
emergency_stack_top:

    .section .note.pvh, "a", @note
    .balign 4
    .long   4, 8, 18                    /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz  "Xen"
    .quad   entry32

    .section .note.GNU-stack, "", @progbits
