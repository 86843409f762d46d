/* SPDX-License-Identifier: Apache-2.0 */
/* Offsets and numbers that head.S needs; boot.c asserts them. */
#ifndef X86_BOOT_H
#define X86_BOOT_H

#define LAYOUT_CPU_COUNT      12
#define LAYOUT_HOST_CR3       56
#define LAYOUT_CPUS           104
#define LAYOUT_CPU_SIZE       32
#define LAYOUT_CPU_STACK_TOP  8

#define LAYOUT_CPUID          160  /* layout.pc.cpuid, .cpuid_basic */
#define LAYOUT_CPUID_BASIC    184
#define APIC_WORDS            8

#define BOOT_PVH        1       /* how the image was entered */
#define BOOT_MULTIBOOT  2
#define BOOT_EFI        3

#define CODE32  0x08
#define CODE64  0x10
#define DATA    0x18

#endif
