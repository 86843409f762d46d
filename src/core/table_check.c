/* SPDX-License-Identifier: Apache-2.0 */
/* Is the layout in memory the one that was linked and checked? */
#include <hv/arch.h>
#include <hv/board_check.h>
#include <hv/console.h>
#include <hv/layout.h>

void board_check_tables(void)
{
    extern const uint64_t __ro_tables_start[], __ro_tables_end[];

    if (arch_sum(__ro_tables_start, __ro_tables_end) != layout_checksum) {
        panic("the layout's checksum differs: the image in memory is not the one that was built");
    }
}
