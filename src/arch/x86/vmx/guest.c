/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's state in the VMCS: as it starts, and what the rest reads, writes and injects. */
#include "exits.h"
#include "vmcs.h"
#include "vmm.h"
#include "x86.h"

#define MSR_VMX_CR0_FIXED0  0x486u
#define MSR_VMX_CR4_FIXED0  0x488u
#define CR0_NW              (UINT64_C(1) << 29)
#define CR0_CD              (UINT64_C(1) << 30)
#define CR4_MCE             (UINT64_C(1) << 6)
#define DR6_RESET           UINT64_C(0xffff0ff0)
#define DR7_RESET           UINT64_C(0x400)

#define MSR_STAR            0xc0000081u     /* to SFMASK, three on */
#define MSR_KERNEL_GS       0xc0000102u

#define RIGHTS_CODE32  0xc09bu  /* present, code, readable, 32 bits, pages (SDM 3 table 25-2) */
#define RIGHTS_DATA32  0xc093u
#define RIGHTS_CODE16  0x009bu
#define RIGHTS_DATA16  0x0093u
#define RIGHTS_LDT     0x0082u
#define RIGHTS_TSS     0x008bu

#define ONE_CONTEXT  UINT64_C(1)  /* INVEPT, INVVPID (SDM 3 31.3) */

static void flush(const struct layout_partition *config)
{
    struct { uint64_t context, address; } ept = { config->nested, 0 }, vpid = { config->asid, 0 };

    __asm__ volatile("invept %0, %1" : : "m"(ept), "r"(ONE_CONTEXT) : "cc", "memory");
    __asm__ volatile("invvpid %0, %1" : : "m"(vpid), "r"(ONE_CONTEXT) : "cc", "memory");
}

/* ---------------------------------------------------------------- start */

static void segment(uint32_t index, uint64_t selector, uint64_t rights, uint64_t base, uint64_t limit)
{
    vmcs_write(VMCS_SELECTOR + 2u * index, selector);
    vmcs_write(VMCS_RIGHTS + 2u * index, rights);
    vmcs_write(VMCS_BASE + 2u * index, base);
    vmcs_write(VMCS_LIMIT + 2u * index, limit);
}

static void reset_segments(bool sipi, uint64_t entry)
{
    for (uint32_t i = SEGMENT_ES; i <= SEGMENT_GS; i++) {
        segment(i, 0, sipi ? RIGHTS_DATA16 : RIGHTS_DATA32, 0, sipi ? 0xffffu : UINT32_MAX);
    }
    if (sipi) {
        segment(SEGMENT_CS, entry >> 4, RIGHTS_CODE16, entry, 0xffff);
    } else {
        segment(SEGMENT_CS, 0, RIGHTS_CODE32, 0, UINT32_MAX);
    }
    segment(SEGMENT_LDTR, 0, RIGHTS_LDT, 0, 0xffff);
    segment(SEGMENT_TR, 0, RIGHTS_TSS, 0, sipi ? 0xffff : 0x67);
    for (uint32_t i = SEGMENT_GDTR; i <= SEGMENT_IDTR; i++) {  /* these have but base and limit */
        vmcs_write(VMCS_BASE + 2u * i, 0);
        vmcs_write(VMCS_LIMIT + 2u * i, 0xffff);
    }
}

/*
 * Bits of CR0 and CR4 that stay the hypervisor's, while the guest reads its own from the shadow: what VMX has
 * fixed (unrestricted guests may clear PE and PG), caching, machine checks, which come here, and VMX and SMX,
 * which guests do not have.
 */
static void reset_control_registers(bool sipi)
{
    uint64_t cr0 = rdmsr(MSR_VMX_CR0_FIXED0) & ~(CR0_PE | CR0_PG);
    uint64_t cr4 = rdmsr(MSR_VMX_CR4_FIXED0) | CR4_MCE;

    vmcs_write(VMCS_CR0_MASK, cr0 | CR0_CD | CR0_NW);
    vmcs_write(VMCS_CR0_SHADOW, 0);
    vmcs_write(VMCS_CR0, cr0 | CR0_ET | (sipi ? 0 : CR0_PE));
    vmcs_write(VMCS_CR4_MASK, cr4 | CR4_HIDDEN);
    vmcs_write(VMCS_CR4_SHADOW, 0);
    vmcs_write(VMCS_CR4, cr4);
    vmcs_write(VMCS_CR3, 0);
}

static void reset_controls(void)
{
    vmcs_write(VMCS_PROCESSOR, vmx_controls(PROCESSOR_CONTROLS, MSR_VMX_PROCESSOR));
    vmcs_write(VMCS_ENTRY_CONTROLS, vmx_controls(ENTRY_CONTROLS, MSR_VMX_ENTRY));
    vmcs_write(VMCS_ENTRY_EVENT, 0);
    vmcs_write(VMCS_LINK, UINT64_MAX);
    vmcs_write(VMCS_ACTIVITY, 0);
    vmcs_write(VMCS_INTERRUPTIBILITY, 0);
    vmcs_write(VMCS_PENDING_DEBUG, 0);
}

/* What the VMCB has a place for and the VMCS has not; the rest is state.c's. */
static void reset_cpu(void)
{
    for (uint32_t i = 0; i < 4u; i++) {
        wrmsr(MSR_STAR + i, 0);
    }
    wrmsr(MSR_KERNEL_GS, 0);
    __asm__ volatile("mov %0, %%cr2" : : "r"(UINT64_C(0)));
    __asm__ volatile("mov %0, %%dr6" : : "r"(DR6_RESET));
}

void vmm_reset(struct cpu *cpu)
{
    bool sipi = cpu->vcpu.context == START_BY_SIPI;

    reset_controls();
    reset_segments(sipi, cpu->vcpu.entry);
    reset_control_registers(sipi);
    reset_cpu();
    vmcs_write(VMCS_EFER, 0);
    vmcs_write(VMCS_PAT, PAT_RESET);
    vmcs_write(VMCS_DEBUGCTL, 0);
    vmcs_write(VMCS_DR7, DR7_RESET);
    vmcs_write(VMCS_RFLAGS, 2);
    vmcs_write(VMCS_RSP, 0);
    vmcs_write(VMCS_RIP, sipi ? 0 : cpu->vcpu.entry);
    vmcs_write(VMCS_SYSENTER_CS, 0);
    vmcs_write(VMCS_SYSENTER_ESP, 0);
    vmcs_write(VMCS_SYSENTER_EIP, 0);
    if (!sipi) {
        cpu->reg[RBX] = cpu->vcpu.context;
    }
    cpu->reg[RDX] = cpuid(1, 0).reg[0];  /* as after INIT: the CPU's signature */
    flush(cpu->vcpu.config);
}

/* ---------------------------------------------------------------- the guest's state, for the rest */

void vmm_mode(const struct cpu *cpu, struct vmm_mode *mode)
{
    uint64_t rip = vmcs_read(VMCS_RIP);

    (void)cpu;
    mode->cr0 = vmcs_read(VMCS_CR0);
    mode->cr3 = vmcs_read(VMCS_CR3);
    mode->cr4 = vmcs_read(VMCS_CR4);
    mode->efer = vmcs_read(VMCS_EFER);
    mode->code64 = (mode->efer & EFER_LMA) != 0 && (vmcs_read(VMCS_RIGHTS + 2u * SEGMENT_CS) & SEGMENT_LONG) != 0;
    mode->rip = mode->code64 ? rip : (uint32_t)(vmcs_read(VMCS_BASE + 2u * SEGMENT_CS) + rip);
}

uint64_t vmm_reg(const struct cpu *cpu, uint32_t reg)
{
    return reg == RSP ? vmcs_read(VMCS_RSP) : cpu->reg[reg];
}

void vmm_set_reg(struct cpu *cpu, uint32_t reg, uint64_t value)
{
    if (reg == RSP) {
        vmcs_write(VMCS_RSP, value);
    } else {
        cpu->reg[reg] = value;
    }
}

uint64_t vmm_rip(const struct cpu *cpu)
{
    (void)cpu;
    return vmcs_read(VMCS_RIP);
}

uint64_t vmm_efer(const struct cpu *cpu)
{
    (void)cpu;
    return vmcs_read(VMCS_EFER);
}

void vmm_set_efer(struct cpu *cpu, uint64_t efer)
{
    (void)cpu;
    vmcs_write(VMCS_EFER, efer);
}

/* ---------------------------------------------------------------- events */

void vmx_deliver(uint32_t event, uint64_t error)
{
    vmcs_write(VMCS_ENTRY_EVENT, event & (EVENT_VALID | EVENT_ERROR | EVENT_TYPE | EVENT_VECTOR));
    vmcs_write(VMCS_ENTRY_ERROR, error);
    vmcs_write(VMCS_ENTRY_LENGTH, vmcs_read(VMCS_EXIT_LENGTH));  /* for software's events only */
}

/* Error codes exist in protected mode only (SDM 3 27.2.1.3). */
void vmm_inject(struct cpu *cpu, uint32_t vector, uint32_t error)
{
    bool has_error = (vector == VECTOR_GP || vector == VECTOR_AC) && (vmcs_read(VMCS_CR0) & CR0_PE) != 0;

    (void)cpu;
    vmx_deliver(EVENT_VALID | EVENT_EXCEPTION | vector | (has_error ? EVENT_ERROR : 0), error);
}

/* It is delivered when the CPU says that the guest can take one. */
void vmm_inject_nmi(struct cpu *cpu)
{
    (void)cpu;
    vmcs_write(VMCS_PROCESSOR, vmcs_read(VMCS_PROCESSOR) | PROCESSOR_NMI_WINDOW);
}

void vmx_nmi_window(struct cpu *cpu)
{
    vmcs_write(VMCS_PROCESSOR, vmcs_read(VMCS_PROCESSOR) & ~(uint64_t)PROCESSOR_NMI_WINDOW);
    if (__atomic_exchange_n(&cpu->guest_nmi, 0u, __ATOMIC_ACQ_REL) != 0) {
        vmx_deliver(EVENT_VALID | EVENT_NMI | VECTOR_NMI, 0);
    }
}
