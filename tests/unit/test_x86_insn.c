/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/x86/insn.c arch/x86/svm/svm.c arch/x86/core.c arch/x86/apic.c arch/x86/ioapic.c arch/x86/clock.c */
/* tests: arch/x86/access.c arch/x86/msr.c arch/x86/icr.c arch/x86/exits.c */
/* tests: core/partition.c core/fault.c core/vuart_16550.c arch/x86/memory.c ../tests/unit/pc.c */
#include "pc.h"
static void x(void **s) { (void)s; pc_boot(); }
int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(x) };
    return cmocka_run_group_tests_name("x86_insn", tests, NULL, NULL);
}
