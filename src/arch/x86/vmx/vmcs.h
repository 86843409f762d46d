/* SPDX-License-Identifier: Apache-2.0 */
/* The virtual-machine control structure: fields (SDM 3, appendix B) and the bits of its controls (25.6 to 25.8). */
#ifndef X86_VMX_VMCS_H
#define X86_VMX_VMCS_H

#include "vendor.h"

/* Controls. */
#define VMCS_VPID              0x0000u
#define VMCS_IO_BITMAP_A       0x2000u
#define VMCS_IO_BITMAP_B       0x2002u
#define VMCS_MSR_BITMAP        0x2004u
#define VMCS_EPTP              0x201au
#define VMCS_XSS_EXITS         0x202cu
#define VMCS_PIN               0x4000u
#define VMCS_PROCESSOR         0x4002u
#define VMCS_EXCEPTIONS        0x4004u
#define VMCS_FAULT_MASK        0x4006u
#define VMCS_FAULT_MATCH       0x4008u
#define VMCS_CR3_TARGETS       0x400au
#define VMCS_EXIT_CONTROLS     0x400cu
#define VMCS_EXIT_MSR_STORES   0x400eu
#define VMCS_EXIT_MSR_LOADS    0x4010u
#define VMCS_ENTRY_CONTROLS    0x4012u
#define VMCS_ENTRY_MSR_LOADS   0x4014u
#define VMCS_ENTRY_EVENT       0x4016u
#define VMCS_ENTRY_ERROR       0x4018u
#define VMCS_ENTRY_LENGTH      0x401au
#define VMCS_PROCESSOR_2       0x401eu
#define VMCS_CR0_MASK          0x6000u
#define VMCS_CR4_MASK          0x6002u
#define VMCS_CR0_SHADOW        0x6004u
#define VMCS_CR4_SHADOW        0x6006u

/* What an exit says. */
#define VMCS_PHYSICAL_ADDRESS  0x2400u
#define VMCS_INSTRUCTION_ERROR 0x4400u
#define VMCS_EXIT_EVENT        0x4404u
#define VMCS_EXIT_ERROR        0x4406u
#define VMCS_VECTORING_EVENT   0x4408u
#define VMCS_VECTORING_ERROR   0x440au
#define VMCS_QUALIFICATION     0x6400u

/* The guest. Segments in the order ES, CS, SS, DS, FS, GS, LDTR, TR, GDTR, IDTR, two numbers apart. */
#define VMCS_SELECTOR          0x0800u
#define VMCS_LIMIT             0x4800u
#define VMCS_RIGHTS            0x4814u
#define VMCS_BASE              0x6806u
#define VMCS_LINK              0x2800u
#define VMCS_DEBUGCTL          0x2802u
#define VMCS_PAT               0x2804u
#define VMCS_EFER              0x2806u
#define VMCS_ACTIVITY          0x4826u
#define VMCS_TIMER             0x482eu
#define VMCS_SYSENTER_CS       0x482au
#define VMCS_CR0               0x6800u
#define VMCS_CR3               0x6802u
#define VMCS_DR7               0x681au
#define VMCS_RSP               0x681cu
#define VMCS_RFLAGS            0x6820u
#define VMCS_PENDING_DEBUG     0x6822u
#define VMCS_SYSENTER_ESP      0x6824u
#define VMCS_SYSENTER_EIP      0x6826u

/* The hypervisor. */
#define VMCS_HOST_SELECTOR     0x0c00u  /* in the same order, without LDTR */
#define VMCS_HOST_PAT          0x2c00u
#define VMCS_HOST_EFER         0x2c02u
#define VMCS_HOST_SYSENTER_CS  0x4c00u
#define VMCS_HOST_CR0          0x6c00u
#define VMCS_HOST_CR3          0x6c02u
#define VMCS_HOST_CR4          0x6c04u
#define VMCS_HOST_FS           0x6c06u
#define VMCS_HOST_GS           0x6c08u
#define VMCS_HOST_TR           0x6c0au
#define VMCS_HOST_GDTR         0x6c0cu
#define VMCS_HOST_IDTR         0x6c0eu
#define VMCS_HOST_SYSENTER_ESP 0x6c10u
#define VMCS_HOST_SYSENTER_EIP 0x6c12u
#define VMCS_HOST_RSP          0x6c14u
#define VMCS_HOST_RIP          0x6c16u

enum segment { SEGMENT_ES = 0, SEGMENT_CS, SEGMENT_SS, SEGMENT_DS, SEGMENT_FS, SEGMENT_GS, SEGMENT_LDTR, SEGMENT_TR,
               SEGMENT_GDTR, SEGMENT_IDTR };
#define SEGMENT_LONG  (1u << 13)     /* of the access rights (SDM 3 table 25-2) */

#define PIN_INTERRUPT         (1u << 0)
#define PIN_NMI               (1u << 3)
#define PIN_VIRTUAL_NMI       (1u << 5)
#define PIN_TIMER             (1u << 6)
#define PROCESSOR_WINDOW      (1u << 2)
#define PROCESSOR_HLT         (1u << 7)
#define PROCESSOR_CR8_LOAD    (1u << 19)
#define PROCESSOR_CR8_STORE   (1u << 20)
#define PROCESSOR_MWAIT       (1u << 10)
#define PROCESSOR_NMI_WINDOW  (1u << 22)
#define PROCESSOR_IO_BITMAPS  (1u << 25)
#define PROCESSOR_MSR_BITMAPS (1u << 28)
#define PROCESSOR_MONITOR     (1u << 29)
#define PROCESSOR_SECOND      (1u << 31)
#define SECOND_EPT            (1u << 1)
#define SECOND_RDTSCP         (1u << 3)
#define SECOND_VPID           (1u << 5)
#define SECOND_UNRESTRICTED   (1u << 7)
#define SECOND_INVPCID        (1u << 12)
#define SECOND_XSAVES         (1u << 20)
#define EXIT_SAVE_DEBUG       (1u << 2)
#define EXIT_LONG_MODE        (1u << 9)
#define EXIT_SAVE_PAT         (1u << 18)
#define EXIT_LOAD_PAT         (1u << 19)
#define EXIT_SAVE_EFER        (1u << 20)
#define EXIT_LOAD_EFER        (1u << 21)
#define ENTRY_LOAD_DEBUG      (1u << 2)
#define ENTRY_LOAD_PAT        (1u << 14)
#define ENTRY_LOAD_EFER       (1u << 15)

/* Events at entries and exits (SDM 3 25.8.3, 25.9.2). */
#define EVENT_VECTOR     0xffu
#define EVENT_TYPE       0x700u
#define EVENT_NMI        0x200u
#define EVENT_EXCEPTION  0x300u
#define EVENT_ERROR      (1u << 11)
#define EVENT_IRET       (1u << 12)  /* at exits: it came in an IRET, which had already let NMIs through */
#define EVENT_VALID      (1u << 31)

#define CR4_HIDDEN       (UINT64_C(3) << 13)  /* VMXE, SMXE: #GP if a guest sets them */

#define BLOCKED_BY_NMI   (1u << 3)   /* of the interruptibility state */

/* A field of controls: what is wanted, and what this CPU has always on; the MSR says that (SDM 3, appendix A). */
uint32_t vmx_controls(uint32_t wanted, uint32_t msr);
#define MSR_VMX_PIN          0x48du  /* the "true" controls */
#define MSR_VMX_PROCESSOR    0x48eu
#define MSR_VMX_EXIT         0x48fu
#define MSR_VMX_ENTRY        0x490u
#define MSR_VMX_PROCESSOR_2  0x48bu
#define MSR_VMX_MISC         0x485u

#define PIN_CONTROLS        (PIN_NMI | PIN_VIRTUAL_NMI)
#define PROCESSOR_CONTROLS  (PROCESSOR_MWAIT | PROCESSOR_IO_BITMAPS | PROCESSOR_MSR_BITMAPS | PROCESSOR_MONITOR | \
                             PROCESSOR_SECOND)
#define ENTRY_CONTROLS      (ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER)

/* On this core, with a page of its own; a VMCS for the vcpu, current from now on, whose exits go to `landing`. */
void vmx_turn_on(uint64_t region);
void vmx_begin(struct cpu *cpu, const uint8_t *landing);

/* Delivers an event at the next entry, with what an exit said of it. */
void vmx_deliver(uint32_t event, uint64_t error);

/* An NMI that waits for the guest can be delivered now. */
void vmx_nmi_window(struct cpu *cpu);

#endif
