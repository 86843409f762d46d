/* SPDX-License-Identifier: Apache-2.0 */
/* Exits, as svm/ and vmx/ hand them on. */
#ifndef X86_EXITS_H
#define X86_EXITS_H

#include "cpu.h"

/* The short ones, on registers that C may clobber: rax, rcx, rdx, rbx, rsi, rdi, r8..r11 are saved. */
void exit_cpuid(struct cpu *cpu);
void exit_hypercall(struct cpu *cpu);
void exit_msr(struct cpu *cpu, uint32_t write);

/* An NMI, once it has been taken: the hypervisor's only interrupt. */
void exit_nmi(struct cpu *cpu);

/* The end of every exit that is not short: requests to the partition, INITs and NMIs for the guest. */
void exit_events(struct cpu *cpu);

/* Reports what the guest did, with its instruction pointer, and carries out the on-fault policy. */
void exit_fault(struct cpu *cpu, const char *what, uint64_t syndrome);

/* An access to an I/O port of `size` bytes (1, 2, 4). False: it was a fault, the instruction is not passed. */
bool port_access(struct cpu *cpu, uint16_t port, uint32_t size, bool in, bool string);

/* The partition starts or ends: its next touch of a foreign port is worth a line on the console again. */
void ports_reset(const struct layout_partition *config);

/* An access to memory that is not mapped; error: as of a page fault. Length of the emulated instruction, or 0. */
#define ACCESS_WRITE  (UINT64_C(1) << 1)
#define ACCESS_FETCH  (UINT64_C(1) << 4)
uint32_t memory_access(struct cpu *cpu, ipa_t address, uint64_t error);

/* MSRs that are not answered at once: exits.c calls these. False: the guest gets #GP(0). */
bool msr_read(struct cpu *cpu, uint32_t msr, uint64_t *value);
bool msr_write(struct cpu *cpu, uint32_t msr, uint64_t value);

/* What XSETBV accepts for XCR0 (SDM 1 13.3). */
bool xcr0_valid(uint64_t value);

/* A write of the x2APIC's interrupt command register that exits.c did not answer itself. */
bool icr_write(struct cpu *cpu, uint64_t value);

#endif
