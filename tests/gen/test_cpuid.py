# SPDX-License-Identifier: Apache-2.0
"""The CPUID policy: shape, and what must be hidden, set or kept."""
from __future__ import annotations

import re

import pytest
from contract import ROOT
from hvgen import cpuid, emit_x86

NATIVE = (0xffffffff,) * 4             # a processor that has everything


def guest(number: int, native: tuple[int, ...] = NATIVE) -> tuple[int, ...]:
    """What a guest reads, as the hypervisor looks it up in layout_cpuid."""
    policy = cpuid.POLICY
    basic, hypervisor = policy.count(0), policy.count(0x40000000)
    bases = {0: (0, basic), 0x40000000: (basic, hypervisor), 0x80000000: (basic + hypervisor, policy.count(0x80000000))}
    start, count = bases[number & 0xc0000000]
    index = number & 0x3fffffff
    if index >= count:
        return (0, 0, 0, 0)
    leaf = policy.leaves[start + index]
    assert leaf.number == number
    return tuple(n & k | s for n, k, s in zip(native, leaf.keep, leaf.set))


def test_leaves_are_without_a_gap() -> None:
    numbers = [leaf.number for leaf in cpuid.POLICY.leaves]
    for first, count in ((0, 32), (0x40000000, 2), (0x80000000, 34)):
        assert cpuid.POLICY.count(first) == count
        assert [n for n in numbers if n & 0xc0000000 == first] == list(range(first, first + count))
    assert numbers == sorted(numbers)


def test_features_are_named_once() -> None:
    for (number, register), features in cpuid.FEATURES.items():
        bits = [f.bit for f in features]
        assert len(set(bits)) == len(bits) and len({f.name for f in features}) == len(bits), hex(number)
        assert all(0 <= b < 32 for b in bits)
        assert all(f.why for f in features if f.state != "keep"), f"{number:#x} {register}: a reason for each"
        assert number in {row[0] for row in cpuid.LEAVES}


@pytest.mark.parametrize("number,register,bit,what", [
    (1, 2, 3, "MONITOR"), (1, 2, 5, "VMX"), (1, 2, 6, "SMX"), (1, 2, 15, "PDCM"), (1, 2, 27, "OSXSAVE"), (1, 3, 21, "DS"),
    (1, 3, 22, "ACPI"), (6, 0, 7, "HWP"), (6, 2, 0, "APERFMPERF"), (7, 1, 1, "TSC_ADJUST"), (7, 1, 2, "SGX"), (7, 1, 4, "HLE"),
    (7, 1, 11, "RTM"), (7, 1, 25, "PT"), (7, 2, 4, "OSPKE"), (7, 2, 5, "WAITPKG"), (7, 2, 7, "CET_SS"), (7, 2, 16, "LA57"),
    (7, 2, 31, "PKS"), (7, 3, 20, "CET_IBT"), (7, 3, 24, "AMX_TILE"), (0x80000001, 2, 2, "SVM"), (0x80000001, 2, 9, "OSVW"),
    (0x80000001, 2, 10, "IBS"), (0x80000001, 2, 12, "SKINIT"), (0x80000001, 2, 19, "NODEID_MSR"),
    (0x80000001, 2, 23, "PERFCTR_CORE"), (0x80000001, 2, 29, "MWAITX"), (0x80000007, 3, 7, "HW_PSTATE"),
    (0x80000008, 1, 3, "INVLPGB"), (0x80000021, 0, 8, "AUTOMATIC_IBRS")])
def test_hidden(number: int, register: int, bit: int, what: str) -> None:
    assert not guest(number)[register] >> bit & 1
    if (number, cpuid.REGISTERS[register]) in cpuid.FEATURES:
        feature = next(f for f in cpuid.FEATURES[number, cpuid.REGISTERS[register]] if f.bit == bit)
        assert feature.name == what


@pytest.mark.parametrize("leaf", [3, 5, 0xa, 0xf, 0x10, 0x12, 0x14, 0x19, 0x1b, 0x1c, 0x8000000a, 0x8000001b, 0x8000001f, 0x20, 0x21,
                                  0x40000002, 0x80000022, 0x80000026])
def test_leaves_that_read_zero(leaf: int) -> None:
    assert guest(leaf) == (0, 0, 0, 0)


@pytest.mark.parametrize("number,register,bit", [
    (1, 2, 21), (1, 2, 24), (1, 2, 17), (1, 2, 26), (1, 3, 9), (1, 3, 12), (1, 3, 16), (1, 3, 7), (1, 3, 14), (7, 1, 7), (7, 1, 20),
    (7, 3, 26), (7, 3, 29), (0x80000001, 3, 20), (0x80000001, 3, 29), (0x80000001, 3, 26), (0x80000001, 2, 22)])
def test_kept(number: int, register: int, bit: int) -> None:
    """x2APIC, TSC deadline, PCID, XSAVE, APIC, MTRR, PAT, machine checks, SMEP, SMAP, SPEC_CTRL, long mode and the like."""
    assert guest(number)[register] >> bit & 1
    assert not guest(number, (0, 0, 0, 0))[register] >> bit & 1, "kept is not set"


def test_set_whatever_the_processor_says() -> None:
    none = (0, 0, 0, 0)
    assert guest(1, none) == (0, 0, 1 << 31, 0)
    assert guest(6, none) == (4, 0, 0, 0)
    assert guest(0x80000007, none) == (0, 0, 0, 1 << 8)
    signature = guest(0x40000000)
    assert signature[0] == 0x40000001
    assert b"".join(word.to_bytes(4, "little") for word in signature[1:]) == b"KVMKVMKVM\0\0\0"
    assert guest(0x40000001) == (0x01000008, 0, 0, 0)


def test_subleaves_of_7_do_not_show() -> None:
    """eax of subleaf 0 is the last subleaf; eax of subleaf 1 has FRED and the like. One mask serves both."""
    assert guest(7)[0] == 0


def test_hidden_features_are_listed_with_reasons() -> None:
    leaf = next(leaf for leaf in cpuid.POLICY.leaves if leaf.number == 1)
    assert "no virtualisation in guests" in [f.why for f in leaf.hidden if f.name == "VMX"]
    text = "\n".join(emit_x86._cpuid())
    assert text.index("DTES64, MONITOR") < text.index("/* 0x2: caches */")
    assert all(f.name in text for one in cpuid.POLICY.leaves for f in one.hidden)


def test_the_manual_has_every_hidden_feature_with_its_reason() -> None:
    text = (ROOT / "docs/guest-abi-x86.md").read_text(encoding="utf-8")
    rows = {why.strip(): names for names, why in re.findall(r"^\| ([A-Z0-9_, a-z]+) \| ([^|]+) \|$", text, re.M)}
    for leaf in cpuid.POLICY.leaves:
        for f in leaf.hidden:
            if f.name not in ("OSXSAVE", "OSPKE"):
                assert f.name in rows[f.why].split(", "), f.name
