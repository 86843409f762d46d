/* SPDX-License-Identifier: Apache-2.0 */
/* Registers that neither VMCB nor VMCS switches: the guest has the core's own. */
#ifndef X86_STATE_H
#define X86_STATE_H

/* As after INIT, with x87, SSE and AVX registers too, so that a vcpu that starts finds nothing of what ran before. */
void state_reset(void);

#endif
