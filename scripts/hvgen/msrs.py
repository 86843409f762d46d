# SPDX-License-Identifier: Apache-2.0
"""What happens when a guest on x86 reads or writes a model-specific register: one table.

`pass` is done by the processor, without an exit: the permission bitmap has the register's bit clear.
Everything else exits.  `code` is emulated by the hypervisor, `value` reads a constant, `ignore` drops a
write, and what is not listed gets #GP(0), which operating systems that probe for a register expect.

A register passes only if it is the core's own and the hypervisor either does not use it or has the
processor switch it (VMCB, VMCS): the core belongs to one partition, so there is nobody to disturb.
On a core that several share (`shared`), what passes is switched with the vcpu; the local APIC is
emulated there, and what a switch does not move is refused.
Constants are what Linux 6.1 reads or writes without being ready for #GP on one of the vendors' CPUs.

Sources: SDM 3 and 4, Intel 64 and IA-32 Architectures Software Developer's Manual (4: table 2-2, the
architectural registers); APM 2, AMD64 Architecture Programmer's Manual, volume 2; KVM, the kernel's
Documentation/virt/kvm/x86/msr.rst.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Literal

Read = Literal["pass", "code", "value", "refuse"]
Write = Literal["pass", "code", "ignore", "refuse"]


@dataclass(frozen=True)
class Msr:
    name: str
    first: int
    last: int                          # inclusive
    read: Read
    write: Write
    why: str                           # with the source
    value: int = 0                     # what `value` reads
    shared: bool = True                # passes on cores of pools, too; else it exits there


def _one(name: str, number: int, read: Read, write: Write, why: str, value: int = 0, shared: bool = True) -> Msr:
    return Msr(name, number, number, read, write, why, value, shared)


ICR = 0x830
MTRR_ALL_WRITE_BACK = 1 << 11 | 6      # MTRRdefType: enabled, no fixed ranges, write-back
HWCR_TSC_FREQ_SEL = 1 << 24            # the TSC counts at the frequency of P0
FAST_STRINGS, NO_BTS, NO_PEBS = 1 << 0, 1 << 11, 1 << 12    # IA32_MISC_ENABLE
LFENCE_SERIALIZES = 1 << 1

MSRS: tuple[Msr, ...] = (
    _one("IA32_TSC", 0x10, "pass", "ignore", "SDM 4 table 2-2; a write would move the time of all, RDTSC reads the same"),
    _one("IA32_PLATFORM_ID", 0x17, "value", "refuse", "SDM 4 table 2-2; for updates of microcode"),
    _one("IA32_APIC_BASE", 0x1b, "code", "code", "SDM 3 11.4.4, APM 2 16.3.1; x2APIC mode only"),
    _one("IA32_FEATURE_CONTROL", 0x3a, "value", "refuse", "SDM 4 table 2-2; locked, VMX off", 1),
    _one("IA32_SPEC_CTRL", 0x48, "pass", "pass", "SDM 4 table 2-2, APM 2 3.2.9; of this core only"),
    _one("IA32_PRED_CMD", 0x49, "refuse", "pass", "SDM 4 table 2-2, APM 2 3.2.9; write-only"),
    _one("IA32_BIOS_SIGN_ID, PATCH_LEVEL", 0x8b, "value", "ignore",
         "SDM 3 10.11.7, APM 2 appendix A; revision 1, at either vendor's place", 1 << 32 | 1),
    _one("IA32_XAPIC_DISABLE_STATUS", 0xbd, "value", "refuse", "SDM 4 table 2-2; x2APIC mode cannot be left", 1),
    _one("IA32_MTRRCAP", 0xfe, "value", "refuse", "SDM 3 12.11.1, APM 2 7.7; no variable and no fixed ranges"),
    _one("IA32_ARCH_CAPABILITIES", 0x10a, "pass", "refuse", "SDM 4 table 2-2; read-only, says what needs no mitigation"),
    _one("IA32_FLUSH_CMD", 0x10b, "refuse", "pass", "SDM 4 table 2-2; write-only"),
    _one("IA32_TSX_CTRL", 0x122, "value", "ignore", "SDM 4 table 2-2; guests have no TSX"),
    _one("IA32_MCU_OPT_CTRL", 0x123, "value", "ignore", "SDM 4 table 2-2; mitigations are the firmware's choice"),
    Msr("IA32_SYSENTER_CS, ESP, EIP", 0x174, 0x176, "pass", "pass", "SDM 3 5.8.7, APM 2 6.1.2; held by VMCB or VMCS"),
    _one("IA32_MCG_CAP", 0x179, "value", "refuse", "SDM 3 16.3.1.1, APM 2 9.3.2; machine checks are the hypervisor's: no banks"),
    _one("IA32_MCG_STATUS", 0x17a, "value", "ignore", "SDM 3 16.3.1.2, APM 2 9.3.2; none is in progress"),
    _one("IA32_MISC_ENABLE", 0x1a0, "value", "ignore", "SDM 4 table 2-2; fast strings, no BTS, no PEBS",
         FAST_STRINGS | NO_BTS | NO_PEBS),
    Msr("IA32_XFD, IA32_XFD_ERR", 0x1c4, 0x1c5, "pass", "pass", "SDM 1 13.14; of this core only", shared=False),
    _one("IA32_DEBUGCTL", 0x1d9, "value", "ignore", "SDM 3 18.4.1, APM 2 13.1.1.6; no branch records, no single-step on branches"),
    Msr("IA32_MTRR_PHYSBASE0 to PHYSMASK15", 0x200, 0x21f, "value", "ignore", "SDM 3 12.11.2.3, APM 2 7.7.2; there are none"),
    _one("IA32_MTRR_FIX64K", 0x250, "value", "ignore", "SDM 3 12.11.2.2, APM 2 7.7.2; there are none"),
    Msr("IA32_MTRR_FIX16K", 0x258, 0x259, "value", "ignore", "SDM 3 12.11.2.2, APM 2 7.7.2; there are none"),
    Msr("IA32_MTRR_FIX4K", 0x268, 0x26f, "value", "ignore", "SDM 3 12.11.2.2, APM 2 7.7.2; there are none"),
    _one("IA32_PAT", 0x277, "pass", "pass", "SDM 3 12.12, APM 2 7.8; gPAT of the VMCB, loaded and saved by the VMCS"),
    _one("IA32_MTRR_DEF_TYPE", 0x2ff, "value", "ignore",
         "SDM 3 12.11.2.1, APM 2 7.7.2; all is write-back, nested paging makes devices uncached", MTRR_ALL_WRITE_BACK),
    _one("IA32_TSC_DEADLINE", 0x6e0, "pass", "pass", "SDM 3 11.5.4.1; the timer is the guest's", shared=False),
    Msr("x2APIC", 0x800, ICR - 1, "pass", "pass", "SDM 3 11.12.1.2, APM 2 16.11; of this core only", shared=False),
    _one("x2APIC ICR", ICR, "pass", "code", "SDM 3 11.12.9, APM 2 16.13; interrupts reach the partition's own cores only",
         shared=False),
    Msr("x2APIC", ICR + 1, 0x8ff, "pass", "pass", "SDM 3 11.12.1.2, APM 2 16.11; of this core only", shared=False),
    _one("IA32_XSS", 0xda0, "value", "ignore",
         "SDM 1 13.3; guests have no supervisor state: among it is the processor trace's, which XRSTORS could start"),
    _one("MSR_KVM_WALL_CLOCK_NEW", 0x4b564d00, "value", "ignore", "KVM; the page stays 0, and so does the time of day"),
    _one("MSR_KVM_SYSTEM_TIME_NEW", 0x4b564d01, "code", "code", "KVM; the page with the frequency of the TSC"),
    _one("EFER", 0xc0000080, "code", "code", "SDM 4 table 2-2, APM 2 3.1.7; SVME must stay and not show"),
    Msr("STAR, LSTAR, CSTAR, SFMASK", 0xc0000081, 0xc0000084, "pass", "pass", "SDM 3 5.8.8, APM 2 6.1.1"),
    Msr("FS.base, GS.base, KernelGSbase", 0xc0000100, 0xc0000102, "pass", "pass", "SDM 3 3.4.4, APM 2 4.5.3"),
    _one("TSC_AUX", 0xc0000103, "pass", "pass", "SDM 3 18.17.2, APM 2 3.2.4; for RDTSCP and RDPID"),
    _one("SYSCFG", 0xc0010010, "value", "ignore", "APM 2 3.2.1; no memory encryption, no MTRR of AMD's own kind"),
    _one("HWCR", 0xc0010015, "value", "ignore", "APM 2 3.2.10; the TSC counts at a constant frequency", HWCR_TSC_FREQ_SEL),
    _one("NB_CFG", 0xc001001f, "value", "ignore", "BKDG 31116 (family 10h); guests have no configuration space to extend"),
    _one("Interrupt Pending", 0xc0010055, "value", "ignore", "BKDG 32559 (family 0Fh); cores do not enter C1E by message"),
    _one("MMIO Configuration Base", 0xc0010058, "value", "ignore", "BKDG 31116 (family 10h); there is none"),
    _one("DE_CFG", 0xc0011029, "value", "ignore", "AMD 90343, managing speculation; LFENCE serialises", LFENCE_SERIALIZES),
)


def passing(read: bool, shared: bool = False) -> Iterator[tuple[int, int]]:
    """Ranges that need no exit; shared: on a core of a pool."""
    for msr in MSRS:
        if (msr.read if read else msr.write) == "pass" and (msr.shared or not shared):
            yield msr.first, msr.last


def answered() -> Iterator[Msr]:
    """What layout_msr holds: answers that the hypervisor's code need not know."""
    return (msr for msr in MSRS if msr.read == "value" or msr.write == "ignore")
