/* SPDX-License-Identifier: Apache-2.0 */
/* Is this the board that the layout was made for? Runs before the MMU is on, panics if not. */
#ifndef HV_BOARD_CHECK_H
#define HV_BOARD_CHECK_H

#include <hv/types.h>

/* The firmware's devicetree has the memory and the cores that the layout assigns. mpidr: this core's. */
void board_check_devicetree(const void *dtb, uint64_t mpidr);

/* The layout and tables are the ones that were linked and checked. */
void board_check_tables(void);

#endif
