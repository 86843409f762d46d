/* SPDX-License-Identifier: Apache-2.0 */
/* Instead of src/arch/x86/vmx/access.h: a control structure that is the test's. */
#ifndef X86_VMX_ACCESS_H
#define X86_VMX_ACCESS_H

#include <hv/types.h>

uint64_t vmcs_read(uint64_t field);
void vmcs_write(uint64_t field, uint64_t value);

#endif
