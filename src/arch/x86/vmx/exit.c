/* SPDX-License-Identifier: Apache-2.0 */
/* The exits that are not short (SDM 3 28.2; reasons: appendix C). */
#include "exits.h"
#include "pool.h"
#include "vmcs.h"
#include "vmm.h"
#include "x86.h"

#define REASON_EXCEPTION      0u
#define REASON_TRIPLE_FAULT   2u
#define REASON_INIT           3u
#define REASON_NMI_WINDOW     8u
#define REASON_TASK_SWITCH    9u
#define REASON_GETSEC         11u
#define REASON_INVD           13u
#define REASON_VMCLEAR        19u  /* to VMXON: VMX instructions but VMCALL */
#define REASON_VMXON          27u
#define REASON_CR             28u
#define REASON_IO             30u
#define REASON_MWAIT          36u
#define REASON_MONITOR        39u
#define REASON_EPT_VIOLATION  48u
#define REASON_EPT_MISTAKE    49u
#define REASON_INVEPT         50u
#define REASON_INVVPID        53u
#define REASON_XSETBV         55u
#define REASON_BAD_STATE    (1u << 31)  /* of any reason: the entry was refused */

#define DR6_HITS     UINT64_C(0xf)
#define DR6_SET      UINT64_C(0x600f)  /* of a qualification: hits, debug registers used, single step (table 28-1) */
#define DR6_STEP     UINT64_C(0x4000)
#define DR7_DETECT   (UINT64_C(1) << 13)
#define RFLAGS_TF    (UINT64_C(1) << 8)

extern void vmx_unblock_nmi(void);

/* ---------------------------------------------------------------- exceptions and NMIs */

/* The CPU tells what a debug exception will write, and leaves that to whoever delivers it (SDM 3 28.2.1). */
static void debug_exception(void)
{
    uint64_t dr6, found = vmcs_read(VMCS_QUALIFICATION) & DR6_SET;

    __asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
    __asm__ volatile("mov %0, %%dr6" : : "r"((dr6 & ~DR6_HITS) | found));
    vmcs_write(VMCS_DR7, vmcs_read(VMCS_DR7) & ~DR7_DETECT);
    /* Behind STI or MOV SS an entry wants a single step to be pending, too (SDM 3 27.3.1.5). */
    if ((vmcs_read(VMCS_RFLAGS) & RFLAGS_TF) != 0 &&
        (vmcs_read(VMCS_INTERRUPTIBILITY) & BLOCKED_ONE_INSTRUCTION) != 0) {
        vmcs_write(VMCS_PENDING_DEBUG, vmcs_read(VMCS_PENDING_DEBUG) | DR6_STEP);
    }
}

static void exit_exception(struct cpu *cpu)
{
    uint32_t event = (uint32_t)vmcs_read(VMCS_EXIT_EVENT), vector = event & EVENT_VECTOR;

    if ((event & EVENT_TYPE) == EVENT_NMI) {
        vmx_unblock_nmi();
        exit_nmi(cpu);
        return;
    }
    if (vector == VECTOR_MC) {
        exit_fault(cpu, "machine check", event);
        return;
    }
    /* #DB and #AC: intercepted so that a chain of them cannot hold the core. */
    if (vector == VECTOR_DB) {
        debug_exception();
    }
    if ((event & EVENT_IRET) != 0) {
        vmcs_write(VMCS_INTERRUPTIBILITY, vmcs_read(VMCS_INTERRUPTIBILITY) | BLOCKED_BY_NMI);
    }
    vmx_deliver(event, vmcs_read(VMCS_EXIT_ERROR));
}

/* ---------------------------------------------------------------- instructions */

static void undefined(struct cpu *cpu)
{
    vmm_inject(cpu, VECTOR_UD, 0);
}

static void exit_io(struct cpu *cpu)
{
    uint64_t info = vmcs_read(VMCS_QUALIFICATION);  /* SDM 3 table 28-5 */

    if (port_access(cpu, (uint16_t)(info >> 16), (uint32_t)(info & 7u) + 1u, (info & 8u) != 0, (info & 16u) != 0)) {
        vmm_skip(cpu, 0);
    }
}

/*
 * MOV to CR0 or CR4 that differs from the shadow in a bit that is not the guest's. With the new value in the
 * shadow the CPU does the instruction, and all of its checks, itself.
 */
static void exit_cr(struct cpu *cpu)
{
    uint64_t info = vmcs_read(VMCS_QUALIFICATION);  /* SDM 3 table 28-3: register, kind, general register */
    uint64_t value = vmm_reg(cpu, info >> 8 & 15u);

    if ((info & 0x3fu) == 0) {
        vmcs_write(VMCS_CR0_SHADOW, value);
    } else if ((info & 0x3fu) == 4u && (value & CR4_HIDDEN) == 0) {
        vmcs_write(VMCS_CR4_SHADOW, value);
    } else {
        vmm_inject(cpu, VECTOR_GP, 0);
    }
}

static void exit_xsetbv(struct cpu *cpu)
{
    uint64_t value = cpu->reg[RDX] << 32 | (uint32_t)cpu->reg[RAX];

    if ((uint32_t)cpu->reg[RCX] != 0 || !(is_shared(cpu) ? pool_xcr0(value) : xcr0_valid(value))) {
        vmm_inject(cpu, VECTOR_GP, 0);
        return;
    }
    __asm__ volatile("xsetbv" : : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(0u));
    vmm_skip(cpu, 0);
}

static void exit_invd(struct cpu *cpu)
{
    __asm__ volatile("wbinvd");  /* INVD would drop what others have written */
    vmm_skip(cpu, 0);
}

/* ---------------------------------------------------------------- memory */

static void exit_ept_violation(struct cpu *cpu)
{
    uint64_t info = vmcs_read(VMCS_QUALIFICATION);  /* SDM 3 table 28-7: read, write, fetch */
    uint64_t error = ((info & 2u) != 0 ? ACCESS_WRITE : 0) | ((info & 4u) != 0 ? ACCESS_FETCH : 0);

    vmx_advance(memory_access(cpu, (ipa_t){ vmcs_read(VMCS_PHYSICAL_ADDRESS) }, error));
}

/* ---------------------------------------------------------------- all */

static const char *fault_of(uint32_t reason)
{
    if ((reason & REASON_BAD_STATE) != 0) {
        return "state that the CPU does not accept";
    }
    switch (reason) {
    case REASON_TRIPLE_FAULT:
        return "triple fault";
    case REASON_INIT:
        return "INIT from outside of the partition";
    case REASON_TASK_SWITCH:
        return "task switch by hardware, which partitions do not have";
    case REASON_EPT_MISTAKE:
        return "entry of its nested tables that the CPU does not accept";
    case REASON_NOT_ENTERED:
        return "VM entry that the CPU refuses";
    default:
        return "exit without a meaning";
    }
}

static void exit_other(struct cpu *cpu, uint32_t reason)
{
    if ((reason >= REASON_VMCLEAR && reason <= REASON_VMXON) || reason == REASON_GETSEC || reason == REASON_INVEPT ||
        reason == REASON_INVVPID || reason == REASON_MWAIT || reason == REASON_MONITOR) {
        undefined(cpu);
    } else if (reason == REASON_NOT_ENTERED) {
        exit_fault(cpu, fault_of(reason), vmcs_read(VMCS_INSTRUCTION_ERROR));
    } else {
        exit_fault(cpu, fault_of(reason), reason);
    }
}

/* An event that was being delivered when the exit came is delivered again (SDM 3 28.2.4). */
static void deliver_again(void)
{
    uint32_t event = (uint32_t)vmcs_read(VMCS_VECTORING_EVENT);

    if ((event & EVENT_VALID) == 0) {
        return;
    }
    vmx_deliver(event, vmcs_read(VMCS_VECTORING_ERROR));
    if ((event & EVENT_TYPE) == EVENT_NMI) {
        vmcs_write(VMCS_INTERRUPTIBILITY, vmcs_read(VMCS_INTERRUPTIBILITY) & ~(uint64_t)BLOCKED_BY_NMI);
    }
}

static void exit_by_reason(struct cpu *cpu, uint32_t reason)
{
    switch (reason) {
    case REASON_EXCEPTION:
        exit_exception(cpu);
        break;
    case REASON_NMI_WINDOW:
        vmx_nmi_window(cpu);
        break;
    case REASON_IO:
        exit_io(cpu);
        break;
    case REASON_EPT_VIOLATION:
        exit_ept_violation(cpu);
        break;
    case REASON_CR:
        exit_cr(cpu);
        break;
    case REASON_XSETBV:
        exit_xsetbv(cpu);
        break;
    case REASON_INVD:
        exit_invd(cpu);
        break;
    default:
        exit_other(cpu, reason);
    }
}

void vmx_exit(struct cpu *cpu, uint32_t reason)
{
    if (reason == REASON_KICKED) {
        __atomic_store_n(&cpu->nmi, 0u, __ATOMIC_SEQ_CST);
        exit_nmi(cpu);
    } else {
        deliver_again();
        exit_by_reason(cpu, reason);
    }
    exit_events(cpu);
}
