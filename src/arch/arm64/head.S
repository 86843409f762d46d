/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first bytes of the file are an arm64 Image header (Linux Documentation/arch/arm64/booting.rst) and a
 * PE/COFF header (UEFI 2.10, 2.1.1), so U-Boot, QEMU and UEFI firmware all load it. The first instructions
 * move the file to the address it is linked for, if it was loaded elsewhere.
 */
#include "boot.h"
#include "cpu.h"

#define HEADERS  0x200              /* of Image and PE; the first instructions follow */

    .section .head, "ax"
    .globl _head
_head:
    ccmp    x18, #0, #0xd, pl       /* a harmless instruction whose bytes are "MZ" */
    b       entry
    .quad   HV_TEXT_OFFSET
    .quad   _image_room             /* the image and a page of scratch behind it */
    .quad   2                       /* little-endian, 4 KiB pages */
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   pe_header - _head

    .balign 8
pe_header:
    .ascii  "PE\0\0"
    .short  0xaa64                  /* machine: AArch64 */
    .short  4                       /* sections */
    .long   0, 0, 0
    .short  section_table - optional_header
    .short  0x206                   /* executable, line numbers and debug stripped */
optional_header:
    .short  0x20b                   /* PE32+ */
    .byte   1, 0
    .long   _text_size - HEADERS    /* size of code */
    .long   _initialized_size       /* size of initialized data */
    .long   0
    .long   _efi_entry_offset
    .long   HEADERS                 /* base of code */
    .quad   0                       /* image base */
    .long   HEADERS, HEADERS        /* section and file alignment */
    .short  0, 0, 1, 0, 0, 0
    .long   0
    .long   _image_room             /* size of image */
    .long   HEADERS                 /* size of headers: U-Boot loads nothing of them behind the section table */
    .long   0
    .short  10, 0                   /* subsystem: EFI application */
    .quad   0, 0, 0, 0
    .long   0
    .long   6                       /* data directories, all empty */
    .quad   0, 0, 0, 0, 0, 0
    .macro pe_section name, offset, size, memory_size, flags
    .ascii  "\name"
    .long   \memory_size, \offset, \size, \offset
    .long   0, 0
    .short  0, 0
    .long   \flags
    .endm
#define PE_CODE  0x60000020         /* code, executable, readable */
#define PE_DATA  0xc0000040         /* initialized data, readable, writable */
section_table:
    pe_section ".text\0\0\0", HEADERS, _text_size - HEADERS, _text_size - HEADERS, PE_CODE
    pe_section ".data\0\0\0", _text_size, _data_size, _data_size, PE_DATA
    pe_section ".stub\0\0\0", _stub_offset, _stub_size, _stub_size, PE_CODE
    pe_section ".images\0", _images_offset, _images_size, _images_room, PE_DATA
    .balign HEADERS

/* x0: the firmware's devicetree, or 1 from the UEFI stub, which has checked the board already. */
    .globl entry
entry:
    adr     x20, _head
    ldr     x21, =_head             /* where it is linked */
    mov     x22, x0
    cmp     x20, x21
    b.ne    move
in_place:
    adr     x0, vectors
    msr     daifset, #0xf
    mrs     x1, CurrentEL
    cmp     x1, #8
    b.ne    1f                      /* main_early() says so */
    msr     vbar_el2, x0
1:
    bl      find_core               /* w19: index of this core, or layout.cpu_count */
    adr     x1, __stack_chk_guard   /* unlike from boot to boot, as far as the counter is */
    mrs     x0, cntpct_el0
    mvn     x0, x0
    str     x0, [x1]
    mov     x0, x22
    bl      boot_early
    bl      drop_stale_lines
    bl      mmu_on
    mov     w0, w19
    bl      boot_first_core
    b       guest_enter

/* A core that PSCI CPU_ON has started; x0: its index. */
    .globl secondary_entry
secondary_entry:
    mov     w19, w0
    adr     x0, vectors
    msr     vbar_el2, x0
    bl      set_stack
    bl      mmu_on
    mov     w0, w19
    bl      boot_other_core
    b       guest_enter

/* w19 = index of the core with this MPIDR, and its stack. */
find_core:
    mrs     x0, mpidr_el1
    bic     x0, x0, #0xffffff0000000000
    bic     x0, x0, #0x00000000ff000000
    adr     x1, layout
    ldr     w2, [x1, #LAYOUT_CPU_COUNT]
    ldr     x3, [x1, #LAYOUT_CPUS]
    mov     w19, #0
1:  cmp     w19, w2
    b.eq    2f
    ldr     x4, [x3], #LAYOUT_CPU_SIZE
    cmp     x4, x0
    b.eq    set_stack
    add     w19, w19, #1
    b       1b
2:  adr     x1, emergency_stack_top
    mov     sp, x1
    ret

set_stack:
    adr     x1, layout
    ldr     x1, [x1, #LAYOUT_CPUS]
    mov     x2, #LAYOUT_CPU_SIZE
    umaddl  x1, w19, w2, x1
    ldr     x1, [x1, #LAYOUT_CPU_STACK_TOP]
    sub     sp, x1, #CPU_SIZE
    ret

/* What was written with the MMU off must not be hidden by lines that a cache took in before. */
drop_stale_lines:
    mov     x2, sp
    and     x0, x2, #~0xfff         /* this core's stack */
    add     x1, x0, #0x1000
    mov     x3, x30
    bl      1f
    adr     x0, __data_start
    adr     x1, __early_end
    mov     x30, x3
1:  dc      ivac, x0
    add     x0, x0, #64
    cmp     x0, x1
    b.lo    1b
    dsb     sy
    ret

/* The generator's tables; SCTLR_EL2 (D19.2.120): MMU, caches, alignment of SP, write implies no execute. */
    .globl mmu_on
mmu_on:
    adr     x1, layout
    ldp     x2, x3, [x1, #LAYOUT_EL2_TTBR]
    mov     x4, #LAYOUT_MAIR
    msr     ttbr0_el2, x2
    msr     tcr_el2, x3
    msr     mair_el2, x4
    tlbi    alle2
    ic      iallu
    mov     x5, #(SCTLR_EL2_BASE & 0xffff)
    movk    x5, #(SCTLR_EL2_BASE >> 16), lsl #16
    mrs     x6, id_aa64pfr1_el1     /* BT, bits 3:0 */
    and     x6, x6, #0xf
    cbz     x6, 1f
    orr     x5, x5, #SCTLR_EL2_BT
1:  mrs     x6, id_aa64isar1_el1    /* APA 7:4, API 11:8 */
    tst     x6, #0xff0
    b.eq    2f
    orr     x5, x5, #SCTLR_EL2_ENIA
2:  dsb     sy
    isb
    msr     sctlr_el2, x5
    isb
    ret

/*
 * The image was loaded elsewhere (x20, to go to x21): a copy of the loop below runs from the page behind
 * whichever of the two places lies higher up in the direction of the copy, which neither overwrites.
 */
move:
    ldr     x2, =_image_size
    add     x3, x20, x2             /* scratch behind the source, or behind the target if that is higher */
    add     x4, x21, x2
    cmp     x21, x20
    csel    x3, x4, x3, hi
    adr     x5, move_loop
    mov     x6, x3
1:  ldr     w7, [x5], #4
    str     w7, [x6], #4
    adr     x8, move_end
    cmp     x5, x8
    b.lo    1b
    mov     x6, x3                  /* the loop's and the target's lines: out of the data caches */
    add     x7, x3, #0x1000
1:  dc      civac, x6
    add     x6, x6, #64
    cmp     x6, x7
    b.lo    1b
    mov     x6, x21
1:  dc      civac, x6
    add     x6, x6, #64
    cmp     x6, x4
    b.lo    1b
    dsb     sy
    ic      iallu
    dsb     sy
    isb
    mov     x0, x22
    br      x3

/* x20 source, x21 target, x2 size (a multiple of 4 KiB), x0 for entry. */
move_loop:
    cmp     x21, x20
    b.hi    2f
    mov     x6, #0
1:  ldr     x7, [x20, x6]
    str     x7, [x21, x6]
    add     x6, x6, #8
    cmp     x6, x2
    b.lo    1b
    b       3f
2:  sub     x2, x2, #8
    ldr     x7, [x20, x2]
    str     x7, [x21, x2]
    cbnz    x2, 2b
3:  dsb     sy
    ic      iallu
    dsb     sy
    isb
    br      x21
move_end:
    .ltorg
