/* SPDX-License-Identifier: Apache-2.0 */
/* The stack protector's names, which the compiler fixes. */
#ifndef HV_STACK_GUARD_H
#define HV_STACK_GUARD_H

#include <hv/types.h>

extern uintptr_t __stack_chk_guard;
_Noreturn void __stack_chk_fail(void);

#endif
