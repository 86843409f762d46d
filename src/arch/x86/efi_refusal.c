/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware leaves us in long mode always; whether the CPU has what is needed shows on the console. */
#include <hv/arch.h>
#include <hv/efi.h>
#include <hv/types.h>

HV_STUB const char *efi_refusal(void)
{
    return NULL;
}

HV_STUB uint64_t efi_start_page(void)
{
    return layout.pc.trampoline.raw;
}
