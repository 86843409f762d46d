/* SPDX-License-Identifier: Apache-2.0 */
/* Intel's VMX (SDM 3, chapters 24 to 28): can this CPU do it, turning it on, controls and the hypervisor's state. */
#include "boot.h"
#include "vmcs.h"
#include "vmm.h"
#include "x86.h"

#define MSR_FEATURE_CONTROL  0x3au
#define FEATURE_LOCKED       (UINT64_C(1) << 0)
#define FEATURE_VMX          (UINT64_C(1) << 2)
#define LEAF_1_VMX           (1u << 5)      /* ecx */
#define LEAF_1_XSAVE         (1u << 26)

#define MSR_VMX_BASIC        0x480u
#define BASIC_REVISION       UINT64_C(0x7fffffff)
#define BASIC_TRUE_CONTROLS  (UINT64_C(1) << 55)
#define MSR_VMX_CR0_FIXED0   0x486u         /* bits that are 1 in VMX operation */
#define MSR_VMX_CR4_FIXED0   0x488u
#define MSR_VMX_EPT_VPID     0x48cu
#define EPT_PAGING           (UINT64_C(1) << 6 /* four levels */ | UINT64_C(1) << 14 /* write-back */ | \
                              UINT64_C(1) << 16 /* 2 MiB */ | UINT64_C(1) << 17 /* 1 GiB */)
#define EPT_FLUSHING         (UINT64_C(1) << 20 | UINT64_C(1) << 25 | UINT64_C(1) << 32 | UINT64_C(1) << 41)

#define SECOND_CONTROLS    (SECOND_EPT | SECOND_VPID | SECOND_UNRESTRICTED)
#define SECOND_IF_ANY      (SECOND_RDTSCP | SECOND_INVPCID | SECOND_XSAVES)
#define EXIT_CONTROLS      (EXIT_SAVE_DEBUG | EXIT_LONG_MODE | EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER | \
                            EXIT_LOAD_EFER)
#define EXCEPTIONS         (1u << VECTOR_DB | 1u << VECTOR_AC | 1u << VECTOR_MC)

extern const uint8_t vmx_landing[];

/* What the layout needs of the controls, in the MSRs' upper halves: bits that may be 1. */
static const struct {
    uint32_t msr, bits;
    const char *without;
} needs[] = {
    { MSR_VMX_PIN, PIN_CONTROLS, "this CPU's VMX has no virtual NMIs, which the layout needs" },
    { MSR_VMX_PROCESSOR, PROCESSOR_CONTROLS | PROCESSOR_NMI_WINDOW,
      "this CPU's VMX has no bitmaps of I/O ports and MSRs, or no NMI windows, which the layout needs" },
    { MSR_VMX_PROCESSOR_2, SECOND_CONTROLS,
      "this CPU's VMX lacks EPT, VPIDs or unrestricted guests, which the layout needs" },
    { MSR_VMX_EXIT, EXIT_CONTROLS, "this CPU's VMX does not switch EFER and PAT, which the layout needs" },
    { MSR_VMX_ENTRY, ENTRY_CONTROLS, "this CPU's VMX does not switch EFER and PAT, which the layout needs" },
};

/* Firmware that leaves the register open lets whoever comes next decide (SDM 3 24.7). */
static bool enabled_by_firmware(void)
{
    if ((rdmsr(MSR_FEATURE_CONTROL) & FEATURE_LOCKED) == 0) {
        wrmsr(MSR_FEATURE_CONTROL, rdmsr(MSR_FEATURE_CONTROL) | FEATURE_VMX | FEATURE_LOCKED);
    }
    return (rdmsr(MSR_FEATURE_CONTROL) & FEATURE_VMX) != 0;
}

const char *vmm_refusal(void)
{
    if ((cpuid(1, 0).reg[2] & LEAF_1_VMX) == 0) {
        return "this CPU has no VMX, which the layout needs";
    }
    if (!enabled_by_firmware()) {
        return "the firmware has switched VMX off on this CPU";
    }
    if ((rdmsr(MSR_VMX_BASIC) & BASIC_TRUE_CONTROLS) == 0) {
        return "this CPU's VMX is older than the layout needs: it has no unrestricted guests";
    }
    for (uint32_t i = 0; i < ARRAY_COUNT(needs); i++) {
        if ((needs[i].bits & ~(rdmsr(needs[i].msr) >> 32)) != 0) {
            return needs[i].without;
        }
    }
    if ((~rdmsr(MSR_VMX_EPT_VPID) & (EPT_PAGING | EPT_FLUSHING)) != 0) {
        return "this CPU's EPT lacks large pages, write-back tables, INVEPT or INVVPID, which the layout needs";
    }
    return NULL;
}

uint32_t vmx_controls(uint32_t wanted, uint32_t msr)
{
    uint64_t allowed = rdmsr(msr);  /* low half: bits that must be 1, high half: bits that may be 1 */

    return (wanted | (uint32_t)allowed) & (uint32_t)(allowed >> 32);
}

/* A region begins with the revision of the CPU's format (SDM 3 25.2, 25.11.5). */
static void stamp(uint64_t region)
{
    *(volatile uint32_t *)(uintptr_t)region = (uint32_t)(rdmsr(MSR_VMX_BASIC) & BASIC_REVISION);
}

void vmx_turn_on(uint64_t region)
{
    bool xsave = (cpuid(1, 0).reg[2] & LEAF_1_XSAVE) != 0;  /* XSETBV is carried out here */

    write_cr4(read_cr4() | rdmsr(MSR_VMX_CR4_FIXED0) | (xsave ? CR4_OSXSAVE : 0));
    stamp(region);
    __asm__ volatile("vmxon %0" : : "m"(region) : "cc", "memory");
}

static void write_controls(const struct layout_partition *config)
{
    uint64_t io_bitmap = (uintptr_t)config->pc.io_bitmap;

    vmcs_write(VMCS_PIN, vmx_controls(PIN_CONTROLS, MSR_VMX_PIN));
    vmcs_write(VMCS_PROCESSOR_2, vmx_controls(SECOND_CONTROLS | SECOND_IF_ANY, MSR_VMX_PROCESSOR_2));
    vmcs_write(VMCS_EXIT_CONTROLS, vmx_controls(EXIT_CONTROLS, MSR_VMX_EXIT));
    vmcs_write(VMCS_EXCEPTIONS, EXCEPTIONS);
    vmcs_write(VMCS_FAULT_MASK, 0);
    vmcs_write(VMCS_FAULT_MATCH, 0);
    vmcs_write(VMCS_CR3_TARGETS, 0);
    vmcs_write(VMCS_EXIT_MSR_STORES, 0);
    vmcs_write(VMCS_EXIT_MSR_LOADS, 0);
    vmcs_write(VMCS_ENTRY_MSR_LOADS, 0);
    vmcs_write(VMCS_VPID, config->asid);
    vmcs_write(VMCS_EPTP, config->nested);
    vmcs_write(VMCS_IO_BITMAP_A, io_bitmap);
    vmcs_write(VMCS_IO_BITMAP_B, io_bitmap + HV_PAGE_SIZE);
    vmcs_write(VMCS_MSR_BITMAP, (uintptr_t)config->pc.msr_bitmap);
    if ((vmx_controls(SECOND_XSAVES, MSR_VMX_PROCESSOR_2) & SECOND_XSAVES) != 0) {
        vmcs_write(VMCS_XSS_EXITS, 0);
    }
}

/*
 * What exits load. The task register must not be null, but nothing uses what it selects: the hypervisor stays
 * on one stack. The limits of GDT and IDT become 64 KiB (SDM 3 28.5.2), which is not looked at either.
 */
static void write_host(const struct cpu *cpu)
{
    struct { uint16_t limit; uint64_t base; } __attribute__((packed)) gdtr, idtr;
    uint64_t cr0;

    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("sgdt %0" : "=m"(gdtr));
    __asm__ volatile("sidt %0" : "=m"(idtr));
    for (uint32_t i = 0; i < 7u; i++) {
        vmcs_write(VMCS_HOST_SELECTOR + 2u * i, i == SEGMENT_CS ? CODE64 : DATA);
    }
    vmcs_write(VMCS_HOST_CR0, cr0);
    vmcs_write(VMCS_HOST_CR3, layout.host_cr3);
    vmcs_write(VMCS_HOST_CR4, read_cr4());
    vmcs_write(VMCS_HOST_FS, 0);
    vmcs_write(VMCS_HOST_GS, 0);
    vmcs_write(VMCS_HOST_TR, 0);
    vmcs_write(VMCS_HOST_GDTR, gdtr.base);
    vmcs_write(VMCS_HOST_IDTR, idtr.base);
    vmcs_write(VMCS_HOST_SYSENTER_CS, 0);
    vmcs_write(VMCS_HOST_SYSENTER_ESP, 0);
    vmcs_write(VMCS_HOST_SYSENTER_EIP, 0);
    vmcs_write(VMCS_HOST_PAT, rdmsr(MSR_PAT));
    vmcs_write(VMCS_HOST_EFER, rdmsr(MSR_EFER));
    vmcs_write(VMCS_HOST_RSP, (uintptr_t)cpu);
}

void vmx_begin(struct cpu *cpu, const uint8_t *landing)
{
    uint64_t vmcs = layout.cpus[cpu->vcpu.cpu].vmm.raw + HV_PAGE_SIZE;

    stamp(vmcs);
    __asm__ volatile("vmclear %0" : : "m"(vmcs) : "cc", "memory");
    __asm__ volatile("vmptrld %0" : : "m"(vmcs) : "cc", "memory");
    write_controls(cpu->vcpu.config);
    write_host(cpu);
    vmcs_write(VMCS_HOST_RIP, (uintptr_t)landing);
}

void vmm_init(struct cpu *cpu)
{
    vmx_turn_on(layout.cpus[cpu->vcpu.cpu].vmm.raw);
    vmx_begin(cpu, vmx_landing);
}
