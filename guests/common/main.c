/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

void guest_start(const void *dtb, uint64_t early);

static void console_open(void)
{
    int node = fdt_console();
    struct fdt_range range;
    if (node == FDT_NONE || !fdt_reg(node, 0, &range)) {
        return;
    }
    console.base = range.base;
    console.intid = fdt_interrupt(node, 0);
    pl011_init(&console);
}

/* An ELF that QEMU starts itself has x0 = 0 and its devicetree at the start of RAM. */
void guest_start(const void *dtb, uint64_t early)
{
    if (!fdt_open(dtb)) {
        fdt_open((const void *)((uint64_t)image_start & ~UINT64_C(0x1fffff)));
    }
    console_open();
    main(early);
    psci_off();
}
