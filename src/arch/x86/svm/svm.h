/* SPDX-License-Identifier: Apache-2.0 */
/* What svm.c and shared.c have in common. */
#ifndef X86_SVM_SVM_H
#define X86_SVM_SVM_H

#include "vendor.h"

#define CPUID_SVM        0x8000000au
#define EXIT_SHUTDOWN    0x7fu
#define EVENT_VALID      (UINT64_C(1) << 31)
#define TLB_FLUSH_ALL    1u

/* First at every exit that is not short: an event that was being delivered is delivered again (APM 2 15.7.2). */
static inline void svm_begin_exit(struct vmcb *vmcb)
{
    vmcb->tlb_control = 0;
    if ((vmcb->exit_int_info & EVENT_VALID) != 0 && vmcb->exit_code != EXIT_SHUTDOWN) {
        vmcb->event_injection = vmcb->exit_int_info;
    }
}

#endif
