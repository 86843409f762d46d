/* SPDX-License-Identifier: Apache-2.0 */
/* The loader's view on a partition's RAM, and the withdrawal of a partition's stage 2. */
#include <hv/arch.h>

#include "init.h"
#include "sysreg.h"

#define DESCRIPTOR_VALID  UINT64_C(1)

void set_el2_root(uint64_t ttbr)
{
    dsb_ish();
    sysreg_write(ttbr0_el2, ttbr);
    isb();
    __asm__ volatile("tlbi alle2" : : : "memory");
    dsb_ish();
    isb();
}

void arch_loader_open(const struct layout_partition *config)
{
    set_el2_root(config->loader_ttbr);
}

void arch_loader_close(void)
{
    dsb_sy();
    __asm__ volatile("ic ialluis" : : : "memory");
    set_el2_root(layout.el2_ttbr);
}

/* size is a multiple of 4 KiB; DC ZVA zeroes its block (DCZID_EL0), which is cleaned and dropped after. */
void arch_zero(uint64_t target, uint64_t size)
{
    uint64_t block = UINT64_C(4) << (sysreg_read(dczid_el0) & 0xfu);
    uint64_t end = target + size;

    for (uint64_t at = target; at < end; at += block) {
        __asm__ volatile("dc zva, %0" : : "r"(at) : "memory");
    }
    for (uint64_t at = target; at < end; at += HV_CACHE_LINE) {
        __asm__ volatile("dc civac, %0" : : "r"(at) : "memory");
    }
}

/* Every entry of the root becomes invalid (or valid again); the TLBs forget the partition's VMID. */
static void set_root_valid(const struct layout_partition *config, bool valid)
{
    uint64_t vttbr = sysreg_read(vttbr_el2);

    for (uint32_t i = 0; i < config->root_count; i++) {
        if (config->root[i] != 0) {
            config->root[i] = valid ? config->root[i] | DESCRIPTOR_VALID : config->root[i] & ~DESCRIPTOR_VALID;
        }
    }
    dsb_ish();
    sysreg_write(vttbr_el2, config->vttbr);
    isb();
    __asm__ volatile("tlbi vmalls12e1is" : : : "memory");
    dsb_ish();
    isb();
    sysreg_write(vttbr_el2, vttbr);
    isb();
}

void arch_partition_withdraw(const struct layout_partition *config)
{
    if (config->root != NULL) {
        set_root_valid(config, false);
    }
}

void arch_partition_restore(const struct layout_partition *config)
{
    if (config->root != NULL) {
        set_root_valid(config, true);
    }
}
