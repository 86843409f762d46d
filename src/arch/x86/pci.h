/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI functions that partitions own. A guest sees them by configuration mechanism #1 (PCI Local Bus 3.0, 3.2.2.3.2),
 * as conventional functions without capabilities; none of them becomes bus master, and none moves.
 */
#ifndef X86_PCI_H
#define X86_PCI_H

#include <hv/layout.h>
#include <hv/types.h>

/* The board has the layout's functions, with BARs of these sizes; none of them decodes anything afterwards. */
void pci_init(void);

/* The partition's functions as firmware leaves them: BARs have their values and are decoded. */
void pci_reset(const struct layout_partition *config);

/* A guest's access to 0xcf8 to 0xcff. False: these ports are nothing to it. */
bool pci_in(const struct layout_partition *config, uint16_t port, uint32_t size, uint32_t *value);
bool pci_out(const struct layout_partition *config, uint16_t port, uint32_t size, uint32_t value);

#endif
