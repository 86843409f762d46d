/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ATTACKS_H
#define ATTACKS_H

#include "../attacker.h"

/* Runs what a hypervisor may refuse or carry out, as long as it outlives it. */
void odd(const char *name, void (*call)(uint64_t), uint64_t address);

/* port_attacks.c */
void attack_ports(const char *name, uint64_t address);
void attack_ports_wide(const char *name, uint64_t address);
void attack_console(const char *name, uint64_t address);
void attack_port_strings(const char *name, uint64_t address);

/* apic_attacks.c */
void attack_icr(const char *name, uint64_t address);
void attack_icr_foreign(const char *name, uint64_t address);
void attack_icr_bits(const char *name, uint64_t address);
void attack_nmi_self(const char *name, uint64_t address);
void attack_apic_registers(const char *name, uint64_t address);
void attack_apic_base(const char *name, uint64_t address);
void attack_ioapic_lines(const char *name, uint64_t address);
void attack_ioapic_modes(const char *name, uint64_t address);
void attack_ioapic_wild(const char *name, uint64_t address);
void attack_low_vectors(const char *name, uint64_t address);
void attack_init_self(const char *name, uint64_t address);
void attack_startup(const char *name, uint64_t address);

void attack_pending(const char *name, uint64_t address);

/* state_attacks.c */
void leave_marks(void);
void attack_leftovers(const char *name, uint64_t address);

/* msr_attacks.c */
void attack_msrs(const char *name, uint64_t address);
void attack_msr_sweep(const char *name, uint64_t address);
void attack_efer(const char *name, uint64_t address);
void attack_tsc(const char *name, uint64_t address);
void attack_clock_page(const char *name, uint64_t address);

/* cpu_attacks.c */
void attack_calls(const char *name, uint64_t address);
void attack_cpuid(const char *name, uint64_t address);
void attack_virtualization(const char *name, uint64_t address);
void attack_cr4_reserved(const char *name, uint64_t address);
void attack_control(const char *name, uint64_t address);
void attack_instructions(const char *name, uint64_t address);
void attack_sleep_timer(const char *name, uint64_t address);
void attack_triple(const char *name, uint64_t address);
void attack_walk(const char *name, uint64_t address);
void attack_reserved_bits(const char *name, uint64_t address);
void attack_debug_storm(const char *name, uint64_t address);
void attack_alignment_storm(const char *name, uint64_t address);
void attack_task_switch(const char *name, uint64_t address);
void attack_sleep(const char *name, uint64_t address);
void attack_spin(const char *name, uint64_t address);

/* protected.S: leave 64-bit mode for good */
void alignment_storm(void) __attribute__((noreturn));
void task_switch(void) __attribute__((noreturn));

#endif
