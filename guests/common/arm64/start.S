/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry at EL1 (or EL2 without a hypervisor), x0 = devicetree, MMU off. The file begins with the arm64
 * Image header, so that `raw:` and `linux:` partitions, QEMU's -kernel and U-Boot's booti all take it.
 * The code runs wherever it was loaded: it relocates itself.
 */
#ifndef GUEST_FIRST
#define GUEST_FIRST mov x20, xzr    /* a guest may have its first instruction read something */
#endif

#define STACK_BYTES 8192

    .section .text.start, "ax"
    .global image_start
image_start:
    GUEST_FIRST
    b       primary_entry
    .quad   0x80000                 /* text_offset */
                                    /* image_size: guest.ld puts it here */
    .section .text.header, "ax"
    .quad   0xa                     /* little-endian, 4 KiB pages, anywhere in memory */
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .word   0

primary_entry:
    mov     x19, x0
    adr     x21, 1f
    b       leave_el2
1:
    adrp    x0, boot_stack_top
    add     x0, x0, :lo12:boot_stack_top
    mov     sp, x0

    adrp    x0, bss_start
    add     x0, x0, :lo12:bss_start
    adrp    x1, bss_end
    add     x1, x1, :lo12:bss_end
2:  cmp     x0, x1
    b.hs    3f
    stp     xzr, xzr, [x0], #16
    b       2b

3:  ldr     x2, =GUEST_LINK_BASE    /* add to each R_AARCH64_RELATIVE word what the load address is off */
    adr     x3, image_start
    subs    x2, x3, x2
    b.eq    5f
    adrp    x0, rela_start
    add     x0, x0, :lo12:rela_start
    adrp    x1, rela_end
    add     x1, x1, :lo12:rela_end
4:  cmp     x0, x1
    b.hs    5f
    ldp     x3, x4, [x0], #24       /* offset, info; addend after them */
    ldur    x5, [x0, #-8]
    cmp     x4, #1027               /* R_AARCH64_RELATIVE */
    b.ne    4b
    add     x5, x5, x2
    str     x5, [x3, x2]
    b       4b

5:  adrp    x0, vectors
    add     x0, x0, :lo12:vectors
    msr     vbar_el1, x0
    isb
    mov     x0, x19
    mov     x1, x20
    bl      guest_start
6:  wfi
    b       6b

/* A core that PSCI started: x0 is the address of {stack, function}. */
    .global secondary_entry
secondary_entry:
    mov     x19, x0
    adr     x21, 1f
    b       leave_el2
1:  ldp     x0, x1, [x19]
    mov     sp, x0
    adrp    x0, vectors
    add     x0, x0, :lo12:vectors
    msr     vbar_el1, x0
    isb
    blr     x1
2:  wfi
    b       2b

/* Goes on at x21, at EL1 with interrupts masked. Uses x1, x2. */
leave_el2:
    mrs     x1, CurrentEL
    cmp     x1, #(2 << 2)
    b.eq    1f
    ldr     x1, =0x30d00800         /* SCTLR_EL1: RES1, MMU and caches off */
    msr     sctlr_el1, x1
    isb
    br      x21
1:  mov     x1, #(1 << 31)          /* HCR_EL2.RW, nothing trapped */
    msr     hcr_el2, x1
    mov     x1, #3                  /* EL1 reaches the physical counter and timer */
    msr     cnthctl_el2, x1
    msr     cntvoff_el2, xzr
    mov     x1, #0x33ff             /* CPTR_EL2: RES1, nothing trapped */
    msr     cptr_el2, x1
    msr     hstr_el2, xzr
    mrs     x1, pmcr_el0
    ubfx    x1, x1, #11, #5         /* all event counters are EL1's */
    msr     mdcr_el2, x1
    mrs     x1, midr_el1
    msr     vpidr_el2, x1
    mrs     x1, mpidr_el1
    msr     vmpidr_el2, x1
    mrs     x1, id_aa64pfr0_el1
    ubfx    x1, x1, #24, #4         /* system registers of a GICv3? */
    cbz     x1, 2f
    mrs     x1, S3_4_C12_C9_5       /* ICC_SRE_EL2 */
    mov     x2, #9                  /* Enable, SRE */
    orr     x1, x1, x2
    msr     S3_4_C12_C9_5, x1
    isb
    msr     S3_4_C12_C11_0, xzr     /* ICH_HCR_EL2 */
2:  adrp    x1, vectors
    add     x1, x1, :lo12:vectors
    msr     vbar_el2, x1
    ldr     x1, =0x30d00800
    msr     sctlr_el1, x1
    mov     x1, #0x3c5              /* EL1h, DAIF masked */
    msr     spsr_el2, x1
    msr     elr_el2, x21
    eret

    .ltorg

    .bss
    .balign 16
    .skip   STACK_BYTES
boot_stack_top:
