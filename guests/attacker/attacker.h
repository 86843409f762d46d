/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ATTACKER_H
#define ATTACKER_H

#include "../common/guest.h"

struct attack {
    const char *name;
    const char *what;
    void (*run)(const char *name, uint64_t address);
    bool ends;                       /* a hypervisor should stop or restart the guest for it */
};
extern const struct attack attacks[];    /* ends with a NULL name */

extern uint32_t own_cpus;
extern struct fdt_range own_ram;

/* Ends the line that the attack has begun with "attack NAME: what it saw". */
void verdict(bool held);

/* Lets pending interrupts in, gives how many came. */
uint32_t take_interrupts(void);

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
