/* SPDX-License-Identifier: Apache-2.0 */
/* May the hypervisor start where UEFI left the CPU? */
#include <hv/efi.h>

#include "sysreg.h"

HV_STUB const char *efi_refusal(void)
{
    return (sysreg_read(CurrentEL) >> 2 & 3u) == 2 ? NULL : "the firmware runs at EL1; Bulkhead needs EL2";
}

HV_STUB uint64_t efi_start_page(void)
{
    return 0;  /* PSCI starts cores at the hypervisor itself */
}
