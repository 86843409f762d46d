# SPDX-License-Identifier: Apache-2.0
"""CPUID as guests on x86 see it: (native & keep) | set, leaf by leaf, the same for all subleaves of a leaf.

A guest's core is a whole physical core of the kind that it is, so the default is to say what it is.
Hidden is what needs a register or a mode that the guest does not get, what would let it find out about
or disturb others, and what belongs to whoever runs the machine (power, temperature).  A leaf or a
feature that is not named here is hidden.  Machine checks show, with no banks (msrs.py): a guest then sets
CR4.MCE, and one that happens is an exit rather than a shutdown.

Sources: SDM 2A, CPUID instruction (tables 3-8 to 3-34); APM 3, appendix E; KVM, the kernel's
Documentation/virt/kvm/x86/cpuid.rst.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping

ALL = 0xffffffff
REGISTERS = ("eax", "ebx", "ecx", "edx")
Words = tuple[int, int, int, int]


@dataclass(frozen=True)
class Feature:
    """One feature bit. state: keep, hide or set."""
    bit: int
    name: str
    state: str
    why: str = ""


@dataclass(frozen=True)
class Leaf:
    number: int
    what: str
    keep: Words
    set: Words
    hidden: tuple[Feature, ...]


def _bits(state: str, why: str, names: str) -> list[Feature]:
    """"NAME bit NAME bit ..." -> features that share a reason."""
    words = names.split()
    return [Feature(int(bit), name, state, why) for name, bit in zip(words[::2], words[1::2])]


def _keep(names: str) -> list[Feature]:
    return _bits("keep", "", names)


def _hide(why: str, names: str) -> list[Feature]:
    return _bits("hide", why, names)


def _set(why: str, names: str) -> list[Feature]:
    return _bits("set", why, names)


FEATURES: dict[tuple[int, str], list[Feature]] = {
    (0x1, "ecx"): [
        *_keep("SSE3 0 PCLMULQDQ 1 SSSE3 9 FMA 12 CMPXCHG16B 13 PCID 17 SSE4_1 19 SSE4_2 20 x2APIC 21 MOVBE 22 POPCNT 23 "
               "TSC_DEADLINE 24 AES 25 XSAVE 26 AVX 28 F16C 29 RDRAND 30"),
        *_set("a guest may know that it is one", "HYPERVISOR 31"),
        *_hide("set by the hypervisor from the guest's CR4", "OSXSAVE 27"),
        *_hide("no virtualisation in guests", "VMX 5 SMX 6"),
        *_hide("could enter states in which the timer stops", "MONITOR 3"),
        *_hide("no debug store, no performance counters", "DTES64 2 DS_CPL 4 SDBG 11 PDCM 15"),
        *_hide("power and temperature are the board's", "EIST 7 TM2 8"),
        *_hide("no register for it", "CNXT_ID 10 XTPR 14 DCA 18"),
    ],
    (0x1, "edx"): [
        *_keep("FPU 0 VME 1 DE 2 PSE 3 TSC 4 MSR 5 PAE 6 MCE 7 CX8 8 APIC 9 SEP 11 MTRR 12 PGE 13 MCA 14 CMOV 15 PAT 16 PSE36 17 "
               "CLFSH 19 MMX 23 FXSR 24 SSE 25 SSE2 26 SS 27 HTT 28"),
        *_hide("no debug store, no performance counters", "DS 21"),
        *_hide("power and temperature are the board's", "ACPI 22 TM 29 PBE 31"),
        *_hide("the machine's serial number", "PSN 18"),
    ],
    (0x6, "eax"): [
        *_set("HLT, all that a guest can do, leaves the APIC timer running", "ARAT 2"),
        *_hide("power and temperature are the board's",
               "DTS 0 TURBO 1 PLN 4 ECMD 5 PTM 6 HWP 7 HWP_NOTIFY 8 HWP_WINDOW 9 HWP_EPP 10 HWP_PACKAGE 11 HDC 13 "
               "TURBO_MAX_3 14 HFI 19 THREAD_DIRECTOR 23"),
    ],
    (0x6, "ecx"): _hide("power and temperature are the board's", "APERFMPERF 0 EPB 3"),
    (0x7, "ebx"): [
        *_keep("FSGSBASE 0 BMI1 3 AVX2 5 FDP_EXCPTN_ONLY 6 SMEP 7 BMI2 8 ERMS 9 INVPCID 10 ZERO_FCS_FDS 13 AVX512F 16 "
               "AVX512DQ 17 RDSEED 18 ADX 19 SMAP 20 AVX512_IFMA 21 CLFLUSHOPT 23 CLWB 24 AVX512PF 26 AVX512ER 27 "
               "AVX512CD 28 SHA 29 AVX512BW 30 AVX512VL 31"),
        *_hide("the TSC cannot be moved", "TSC_ADJUST 1"),
        *_hide("enclaves are memory outside the partition", "SGX 2"),
        *_hide("no transactions: TSX leaks across threads", "HLE 4 RTM 11"),
        *_hide("caches are shared out by nobody yet", "RDT_M 12 RDT_A 15"),
        *_hide("given up by the vendor", "MPX 14"),
        *_hide("a trace is written to physical memory", "PT 25"),
    ],
    (0x7, "ecx"): [
        *_keep("PREFETCHWT1 0 AVX512_VBMI 1 UMIP 2 PKU 3 AVX512_VBMI2 6 GFNI 8 VAES 9 VPCLMULQDQ 10 AVX512_VNNI 11 "
               "AVX512_BITALG 12 AVX512_VPOPCNTDQ 14 RDPID 22 CLDEMOTE 25 MOVDIRI 27 MOVDIR64B 28"),
        *_hide("set by the hypervisor from the guest's CR4", "OSPKE 4"),
        *_hide("no register for it", "WAITPKG 5 CET_SS 7 KEY_LOCKER 23 BUS_LOCK_DETECT 24 ENQCMD 29 SGX_LC 30 PKS 31"),
        *_hide("memory encryption is the firmware's", "TME 13"),
        *_hide("nested tables have four levels, guests get 48 bits too", "LA57 16"),
    ],
    (0x7, "edx"): [
        *_keep("AVX512_4VNNIW 2 AVX512_4FMAPS 3 FSRM 4 AVX512_VP2INTERSECT 8 MD_CLEAR 10 SERIALIZE 14 AVX512_FP16 23 "
               "SPEC_CTRL 26 STIBP 27 L1D_FLUSH 28 ARCH_CAPABILITIES 29 SSBD 31"),
        *_hide("no register for it", "UINTR 5 SRBDS_CTRL 9 PCONFIG 18 ARCH_LBR 19 CET_IBT 20 CORE_CAPABILITIES 30"),
        *_hide("no transactions: TSX leaks across threads", "RTM_ALWAYS_ABORT 11 TSX_FORCE_ABORT 13 TSXLDTRK 16"),
        *_hide("the board's cores are of one kind", "HYBRID 15"),
        *_hide("its state is larger than a guest expects by default", "AMX_BF16 22 AMX_TILE 24 AMX_INT8 25"),
    ],
    (0x80000001, "ecx"): [
        *_keep("LAHF_LM 0 CMP_LEGACY 1 CR8_LEGACY 4 ABM 5 SSE4A 6 MISALIGNSSE 7 PREFETCHW 8 XOP 11 FMA4 16 TBM 21 TOPOEXT 22"),
        *_hide("no virtualisation in guests", "SVM 2 SKINIT 12"),
        *_hide("no register for it", "EXTAPIC 3 OSVW 9 IBS 10 WDT 13 LWP 15 TCE 17 NODEID_MSR 19 DBX 26 ADMSKEXTN 30"),
        *_hide("no debug store, no performance counters", "PERFCTR_CORE 23 PERFCTR_NB 24 PERFTSC 27 PERFCTR_LLC 28"),
        *_hide("could enter states in which the timer stops", "MWAITX 29"),
    ],
    (0x80000001, "edx"): [
        *_keep("FPU 0 VME 1 DE 2 PSE 3 TSC 4 MSR 5 PAE 6 MCE 7 CX8 8 APIC 9 SYSCALL 11 MTRR 12 PGE 13 MCA 14 CMOV 15 PAT 16 PSE36 17 "
               "NX 20 MMXEXT 22 MMX 23 FXSR 24 FFXSR 25 PAGE1GB 26 RDTSCP 27 LM 29 3DNOWEXT 30 3DNOW 31"),
    ],
    (0x80000007, "edx"): [
        *_set("nobody changes the frequency of the TSC, or stops it", "INVARIANT_TSC 8"),
        *_hide("power and temperature are the board's", "TS 0 FID 1 VID 2 TTP 3 TM 4 MHZ_STEPS 6 HW_PSTATE 7 CPB 9 APERFMPERF 10 "
               "PROC_FEEDBACK 11 ACC_POWER 12"),
    ],
    (0x80000008, "ebx"): [
        *_keep("CLZERO 0 XSAVEERPTR 2 WBNOINVD 9 IBPB 12 IBRS 14 STIBP 15 IBRS_ALWAYS_ON 16 STIBP_ALWAYS_ON 17 IBRS_PREFERRED 18 "
               "IBRS_SAME_MODE 19 SSBD 24 SSB_NO 26 PSFD 28 BTC_NO 29 IBPB_RET 30"),
        *_hide("no register for it", "IRPERF 1 RDPRU 4 MCOMMIT 8 VIRT_SSBD 25 CPPC 27"),
        *_hide("would reach other cores", "INVLPGB 3"),
        *_hide("a bit of EFER that is refused", "LMSLE_NO 20"),
    ],
    (0x80000021, "eax"): [
        *_keep("NO_NESTED_DATA_BP 0 LFENCE_SERIALIZING 2 NULL_SEL_CLEARS_BASE 6 SBPB 27 IBPB_BRTYPE 28 SRSO_NO 29"),
        *_hide("a bit of EFER that is refused", "AUTOMATIC_IBRS 8 UPPER_ADDRESS_IGNORE 7"),
        *_hide("no register for it", "SMM_PGCFG_LOCK 3 PREFETCH_CTL 13"),
    ],
}

# Number, what it is about, and the registers that are native; the others have FEATURES or are hidden.
LEAVES: tuple[tuple[int, str, str], ...] = (
    (0x0, "vendor", "eax ebx ecx edx"),
    (0x1, "family, model, features", "eax ebx"),
    (0x2, "caches", "eax ebx ecx edx"),
    (0x3, "serial number", ""),
    (0x4, "caches", "eax ebx ecx edx"),
    (0x5, "MONITOR", ""),
    (0x6, "power and temperature", ""),
    (0x7, "features; its further subleaves hidden", ""),
    (0x8, "reserved", ""),
    (0x9, "direct cache access", ""),
    (0xa, "performance counters", ""),
    (0xb, "topology", "eax ebx ecx edx"),
    (0xc, "reserved", ""),
    (0xd, "state of XSAVE", "eax ebx ecx edx"),
    (0xe, "reserved", ""),
    (0xf, "resource monitoring", ""),
    (0x10, "resource allocation", ""),
    (0x11, "reserved", ""),
    (0x12, "SGX", ""),
    (0x13, "reserved", ""),
    (0x14, "processor trace", ""),
    (0x15, "frequency of the TSC", "eax ebx ecx edx"),
    (0x16, "frequency of the processor", "eax ebx ecx edx"),
    (0x17, "vendor of the chip", ""),
    (0x18, "TLBs", "eax ebx ecx edx"),
    (0x19, "key locker", ""),
    (0x1a, "hybrid", ""),
    (0x1b, "PCONFIG", ""),
    (0x1c, "branch records", ""),
    (0x1d, "AMX tiles", ""),
    (0x1e, "AMX multiplication", ""),
    (0x1f, "topology, second version", "eax ebx ecx edx"),
    (0x40000000, "hypervisor: KVM's interface", ""),
    (0x40000001, "hypervisor: KVM's features", ""),
    (0x80000000, "vendor", "eax ebx ecx edx"),
    (0x80000001, "features", "eax ebx"),
    (0x80000002, "brand", "eax ebx ecx edx"),
    (0x80000003, "brand", "eax ebx ecx edx"),
    (0x80000004, "brand", "eax ebx ecx edx"),
    (0x80000005, "caches and TLBs", "eax ebx ecx edx"),
    (0x80000006, "caches and TLBs", "eax ebx ecx edx"),
    (0x80000007, "power and RAS", ""),
    (0x80000008, "sizes of addresses, features", "eax ecx"),
    *((n, "reserved" if n != 0x8000000a else "SVM", "") for n in range(0x80000009, 0x80000019)),
    (0x80000019, "TLBs of 1 GiB pages", "eax ebx ecx edx"),
    (0x8000001a, "performance", "eax ebx ecx edx"),
    (0x8000001b, "instruction-based sampling", ""),
    (0x8000001c, "lightweight profiling", ""),
    (0x8000001d, "caches", "eax ebx ecx edx"),
    (0x8000001e, "topology", "eax ebx ecx edx"),
    (0x8000001f, "memory encryption", ""),
    (0x80000020, "quality of service", ""),
    (0x80000021, "features", ""),
)

SIGNATURE = b"KVMKVMKVM\0\0\0"
KVM_CLOCKSOURCE2, KVM_CLOCK_STABLE = 1 << 3, 1 << 24


def _word(text: bytes) -> int:
    return int.from_bytes(text, "little")


SET: Mapping[int, Words] = {
    0x40000000: (0x40000001, _word(SIGNATURE[0:4]), _word(SIGNATURE[4:8]), _word(SIGNATURE[8:12])),
    0x40000001: (KVM_CLOCKSOURCE2 | KVM_CLOCK_STABLE, 0, 0, 0),
}


def _mask(features: list[Feature], state: str) -> int:
    return sum(1 << f.bit for f in features if f.state == state)


def _leaf(number: int, what: str, native: str) -> Leaf:
    keep, sets = [], []
    hidden: list[Feature] = []
    for i, register in enumerate(REGISTERS):
        features = FEATURES.get((number, register), [])
        keep.append(ALL if register in native.split() else _mask(features, "keep"))
        sets.append(SET.get(number, (0, 0, 0, 0))[i] | _mask(features, "set"))
        hidden += [f for f in sorted(features, key=lambda f: f.bit) if f.state == "hide"]
    return Leaf(number, what, (keep[0], keep[1], keep[2], keep[3]), (sets[0], sets[1], sets[2], sets[3]), tuple(hidden))


@dataclass(frozen=True)
class Policy:
    """Leaves from 0, from 0x40000000 and from 0x80000000, each without a gap; other leaves read 0."""
    leaves: tuple[Leaf, ...] = field(default_factory=lambda: tuple(_leaf(*row) for row in LEAVES))

    def count(self, first: int) -> int:
        return sum(1 for leaf in self.leaves if leaf.number >> 30 == first >> 30)


POLICY = Policy()
