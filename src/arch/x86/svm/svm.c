/* SPDX-License-Identifier: Apache-2.0 */
/* AMD's SVM (APM 2, chapter 15): a core's VMCB, and the exits that are not short. */
#include <hv/arch.h>
#include <hv/console.h>

#include "exits.h"
#include "svm.h"
#include "vendor.h"
#include "vmm.h"
#include "x86.h"

#define MSR_VM_CR        0xc0010114u
#define VM_CR_SVMDIS     (UINT64_C(1) << 4)
#define MSR_VM_HSAVE_PA  0xc0010117u
#define SVM_NESTED       (1u << 0)   /* edx of that leaf */

/* Intercepts (APM 2, table B-1). Interrupts, HLT, PAUSE, WBINVD and control registers stay the guest's own. */
#define INTERCEPT_1  (1u << 1 /* NMI */ | 1u << 18 /* CPUID */ | 1u << 22 /* INVD */ | 1u << 26 /* INVLPGA */ | \
                      1u << 27 /* I/O */ | 1u << 28 /* MSR */ | 1u << 31 /* shutdown */)
#define INTERCEPT_IRET  (1u << 20)
#define INTERCEPT_2  0x7fu  /* VMRUN, VMMCALL, VMLOAD, VMSAVE, STGI, CLGI, SKINIT */
#define INTERCEPT_EXCEPTIONS  (1u << VECTOR_DB | 1u << VECTOR_AC | 1u << VECTOR_MC)

/* Exit codes (APM 2, appendix C). */
#define EXIT_EXCEPTION  0x40u
#define EXIT_NMI        0x61u
#define EXIT_IRET       0x74u
#define EXIT_INVD       0x76u
#define EXIT_INVLPGA    0x7au
#define EXIT_IO         0x7bu
#define EXIT_VMRUN      0x80u
#define EXIT_SKINIT     0x86u
#define EXIT_NPF        0x400u

#define EVENT_ERROR      (UINT64_C(1) << 11)
#define EVENT_NMI        (UINT64_C(2) << 8)
#define EVENT_EXCEPTION  (UINT64_C(3) << 8)

#define SEGMENT_CODE32  0xc9bu  /* present, code, readable, 32 bits, pages (APM 2 4.7) */
#define SEGMENT_DATA32  0xc93u
#define SEGMENT_CODE16  0x09bu
#define SEGMENT_DATA16  0x093u
#define SEGMENT_LDT     0x082u
#define SEGMENT_TSS     0x08bu
#define SEGMENT_LONG    (1u << 9)

extern void svm_take_nmi(void);

static struct vmcb *vmcb_of(const struct cpu *cpu)
{
    return cpu->vmcb;
}

const char *vmm_refusal(void)
{
    /* Bochs' generic CPU has the leaf of SVM, but not the bit that stands for SVM as a whole. */
    if (cpuid(0x80000000u, 0).reg[0] < CPUID_SVM || (cpuid(CPUID_SVM, 0).reg[3] & SVM_NESTED) == 0) {
        return (cpuid(0x80000001u, 0).reg[2] & 4u) == 0 ? "this CPU has no SVM, which the layout needs"
                                                        : "this CPU's SVM has no nested paging, which the layout needs";
    }
    if ((rdmsr(MSR_VM_CR) & VM_CR_SVMDIS) != 0) {
        return "the firmware has switched SVM off on this CPU";
    }
    return NULL;
}

void vmm_init(struct cpu *cpu)
{
    uint64_t pages = layout.cpus[cpu->vcpu.cpu].vmm.raw;

    cpu->vmcb = (void *)(uintptr_t)pages;
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
    wrmsr(MSR_VM_HSAVE_PA, pages + HV_PAGE_SIZE);
    __asm__ volatile("clgi");
}

static struct vmcb_segment segment(uint32_t selector, uint32_t attributes, uint64_t base, uint32_t limit)
{
    return (struct vmcb_segment){ (uint16_t)selector, (uint16_t)attributes, limit, base };
}

static void reset_controls(struct vmcb *vmcb, const struct layout_partition *config)
{
    vmcb->intercept_exception = INTERCEPT_EXCEPTIONS;
    vmcb->intercept_1 = INTERCEPT_1;
    vmcb->intercept_2 = INTERCEPT_2;
    vmcb->iopm = (uintptr_t)config->pc.io_bitmap;
    vmcb->msrpm = (uintptr_t)config->pc.msr_bitmap;
    vmcb->asid = (uint32_t)config->asid;
    vmcb->tlb_control = TLB_FLUSH_ALL;  /* until the first exit, which vmm_reset() sees to */
    vmcb->nested_control = 1;
    vmcb->nested_cr3 = config->nested;
}

static void reset_segments(struct vmcb *vmcb, bool sipi, uint64_t entry)
{
    struct vmcb_segment data = sipi ? segment(0, SEGMENT_DATA16, 0, 0xffff) :
                                      segment(0, SEGMENT_DATA32, 0, 0xffffffffu);

    vmcb->cs = sipi ? segment((uint32_t)entry >> 4, SEGMENT_CODE16, entry, 0xffff) :
                      segment(0, SEGMENT_CODE32, 0, 0xffffffffu);
    vmcb->ss = vmcb->ds = vmcb->es = vmcb->fs = vmcb->gs = data;
    vmcb->ldtr = segment(0, SEGMENT_LDT, 0, 0xffff);
    vmcb->tr = segment(0, SEGMENT_TSS, 0, sipi ? 0xffff : 0x67);
    vmcb->gdtr = vmcb->idtr = segment(0, 0, 0, 0xffff);
}

void vmm_reset(struct cpu *cpu)
{
    struct vmcb *vmcb = vmcb_of(cpu);
    bool sipi = cpu->vcpu.context == START_BY_SIPI;

    for (uint32_t i = 0; i < HV_PAGE_SIZE / 8u; i++) {
        ((uint64_t *)(void *)vmcb)[i] = 0;
    }
    reset_controls(vmcb, cpu->vcpu.config);
    reset_segments(vmcb, sipi, cpu->vcpu.entry);
    vmcb->cr0 = CR0_ET | (sipi ? 0 : CR0_PE);
    vmcb->efer = EFER_SVME;
    vmcb->dr6 = 0xffff0ff0u;
    vmcb->dr7 = 0x400u;
    vmcb->rflags = 2u;
    vmcb->rip = sipi ? 0 : cpu->vcpu.entry;
    vmcb->pat = PAT_RESET;
    if (!sipi) {
        cpu->reg[RBX] = cpu->vcpu.context;
    }
    cpu->reg[RDX] = cpuid(1, 0).reg[0];  /* as after INIT: the CPU's signature */
    __asm__ volatile("vmload %0" : : "a"(vmcb) : "memory");
    arch_kick(cpu->vcpu.cpu);  /* a first exit at once, after which the translations need no more flushing */
}

/* ---------------------------------------------------------------- the guest's state, for the rest */

void vmm_mode(const struct cpu *cpu, struct vmm_mode *mode)
{
    const struct vmcb *vmcb = vmcb_of(cpu);

    mode->cr0 = vmcb->cr0;
    mode->cr3 = vmcb->cr3;
    mode->cr4 = vmcb->cr4;
    mode->efer = vmcb->efer;
    mode->code64 = (vmcb->efer & EFER_LMA) != 0 && (vmcb->cs.attributes & SEGMENT_LONG) != 0;
    mode->rip = mode->code64 ? vmcb->rip : (uint32_t)(vmcb->cs.base + vmcb->rip);
}

uint64_t vmm_reg(const struct cpu *cpu, uint32_t reg)
{
    return reg == RAX ? vmcb_of(cpu)->rax : reg == RSP ? vmcb_of(cpu)->rsp : cpu->reg[reg];
}

void vmm_set_reg(struct cpu *cpu, uint32_t reg, uint64_t value)
{
    if (reg == RAX) {
        vmcb_of(cpu)->rax = value;
    } else if (reg == RSP) {
        vmcb_of(cpu)->rsp = value;
    } else {
        cpu->reg[reg] = value;
    }
}

uint64_t vmm_rip(const struct cpu *cpu)
{
    return vmcb_of(cpu)->rip;
}

uint64_t vmm_efer(const struct cpu *cpu)
{
    return vmcb_of(cpu)->efer & ~EFER_SVME;
}

void vmm_set_efer(struct cpu *cpu, uint64_t efer)
{
    vmcb_of(cpu)->efer = efer | EFER_SVME;
}

void vmm_inject(struct cpu *cpu, uint32_t vector, uint32_t error)
{
    bool has_error = vector == VECTOR_GP || vector == VECTOR_AC;

    vmcb_of(cpu)->event_injection = EVENT_VALID | EVENT_EXCEPTION | vector |
                                    (has_error ? EVENT_ERROR | (uint64_t)error << 32 : 0);
}

/* IRET ends the blocking of NMIs (APM 2 15.20): from one injection to there, another one waits. */
void vmm_inject_nmi(struct cpu *cpu)
{
    struct vmcb *vmcb = vmcb_of(cpu);

    if (cpu->nmi_blocked) {
        return;
    }
    if ((vmcb->event_injection & EVENT_VALID) != 0) {
        arch_kick(cpu->vcpu.cpu);  /* behind the event that is on its way: look again at the next exit */
        return;
    }
    if (__atomic_exchange_n(&cpu->guest_nmi, 0u, __ATOMIC_ACQ_REL) != 0) {
        vmcb->event_injection = EVENT_VALID | EVENT_NMI | VECTOR_NMI;
        vmcb->intercept_1 |= INTERCEPT_IRET;
        cpu->nmi_blocked = true;
    }
}

/* ---------------------------------------------------------------- exits */

static void exit_io(struct cpu *cpu)
{
    struct vmcb *vmcb = vmcb_of(cpu);
    uint64_t info = vmcb->exit_info_1;  /* APM 2 15.10.2 */

    if (port_access(cpu, (uint16_t)(info >> 16), (uint32_t)(info >> 4 & 7u), (info & 1u) != 0, (info & 4u) != 0)) {
        vmcb->rip = vmcb->exit_info_2;
    }
}

static void exit_npf(struct cpu *cpu)
{
    struct vmcb *vmcb = vmcb_of(cpu);

    /* EXITINFO1: a page fault's error code (APM 2 15.25.6); bit 1 write, bit 4 instruction fetch. */
    uint32_t length = memory_access(cpu, (ipa_t){ vmcb->exit_info_2 }, vmcb->exit_info_1);

    vmcb->rip += length;
}

static void exit_iret(struct cpu *cpu)
{
    vmcb_of(cpu)->intercept_1 &= ~INTERCEPT_IRET;
    cpu->nmi_blocked = false;
}

static void exit_other(struct cpu *cpu, uint64_t code)
{
    struct vmcb *vmcb = vmcb_of(cpu);

    switch (code) {
    case EXIT_INVD:
        __asm__ volatile("wbinvd");  /* INVD would drop what others have written */
        vmm_skip(cpu, 2);
        break;
    case EXIT_EXCEPTION + VECTOR_DB:
    case EXIT_EXCEPTION + VECTOR_AC:  /* intercepted so that a chain of them cannot hold the core */
        vmm_inject(cpu, (uint32_t)code - EXIT_EXCEPTION, (uint32_t)vmcb->exit_info_1);
        break;
    case EXIT_EXCEPTION + VECTOR_MC:
        exit_fault(cpu, "machine check", code);
        break;
    case EXIT_SHUTDOWN:
        exit_fault(cpu, "triple fault", code);
        break;
    default:
        if (code == EXIT_INVLPGA || (code >= EXIT_VMRUN && code <= EXIT_SKINIT)) {
            vmm_inject(cpu, VECTOR_UD, 0);
        } else {
            exit_fault(cpu, "state that the CPU does not accept, or an exit without a meaning", code);
        }
    }
}

/* Every exit that is not short. */
void svm_exit(struct cpu *cpu)
{
    struct vmcb *vmcb = vmcb_of(cpu);
    uint64_t code = vmcb->exit_code;

    svm_begin_exit(vmcb);
    if (code == EXIT_NMI) {
        svm_take_nmi();
        exit_nmi(cpu);
    } else if (code == EXIT_IO) {
        exit_io(cpu);
    } else if (code == EXIT_NPF) {
        exit_npf(cpu);
    } else if (code == EXIT_IRET) {
        exit_iret(cpu);
    } else {
        exit_other(cpu, code);
    }
    exit_events(cpu);
}
