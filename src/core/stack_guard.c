/* SPDX-License-Identifier: Apache-2.0 */
/* What the compiler's stack protector calls and compares; head.S sets the value before any C runs. */
#include <hv/console.h>
#include <hv/stack_guard.h>

uintptr_t __stack_chk_guard;

void __stack_chk_fail(void)
{
    panic("a function of the hypervisor overran its stack frame");
}
