/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of this core's virtual-machine control structure. */
#ifndef X86_VMX_ACCESS_H
#define X86_VMX_ACCESS_H

#include <hv/types.h>

static inline uint64_t vmcs_read(uint64_t field)
{
    uint64_t value;

    __asm__ volatile("vmread %1, %0" : "=r"(value) : "r"(field) : "cc");
    return value;
}

static inline void vmcs_write(uint64_t field, uint64_t value)
{
    __asm__ volatile("vmwrite %0, %1" : : "r"(value), "r"(field) : "cc");
}

#endif
