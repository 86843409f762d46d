/* SPDX-License-Identifier: Apache-2.0 */
/* What the boot loader says of the machine. */
#ifndef X86_BOARD_H
#define X86_BOARD_H

#include <hv/types.h>

/* BOOT_*: the form of the information that board_check_devicetree() gets. */
extern uint32_t board_entry;

#endif
