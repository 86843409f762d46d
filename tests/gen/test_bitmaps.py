# SPDX-License-Identifier: Apache-2.0
"""Permission bitmaps and the policy for model-specific registers, read as the processors read them."""
from __future__ import annotations

from typing import Literal

import pytest
import samples_x86 as samples
from contract import ROOT
from hvgen import bitmaps, emit_x86, msrs
from hvgen.model import Region

VENDORS: tuple[Literal["svm", "vmx"], ...] = ("svm", "vmx")


def io_exits(vendor: str, data: bytes, port: int, width: int) -> bool:
    """APM 2 15.10.1: the bits of all bytes of the access; SDM 3 26.1.3: the same, and a wrap around 0xffff exits always."""
    assert len(data) == (12288 if vendor == "svm" else 8192)
    if vendor == "vmx" and port + width > 0x10000:
        return True
    return any(data[p // 8] >> p % 8 & 1 for p in range(port, port + width))


def msr_exits(vendor: str, data: bytes, number: int, write: bool) -> bool:
    """APM 2 15.11, SDM 3 25.6.9."""
    if vendor == "svm":
        assert len(data) == 8192
        for first, at in ((0, 0), (0xc0000000, 0x800), (0xc0010000, 0x1000)):
            if first <= number <= first + 0x1fff:
                bit = 2 * (number - first) + write
                return bool(data[at + bit // 8] >> bit % 8 & 1)
        return True
    assert len(data) == 4096
    for first, at in ((0, 0), (0xc0000000, 1024)):
        if first <= number <= first + 0x1fff:
            number -= first
            return bool(data[at + 2048 * write + number // 8] >> number % 8 & 1)
    return True


# What passes, written down a second time: number, read, write.
PASSING = {
    0x10: (1, 0), 0x48: (1, 1), 0x49: (0, 1), 0x10a: (1, 0), 0x10b: (0, 1), 0x174: (1, 1), 0x175: (1, 1), 0x176: (1, 1),
    0x1c4: (1, 1), 0x1c5: (1, 1), 0x277: (1, 1), 0x6e0: (1, 1), **{n: (1, int(n != 0x830)) for n in range(0x800, 0x900)},
    0xc0000081: (1, 1), 0xc0000082: (1, 1), 0xc0000083: (1, 1), 0xc0000084: (1, 1), 0xc0000100: (1, 1),
    0xc0000101: (1, 1), 0xc0000102: (1, 1), 0xc0000103: (1, 1),
}


@pytest.mark.parametrize("vendor", VENDORS)
def test_msrs_that_pass_are_exactly_these(vendor: Literal["svm", "vmx"]) -> None:
    data = bitmaps.msr_bitmap(vendor)
    for first in (0, 0xc0000000, 0xc0010000):
        for number in range(first, first + 0x2000):
            read, write = PASSING.get(number, (0, 0))
            assert msr_exits(vendor, data, number, False) == (not read), hex(number)
            assert msr_exits(vendor, data, number, True) == (not write), hex(number)
    cleared = sum((~byte & 0xff).bit_count() for byte in data)
    assert cleared == sum(r + w for r, w in PASSING.values())


def test_what_can_harm_others_does_not_pass() -> None:
    """Each with its reason: none of them is the core's own affair."""
    for vendor in VENDORS:
        data = bitmaps.msr_bitmap(vendor)
        for number, why in ((0x1b, "moves the APIC out of x2APIC mode"), (0x830, "interrupts other cores"),
                            (0xc0000080, "SVME, LME"), (0x2ff, "memory types"), (0x200, "memory types"), (0x79, "microcode"),
                            (0x8b, "microcode"), (0x198, "power"), (0x199, "power"), (0x3a, "VMX"), (0x480, "VMX"),
                            (0xc0010114, "SVM"), (0xc0010117, "SVM"), (0xc0010015, "HWCR"), (0xc0010010, "SYSCFG"),
                            (0xc0010111, "SMM"), (0x9e, "SMM"), (0x1d9, "DEBUGCTL"), (0x600, "debug store"),
                            (0x570, "processor trace"), (0xda0, "processor trace, by XRSTORS"),
                            (0x6e1, "PKS"), (0x400, "machine checks"), (0x10, "the time of all")):
            assert msr_exits(vendor, data, number, True), why


def test_msr_table_is_sorted_and_disjoint() -> None:
    rows = list(msrs.answered())
    assert [m.first for m in rows] == sorted(m.first for m in rows)
    for one, two in zip(msrs.MSRS, msrs.MSRS[1:]):
        assert one.first <= one.last < two.first, f"{one.name} and {two.name}"
    assert all(m.value == 0 or m.read == "value" for m in msrs.MSRS)
    assert all(m.why and any(source in m.why for source in ("SDM", "APM", "KVM", "BKDG", "AMD")) for m in msrs.MSRS)


def test_a_register_without_a_bit_cannot_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(msrs, "MSRS", (msrs.Msr("far", 0xc0010000, 0xc0010000, "pass", "pass", "SDM"),))
    assert not msr_exits("svm", bitmaps.msr_bitmap("svm"), 0xc0010000, True)
    with pytest.raises(ValueError, match="no bitmap"):
        bitmaps.msr_bitmap("vmx")


def answer(number: int) -> tuple[bool, int, bool]:
    """(readable, value, writable) as the hypervisor finds them in layout_msr."""
    for m in msrs.answered():
        if m.first <= number <= m.last:
            return m.read == "value", m.value, m.write == "ignore"
    return False, 0, False


def test_the_manual_has_the_same_table() -> None:
    text = (ROOT / "docs/guest-abi-x86.md").read_text(encoding="utf-8")
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in text.splitlines() if line.startswith("| 0x")]
    rows = [row for row in rows if len(row) == 5]
    reads = {"pass": "native", "code": "emulated", "refuse": "#GP"}
    writes = {"pass": "native", "code": "checked", "ignore": "ignored", "refuse": "#GP"}
    assert rows == [(f"{m.first:#x}" + (f"..{m.last:#x}" if m.last > m.first else ""), m.name,
                     f"{m.value:#x}" if m.read == "value" else reads[m.read], writes[m.write], m.why) for m in msrs.MSRS]


def test_answers_that_linux_needs() -> None:
    assert answer(0x2ff) == (True, 0x806, True)                   # MTRRs on, write-back, nothing else
    assert answer(0xfe) == (True, 0, False)
    assert answer(0x20f) == (True, 0, True)
    assert answer(0x1a0) == (True, 0x1801, True)                  # or Linux switches REP MOVS off
    assert answer(0xc0010015) == (True, 1 << 24, True)            # or it doubts the TSC
    assert answer(0xc0010055) == (True, 0, True)
    assert answer(0x4b564d00) == (True, 0, True)
    assert answer(0x10) == (False, 0, True)
    assert answer(0xc0010114) == (False, 0, False)
    assert answer(0x1b) == (False, 0, False)                      # the hypervisor's code knows it


@pytest.mark.parametrize("vendor", VENDORS)
def test_ports(vendor: Literal["svm", "vmx"]) -> None:
    mine = (Region(0x2f8, 8), Region(0x70, 2), Region(0xfffe, 2), Region(0, 1))
    data = bitmaps.io_bitmap(vendor, mine)
    owned = {p for r in mine for p in range(r.base, r.end)}
    for port in range(0x10000):
        assert io_exits(vendor, data, port, 1) == (port not in owned), hex(port)
    assert not io_exits(vendor, data, 0x2f8, 4) and not io_exits(vendor, data, 0x2fc, 4)
    assert io_exits(vendor, data, 0x2fe, 4) and io_exits(vendor, data, 0x2f7, 2) and io_exits(vendor, data, 0x2ff, 2)
    assert io_exits(vendor, data, 0xffff, 2) and io_exits(vendor, data, 0xfffe, 4) and not io_exits(vendor, data, 0xfffe, 2)
    with pytest.raises(ValueError, match="I/O ports"):
        bitmaps.io_bitmap(vendor, [Region(0xfff8, 16)])


def test_equal_bitmaps_are_one() -> None:
    hw = samples.hardware()
    ram = [[samples.ram_mapping(0, (2 + i) * 32 << 20, 32 << 20)] for i in range(3)]
    parts = [samples.partition(hw, i, f"p{i}", [i], ram[i], [samples.COM2] if i == 1 else []) for i in range(3)]
    made = bitmaps.make_bitmaps(samples.plan(hw, parts))
    assert made.io == ("io_bitmap_p0", "io_bitmap_p1", "io_bitmap_p0")
    assert set(made.msr) == {"msr_bitmap"} and len(made.arrays) == 3
    shared = next(b for b in made.arrays if b.name == "io_bitmap_p0")
    assert shared.what == "I/O ports: p0, p2"
    assert next(b for b in made.arrays if b.name == "io_bitmap_p1").notes == ((0x5f, samples.COM2),)


def test_printed_bitmaps_are_the_same_bytes() -> None:
    """Runs cover every byte once; what passes is named where it begins."""
    for vendor in VENDORS:
        for bitmap in bitmaps.make_bitmaps(samples.two_partitions(vendor)).arrays:
            made = bytearray()
            for first, last, value in bitmaps.runs(bitmap.data):
                assert first == len(made)
                made += bytes([value]) * (last - first + 1)
            assert bytes(made) == bitmap.data
            text = emit_x86._bitmap(bitmap)
            for line in text:
                if line.startswith("    [") and "= 0xff" in line:
                    assert "/*" not in line, line          # nothing passes in bytes that are all ones
            named = " ".join(text)
            assert all(what in named for _, what in bitmap.notes)
