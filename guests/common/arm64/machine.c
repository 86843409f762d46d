/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

#define DTB_ROOM  (UINT64_C(2) << 20)

/* An ELF that QEMU starts itself has x0 = 0 and its devicetree at the start of RAM. */
void machine_open(const void *given)
{
    if (!fdt_open(given)) {
        fdt_open((const void *)((uint64_t)image_start & ~UINT64_C(0x1fffff)));
    }
}

uint32_t machine_memory(struct range *ranges, uint32_t room)
{
    return fdt_memory(ranges, room);
}

bool machine_keeps(uint64_t page)
{
    uint64_t dtb = fdt_address() & ~UINT64_C(0xfff);
    return (page + 0x1000 > (uint64_t)image_start && page < (uint64_t)image_end) ||
           (page >= dtb && page < dtb + DTB_ROOM);
}

uint32_t machine_cpus(uint64_t *ids, uint32_t room)
{
    return fdt_cpus(ids, room);
}

const char *machine_arguments(void)
{
    int chosen = fdt_path("/chosen");
    return chosen == FDT_NONE ? "" : fdt_string(chosen, "bootargs");
}

bool machine_console(uint64_t *base, uint32_t *irq)
{
    int node = fdt_console();
    struct range range;
    if (node == FDT_NONE || !fdt_reg(node, 0, &range)) {
        return false;
    }
    *base = range.base;
    *irq = fdt_interrupt(node, 0);
    return true;
}

void machine_info(void)
{
    int root = fdt_path("/");
    int64_t psci = psci_call(PSCI_VERSION, 0, 0, 0);
    print("hello: board %s\n", root == FDT_NONE ? "?" : fdt_string(root, "model"));
    print("hello: EL%lu, mpidr 0x%lx, midr 0x%lx\n", READ_SYSREG(CurrentEL) >> 2, READ_SYSREG(mpidr_el1),
          READ_SYSREG(midr_el1));
    print("hello: image 0x%lx, devicetree 0x%lx\n", (uint64_t)image_start, fdt_address());
    print("hello: console 0x%lx, INTID %u; timer INTID %u, %lu Hz; GICv%u at 0x%lx; PSCI %ld.%ld\n",
          console.base, console.intid, timer_irq(), timer_hz(), gic.version, gic.dist, psci >> 16,
          psci & 0xffff);
}
