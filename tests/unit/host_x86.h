/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Included before every line of src/arch/x86 when it is built for the host: registers, ports, MMIO and
 * privileged instructions become calls into a fake, which the test provides.
 */
#ifndef HOST_X86_H
#define HOST_X86_H

#include <arch/x86/x86.h>

#define cpu_here  native_cpu_here  /* by the stack pointer, which is the host's here */
#include <arch/x86/cpu.h>
#undef cpu_here

#include "host_io.h"

struct cpuid fake_cpuid(uint32_t leaf, uint32_t subleaf);
uint64_t fake_rdmsr(uint32_t msr);
void fake_wrmsr(uint32_t msr, uint64_t value);
uint64_t fake_rdtsc(void);
struct cpu *fake_cpu_here(void);
uint64_t fake_read_cr3(void);
uint64_t fake_read_cr4(void);
void fake_write_cr3(uint64_t value);
void fake_write_cr4(uint64_t value);
void fake_pause(void);
void fake_instruction(const char *text);

#define cpuid(leaf, subleaf)    fake_cpuid((leaf), (subleaf))
#define rdmsr(msr)              fake_rdmsr(msr)
#define wrmsr(msr, value)       fake_wrmsr((msr), (value))
#define rdtsc()                 fake_rdtsc()
#define cpu_here()              fake_cpu_here()
#define read_cr3()              fake_read_cr3()
#define read_cr4()              fake_read_cr4()
#define write_cr3(value)        fake_write_cr3(value)
#define write_cr4(value)        fake_write_cr4(value)
#define pause()                 fake_pause()
#define __builtin_ia32_pause()  fake_pause()

/* What is left is `__asm__ volatile("text" ...)`, of which the fake sees the text. No system header follows. */
#define volatile(...)  ("" : : : "memory"); fake_instruction(#__VA_ARGS__)

#endif
