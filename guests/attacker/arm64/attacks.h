/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ATTACKS_H
#define ATTACKS_H

#include "../attacker.h"

/* gic_attacks.c */
void attack_sgi(const char *name, uint64_t address);
void attack_spis(const char *name, uint64_t address);
void attack_ppis(const char *name, uint64_t address);
void attack_lpis(const char *name, uint64_t address);
void attack_deactivate(const char *name, uint64_t address);
void attack_dist_wild(const char *name, uint64_t address);
void attack_redist_other(const char *name, uint64_t address);

/* cpu_attacks.c */
void attack_psci_on(const char *name, uint64_t address);
void attack_psci_ids(const char *name, uint64_t address);
void attack_psci_entry(const char *name, uint64_t address);
void attack_calls(const char *name, uint64_t address);
void attack_registers(const char *name, uint64_t address);
void attack_vendor_registers(const char *name, uint64_t address);
void attack_set_way(const char *name, uint64_t address);
void attack_maintenance(const char *name, uint64_t address);
void attack_walk(const char *name, uint64_t address);
void attack_wfi(const char *name, uint64_t address);
void attack_sleep(const char *name, uint64_t address);
void attack_spin(const char *name, uint64_t address);

#endif
