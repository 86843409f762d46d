# SPDX-License-Identifier: Apache-2.0
"""A translation table walker for the tests, written from the manual and not from the generator.

DDI 0487: VMSAv8-64 with the 4 KiB granule, D8.2 (walks), D8.3 (descriptors); for x86 APM 2 and SDM 3.  `read` gives the 64-bit
word at a physical address.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterable, Iterator

OUTPUT = 0x0000_FFFF_FFFF_F000
Read = Callable[[int], int]


@dataclass(frozen=True)
class Leaf:
    va: int
    pa: int
    size: int
    attributes: int


def field(value: int, high: int, low: int) -> int:
    return value >> low & (1 << high - low + 1) - 1


@dataclass(frozen=True)
class Regime:
    """Where a walk begins."""
    root: int
    level: int
    bits: int

    @property
    def entries(self) -> int:
        return 1 << self.bits - (12 + 9 * (3 - self.level))


def stage2(vttbr: int, vtcr: int) -> Regime:
    assert field(vtcr, 31, 31) == 1, "VTCR_EL2 bit 31 is RES1"
    assert field(vtcr, 15, 14) == 0, "4 KiB granule"
    assert field(vtcr, 13, 8) == 0b110101, "inner shareable, write-back walks"
    bits = 64 - field(vtcr, 5, 0)
    level = {0: 2, 1: 1, 2: 0}[field(vtcr, 7, 6)]
    low, high = {1: (31, 43), 0: (40, 48)}[level]          # D8-5845: sizes that may begin at a level
    assert low <= bits <= high
    regime = Regime(field(vttbr, 47, 1) << 1, level, bits)
    assert regime.root % max(64, regime.entries * 8) == 0, "concatenated roots are aligned to their size"
    return regime


def stage1(ttbr: int, tcr: int) -> Regime:
    assert field(tcr, 31, 31) == 1 and field(tcr, 23, 23) == 1, "TCR_EL2 bits 31, 23 are RES1"
    assert field(tcr, 15, 14) == 0 and field(tcr, 13, 8) == 0b110101
    bits = 64 - field(tcr, 5, 0)
    level = 0 if bits > 39 else 1
    regime = Regime(field(ttbr, 47, 1) << 1, level, bits)
    assert regime.root % max(64, regime.entries * 8) == 0
    return regime


def leaves(regime: Regime, read: Read) -> Iterator[Leaf]:
    """Every address that translates, in ascending order."""
    yield from _table(regime.root, regime.level, regime.entries, 0, read)


def _table(table: int, level: int, count: int, va: int, read: Read) -> Iterator[Leaf]:
    span = 1 << 12 + 9 * (3 - level)
    for index in range(count):
        word = read(table + 8 * index)
        at = va + index * span
        if not word & 1:
            continue
        if level == 3:
            assert word & 2, "a level 3 descriptor of type block is reserved"
            yield Leaf(at, word & OUTPUT, span, word & ~OUTPUT)
        elif word & 2:
            assert word & ~OUTPUT == 3, "no attributes in table descriptors"
            yield from _table(word & OUTPUT, level + 1, 512, at, read)
        else:
            assert level in (1, 2), "no blocks at level 0"
            assert word & OUTPUT & span - 1 == 0, "a block is aligned to its size"
            yield Leaf(at, word & OUTPUT, span, word & ~OUTPUT)


def walk(regime: Regime, address: int, read: Read) -> Leaf | None:
    """One address as the MMU would translate it: the page or block that it lies in."""
    if address >> regime.bits:
        return None
    table, level = regime.root, regime.level
    while True:
        shift = 12 + 9 * (3 - level)
        index = address >> shift if level == regime.level else address >> shift & 511
        word = read(table + 8 * index)
        if not word & 1:
            return None
        if level == 3 or not word & 2:
            return Leaf(address >> shift << shift, word & OUTPUT, 1 << shift, word & ~OUTPUT)
        table, level = word & OUTPUT, level + 1


def merged(found: list[Leaf]) -> list[Leaf]:
    """Neighbours that continue each other on both sides, with equal attributes, as one."""
    out: list[Leaf] = []
    for leaf in sorted(found, key=lambda leaf: leaf.va):
        last = out[-1] if out else None
        if last and last.va + last.size == leaf.va and last.pa + last.size == leaf.pa \
                and last.attributes & ~3 == leaf.attributes & ~3:
            out[-1] = Leaf(last.va, last.pa, last.size + leaf.size, last.attributes)
        else:
            out.append(leaf)
    return out


# ---------------------------------------------------------------- x86: four levels, PML4 to page table

@dataclass(frozen=True)
class Page:
    """What an access finds, with the rights of all levels on the way (APM 2 5.6, SDM 3 4.6, 29.3.3)."""
    va: int
    pa: int
    size: int
    write: bool
    execute: bool
    user: bool                         # EPT: always
    uncached: bool
    leaf: int                          # the last entry


def _ordinary(word: int, level: int, pa_bits: int) -> tuple[bool, bool, bool, bool, bool]:
    """(present, leaf, write, execute, user) of an entry of ordinary page tables or NPT, long mode."""
    present = field(word, 0, 0) == 1
    large = field(word, 7, 7) == 1 and level > 0
    if present:
        assert field(word, 62, pa_bits) == 0, "address bits beyond the processor's are reserved"
        assert not (large and level == 3), "bit 7 of the root's entries is reserved"
        assert field(word, 5, 5) == 1, "the processor would write the accessed bit"
        assert not field(word, 8, 8), "no global pages"
        if large:
            assert field(word, 12 + 9 * level - 1, 12) == 0, "PAT bit, and reserved address bits of a large page"
        if large or level == 0:
            assert field(word, 6, 6) == 1, "the processor would write the dirty bit"
    return present, large or level == 0, bool(word & 2), not word >> 63, bool(word & 4)


def _extended(word: int, level: int, pa_bits: int) -> tuple[bool, bool, bool, bool, bool]:
    """The same for EPT (SDM 3 29.3.2, 29.3.3.1: misconfigurations)."""
    present = field(word, 2, 0) != 0
    large = field(word, 7, 7) == 1 and level > 0
    if present:
        assert field(word, 0, 0) == 1, "write or execute without read is a misconfiguration"
        assert field(word, 51, pa_bits) == 0
        assert not (large and level == 3)
        if large or level == 0:
            assert field(word, 5, 3) in (0, 6), "UC or WB"
            assert field(word, 6, 6) == 0, "the guest's PAT counts too"
            assert level == 0 or field(word, 12 + 9 * level - 1, 12) == 0
        else:
            assert field(word, 6 if level == 3 else 7, 3) == 0, "reserved in an entry that names a table"
        assert word >> 52 == 0
    return present, large or level == 0, bool(word & 2), bool(word & 4), True


def x86_pages(root: int, read: Read, extended: bool = False, pa_bits: int = 48) -> Iterator[Page]:
    """Every address that translates, in ascending order. level: 3 for the PML4, 0 for page tables."""
    assert root % 0x1000 == 0
    entry = _extended if extended else _ordinary

    def table(at: int, level: int, va: int, write: bool, execute: bool, user: bool) -> Iterator[Page]:
        span = 1 << 12 + 9 * level
        for index in range(512):
            word = read(at + 8 * index)
            present, leaf, w, x, u = entry(word, level, pa_bits)
            if not present:
                assert word == 0, "what is not present is 0"
                continue
            here = va + index * span
            assert here < 1 << 47, "the upper half is sign-extended"
            target = word & (1 << pa_bits) - 0x1000
            if leaf:
                uncached = field(word, 5, 3) == 0 if extended else field(word, 4, 3) == 3
                assert extended or field(word, 4, 3) in (0, 3), "PAT entry 0 or 3"
                yield Page(here, target, span, write and w, execute and x, user and u, uncached, word)
            else:
                yield from table(target, level - 1, here, write and w, execute and x, user and u)

    yield from table(root, 3, 0, True, True, True)


def x86_walk(root: int, address: int, read: Read, extended: bool = False) -> Page | None:
    """One address, by a loop of its own."""
    at, level = root, 3
    while True:
        word = read(at + 8 * (address >> 12 + 9 * level & 511))
        present, leaf, w, x, u = (_extended if extended else _ordinary)(word, level, 48)
        if not present:
            return None
        target = word & (1 << 48) - 0x1000
        if leaf:
            size = 1 << 12 + 9 * level
            return Page(address & -size, target, size, w, x, u, False, word)
        at, level = target, level - 1


def x86_merged(found: Iterable[Page]) -> list[Page]:
    """Neighbours with equal rights that continue each other, as one."""
    out: list[Page] = []
    for page in sorted(found, key=lambda page: page.va):
        last = out[-1] if out else None
        if (last and last.va + last.size == page.va and last.pa + last.size == page.pa
                and (last.write, last.execute, last.user, last.uncached) == (page.write, page.execute, page.user, page.uncached)):
            out[-1] = Page(last.va, last.pa, last.size + page.size, last.write, last.execute, last.user, last.uncached, 0)
        else:
            out.append(Page(page.va, page.pa, page.size, page.write, page.execute, page.user, page.uncached, 0))
    return out
