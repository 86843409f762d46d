/* SPDX-License-Identifier: Apache-2.0 */
/* From head.S into the core: is this CPU of the right kind, then main.c's order. */
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/main.h>

#include "boot.h"
#include "gic.h"
#include "init.h"
#include "psci.h"
#include "sysreg.h"

_Static_assert(offsetof(struct layout, cpu_count) == LAYOUT_CPU_COUNT, "boot.h");
_Static_assert(offsetof(struct layout, el2_ttbr) == LAYOUT_EL2_TTBR, "boot.h");
_Static_assert(offsetof(struct layout, el2_tcr) == LAYOUT_EL2_TTBR + 8, "boot.h");
_Static_assert(offsetof(struct layout, cpus) == LAYOUT_CPUS, "boot.h");
_Static_assert(sizeof(struct layout_cpu) == LAYOUT_CPU_SIZE, "boot.h");
_Static_assert(offsetof(struct layout_cpu, stack_top) == LAYOUT_CPU_STACK_TOP, "boot.h");
_Static_assert(LAYOUT_MAIR == LAYOUT_EL2_MAIR, "boot.h");

extern void secondary_entry(void);

/* ID_AA64MMFR0_EL1.PARange (D19.2.64). */
static const uint8_t pa_range_bits[] = { 32, 36, 40, 42, 44, 48, 52, 56 };

static void check_cpu(void)
{
    uint64_t mmfr0 = sysreg_read(id_aa64mmfr0_el1);
    uint32_t pa_bits = pa_range_bits[mmfr0 & 7u];

    if (pa_bits < layout.pa_bits) {
        panic("this CPU has %u physical address bits, the layout needs %u", pa_bits, layout.pa_bits);
    }
    if (bits(mmfr0, 31, 28) == 0xf) {
        panic("this CPU has no 4 KiB translation granule");
    }
    if (layout.gic.version != 3) {
        panic("the layout is for a GICv%u; this image drives GICv3 only", layout.gic.version);
    }
    if (bits(sysreg_read(id_aa64pfr0_el1), 27, 24) == 0) {
        panic("this CPU has no GICv3 interface, which the layout needs");
    }
    if ((sysreg_read(ICH_VTR_EL2) & 0x1fu) == 0) {
        panic("this CPU's GIC interface has one list register; two are needed");
    }
    if (bits(sysreg_read(ctr_el0), 19, 16) < 4) {
        panic("this CPU's cache lines are shorter than 64 bytes");
    }
}

/* Before any register of EL2 is touched, and so before main_early() has opened the console. */
static void check_level(void)
{
    uint64_t level = sysreg_read(CurrentEL) >> 2 & 3u;

    if (level != 2) {
        console_init();
        panic("entered at EL%lu: Bulkhead must be started at EL2", level);
    }
}

void boot_early(const void *dtb)
{
    check_level();
    sysreg_write(cptr_el2, CPTR_NO_TRAPS);  /* arch_sum() counts in FP registers, before there is a guest */
    isb();
    main_early(dtb, sysreg_read(mpidr_el1) & MPIDR_AFFINITY);
    check_cpu();
}

void arch_start_cores(void)
{
    uint64_t self = sysreg_read(mpidr_el1) & MPIDR_AFFINITY;

    for (uint32_t i = 0; i < layout.cpu_count; i++) {
        uint64_t result;

        if (layout.cpus[i].mpidr == self) {
            continue;
        }
        result = firmware_call(PSCI_CPU_ON | SMC64, layout.cpus[i].mpidr,
                               (uint64_t)(uintptr_t)&secondary_entry, i);
        if (result != PSCI_SUCCESS) {
            panic("the firmware refused to start the core with MPIDR 0x%lx for %s: PSCI error -%lu",
                  layout.cpus[i].mpidr, layout_cpu_owner(i), -result);
        }
    }
}

void boot_first_core(uint32_t cpu)
{
    gic_init();
    if (cpu < layout.cpu_count) {
        cpu_init(cpu);
    }
    main_first_core(cpu);
}

void boot_other_core(uint32_t cpu)
{
    check_cpu();
    cpu_init(cpu);
    main_core(cpu);
}
