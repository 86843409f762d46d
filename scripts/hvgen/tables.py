# SPDX-License-Identifier: Apache-2.0
"""Plan -> translation tables, as data (DDI 0487 D8, 4 KiB granule).

One table tree is made for stage 2 of each partition, one for EL2's own stage 1, and one for the
loader of each partition (EL2's map plus that partition's RAM, writable, for the time in which its
images are copied).  Blocks are as large as the alignment of both sides allows.  Tables with equal
contents are one table: the trees are built from the leaves up and every table is looked up by its
contents before it gets a name.

The tree builder and the hypervisor's map know no format: tables_x86 uses them for NPT, EPT and the
host's page tables, whose levels 0..3 are the PML4, the PDPT, the page directory and the page table.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping as Dict, Sequence

from .model import PORTS, Mapping, Plan, PlanPartition, Region
from .place import merge, pages as page_region

PAGE = 0x1000
LEVEL_SHIFT = (39, 30, 21, 12)         # address bits below the index of a level 0..3 table
GUARD = PAGE                           # lower page of each stack slot, unmapped
STACK_SLOT = 2 * PAGE                  # guard and stack

# Descriptor fields.
VALID = 1 << 0
TABLE = 1 << 1                         # levels 0-2: next table; level 3: page
SH_INNER = 3 << 8
AF = 1 << 10
XN = 1 << 54

# Stage 2 (D8.3.2): MemAttr 5:2, S2AP 7:6.
S2_RAM = VALID | 0xf << 2 | 3 << 6 | SH_INNER | AF
S2_DEVICE = VALID | 0x1 << 2 | 3 << 6 | AF | XN
# Channels: normal memory without caching, so that members need not agree about their own attributes.
S2_SHARED = VALID | 0x5 << 2 | 3 << 6 | SH_INNER | AF | XN
S2_SHARED_RO = VALID | 0x5 << 2 | 1 << 6 | SH_INNER | AF | XN

# EL2 stage 1: AttrIndx 4:2 (0 normal, 1 device, as in LAYOUT_EL2_MAIR), AP[1] is RES1, GP for BTI.
EL2_RES1 = 1 << 6
EL2_RO = 1 << 7
EL2_GUARDED = 1 << 50
EL2_TEXT = VALID | EL2_RES1 | EL2_RO | SH_INNER | AF | EL2_GUARDED
EL2_RODATA = VALID | EL2_RES1 | EL2_RO | SH_INNER | AF | XN
EL2_RW = VALID | EL2_RES1 | SH_INNER | AF | XN
EL2_DEVICE = VALID | 1 << 2 | EL2_RES1 | AF | XN


@dataclass(frozen=True)
class Format:
    """How entries are written. A leaf is its address | the attributes of its range | `block` or `page`."""
    link: int                          # of an entry that names a table: added to the table's address
    block: int                         # of a leaf above level 3
    page: int                          # of a leaf in level 3
    kinds: Dict[int, str]              # attributes, in words for the comments
    first_block: int = 1               # the first level that may have leaves


ARM64 = Format(VALID | TABLE, 0, TABLE, {
    S2_RAM: "RAM, rw x", S2_DEVICE: "device, rw", S2_SHARED: "channel, rw", S2_SHARED_RO: "channel, read-only",
    EL2_TEXT: "text, r x", EL2_RODATA: "read-only",
    EL2_RW: "rw", EL2_DEVICE: "device, rw",
})


@dataclass(frozen=True)
class Entry:
    """One valid descriptor. With `table`, the descriptor is that table's address + value."""
    index: int
    value: int
    table: str = ""
    note: str = ""


@dataclass(frozen=True)
class Table:
    name: str
    slots: int
    entries: tuple[Entry, ...]         # valid ones, by index
    writable: bool                     # a direct partition's root, to be withdrawn at run time
    root: bool                         # named from layout.c
    what: str                          # one line for the reader

    @property
    def size(self) -> int:
        return self.slots * 8

    @property
    def align(self) -> int:
        """To its size, a power of two, and at least 64 bytes; so for concatenated roots too (D8.2.3)."""
        return max(64, self.size)


@dataclass(frozen=True)
class Sizes:
    """Pages of the image's first two parts."""
    text_pages: int
    rw_pages: int


@dataclass(frozen=True)
class Stage2:
    root: str
    slots: int
    start_level: int
    vtcr: int                          # x86: 0
    bits: int = 0                      # x86: beside the root's address in nCR3 or EPTP


@dataclass(frozen=True)
class Tables:
    tables: tuple[Table, ...]          # children before the tables that refer to them
    stage2: tuple[Stage2, ...]         # by partition index
    el2_root: str                      # of the hypervisor's own map
    el2_tcr: int                       # x86: 0
    loader_roots: tuple[str, ...]      # by partition index

    def by_name(self) -> dict[str, Table]:
        return {t.name: t for t in self.tables}

    @property
    def bytes(self) -> int:
        return sum(t.size for t in self.tables)


@dataclass(frozen=True)
class Range:
    """Input addresses [va, va+size) -> pa, with the descriptor's attributes."""
    va: int
    pa: int
    size: int
    attr: int
    what: str


def ident(name: str) -> str:
    """A partition's name as part of a C identifier."""
    return "".join(c if c in "abcdefghijklmnopqrstuvwxyz0123456789" else "_" for c in name)


def size_text(size: int) -> str:
    for unit, shift in (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >> shift and size % (1 << shift) == 0:
            return f"{size >> shift} {unit}"
    return f"{size} bytes"


@dataclass
class Pool:
    """All tables so far, by contents."""
    format: Format
    side: str = ""                     # "ipa" or "va", for the comments
    tables: list[Table] = field(default_factory=list)
    known: dict[tuple[tuple[int, int, str], ...], str] = field(default_factory=dict)

    def put(self, entries: Sequence[Entry], name: str, what: str) -> str:
        key = tuple((e.index, e.value, e.table) for e in entries)
        if key not in self.known:
            self.known[key] = name
            self.tables.append(Table(name, 512, tuple(entries), False, False, what))
        return self.known[key]

    def root(self, entries: Sequence[Entry], name: str, slots: int, what: str, writable: bool) -> None:
        self.tables.append(Table(name, slots, tuple(entries), writable, True, what))

    def entries(self, prefix: str, level: int, base: int, ranges: Sequence[Range]) -> list[Entry]:
        """The descriptors of a table whose first entry maps `base`; makes the tables below it."""
        shift = LEVEL_SHIFT[level]
        span = 1 << shift
        made: dict[int, Entry] = {}
        below: dict[int, list[Range]] = {}
        for r in ranges:
            blocks = level >= self.format.first_block and (r.va - r.pa) % span == 0
            va, end = r.va, r.va + r.size
            while va < end:
                index = (va - base) >> shift
                stop = min(end, (va >> shift) + 1 << shift)
                pa = r.pa + (va - r.va)
                if blocks and stop - va == span:
                    leaf = self.format.page if level == 3 else self.format.block
                    note = (f"{self.side} {va:#x} -> pa {pa:#x}, {size_text(span)}, {self.format.kinds[r.attr]}"
                            f": {r.what}")
                    made[index] = Entry(index, pa | r.attr | leaf, "", note)
                else:
                    below.setdefault(index, []).append(Range(va, pa, stop - va, r.attr, r.what))
                va = stop
        for index, parts in below.items():
            at = base + index * span
            name = self.put(self.entries(prefix, level + 1, at, parts), f"{prefix}_l{level + 1}_{at:x}",
                            f"level {level + 1}, {self.side} {at:#x}")
            made[index] = Entry(index, self.format.link, name, f"{self.side} {at:#x}: next table")
        return [made[i] for i in sorted(made)]


# ---------------------------------------------------------------- parameters of the two regimes

def ps_field(pa_bits: int) -> int:
    """PS in TCR_EL2 and VTCR_EL2. Without 52-bit descriptors 4 KiB tables reach 48 bits."""
    return {32: 0, 36: 1, 40: 2, 42: 3, 44: 4, 48: 5, 52: 5}[pa_bits]


def start_of_stage2(ipa_bits: int) -> tuple[int, int]:
    """(start level, entries of the root): level 1, up to 16 tables side by side, or level 0."""
    return (1, 1 << (ipa_bits - 30)) if ipa_bits <= 43 else (0, 1 << (ipa_bits - 39))


def start_of_stage1(va_bits: int) -> tuple[int, int]:
    return (1, 1 << (va_bits - 30)) if va_bits <= 39 else (0, 1 << (va_bits - 39))


def vtcr(ipa_bits: int, pa_bits: int) -> int:
    sl0 = 1 if start_of_stage2(ipa_bits)[0] == 1 else 2
    return (1 << 31 | ps_field(pa_bits) << 16 | 3 << 12 | 1 << 10 | 1 << 8 | sl0 << 6 | (64 - ipa_bits))


def tcr_el2(va_bits: int, pa_bits: int) -> int:
    return 1 << 31 | 1 << 23 | ps_field(pa_bits) << 16 | 3 << 12 | 1 << 10 | 1 << 8 | (64 - va_bits)


# ---------------------------------------------------------------- what is mapped

@dataclass(frozen=True)
class Rights:
    """Attributes of the parts of the hypervisor's own map."""
    text: int
    rodata: int
    rw: int
    device: int


EL2 = Rights(EL2_TEXT, EL2_RODATA, EL2_RW, EL2_DEVICE)


def el2_devices(plan: Plan) -> list[tuple[Region, str]]:
    """What the hypervisor itself drives: its UART and the interrupt controller."""
    hw = plan.hardware
    named: list[tuple[Region, str]] = []
    if hw.uart is not None:
        named.append((page_region(hw.uart.region), "console"))
    if hw.gic is not None:
        named.append((page_region(hw.gic.dist), "GICD"))
        named += [(page_region(r), "GICR") for r in hw.gic.redists if hw.gic.version == 3]
        if hw.gic.version == 2:
            parts = ((hw.gic.cpu, "GICC"), (hw.gic.hyp, "GICH"))
            named += [(page_region(r), what) for r, what in parts if r is not None]
    return joined(named)


def joined(named: Sequence[tuple[Region, str]]) -> list[tuple[Region, str]]:
    """Pages by address, each once."""
    out: list[tuple[Region, str]] = []
    for region, what in sorted(named):
        if out and region.base < out[-1][0].end:        # registers of two kinds in one page
            last, name = out[-1]
            out[-1] = (Region(last.base, max(last.end, region.end) - last.base), f"{name}, {what}")
        else:
            out.append((region, what))
    return out


def _entry(plan: Plan, number: int) -> str:
    return f"CPU {number}" if number < len(plan.cpus) else f"slot {number - len(plan.cpus)}"


def hypervisor_ranges(plan: Plan, sizes: Sizes, rights: Rights, devices: Sequence[tuple[Region, str]],
                      cpu_pages: Sequence[str] = (), slot_pages: Sequence[str] = ()) -> list[Range]:
    """The hypervisor's own map. cpu_pages, slot_pages: names of the pages that each core and slot has behind all stacks."""
    base = plan.hv.base
    text_end = base + sizes.text_pages * PAGE
    rw_end = text_end + sizes.rw_pages * PAGE
    out = [Range(base, base, text_end - base, rights.text, "hypervisor")]
    at = text_end
    for i in range(len(plan.entries)):
        stack = text_end + i * STACK_SLOT + GUARD
        out.append(Range(stack, stack, STACK_SLOT - GUARD, rights.rw, f"stack of {_entry(plan, i)}"))
        at = stack + STACK_SLOT - GUARD
    for i in range(len(plan.entries)):
        for what in cpu_pages if i < len(plan.cpus) else slot_pages:
            out.append(Range(at, at, PAGE, rights.rw, f"{what} of {_entry(plan, i)}"))
            at += PAGE
    if rw_end > at:
        out.append(Range(at, at, rw_end - at, rights.rw, "data"))
    out.append(Range(rw_end, rw_end, plan.hv.end - rw_end, rights.rodata, "layout, tables, images"))
    out += [Range(r.base, r.base, r.size, rights.device, what) for r, what in devices]
    return sorted(out, key=lambda r: r.va)


def loader_ranges(plan: Plan, part: PlanPartition, rw: int, shared: int) -> list[Range]:
    """A partition's RAM where the hypervisor sees it, neighbouring pieces as one for larger blocks; and the
    channels that are zeroed through this map."""
    return [Range(r.base, r.base, r.size, rw, f"RAM of {part.name}")
            for r in merge([Region(m.pa, m.size) for m in part.ram])] + [
           Range(c.pa, c.pa, c.size, shared, f"channel {c.name}") for c in plan.channels
           if c.ends[0].partition == part.index]


@dataclass(frozen=True)
class GuestRights:
    """Attributes of what a guest has."""
    ram: int
    device: int
    shared: int
    shared_ro: int

    def of(self, m: Mapping) -> int:
        if m.kind == "channel":
            return self.shared if m.writable else self.shared_ro
        return self.ram if m.kind == "ram" else self.device


STAGE2 = GuestRights(S2_RAM, S2_DEVICE, S2_SHARED, S2_SHARED_RO)


def stage2_ranges(part: PlanPartition, rights: GuestRights) -> list[Range]:
    """The plan's mappings; those that continue each other on both sides are joined."""
    out: list[Range] = []
    for m in sorted(part.mappings, key=lambda m: m.ipa):
        attr = rights.of(m)
        last = out[-1] if out else None
        if (last is not None and last.attr == attr and last.what == m.what
                and last.va + last.size == m.ipa and last.pa + last.size == m.pa):
            out[-1] = Range(last.va, last.pa, last.size + m.size, attr, last.what)
        else:
            out.append(Range(m.ipa, m.pa, m.size, attr, m.what))
    return out


# ---------------------------------------------------------------- all of it

def reset_pages(part: PlanPartition) -> list[tuple[Region, str]]:
    """Registers of its devices that are written to when it stops or starts again."""
    return joined(sorted({(page_region(Region(w.address, w.width)), device.path) for device, _ in part.devices
                          for w in device.reset if w.address < PORTS}))


def make_loaders(pool: Pool, plan: Plan, name: str, main: Sequence[Range], extra: Sequence[Sequence[Range]], level: int,
                 slots: int, who: str) -> tuple[str, ...]:
    """The loader map of each partition: the main map and that partition's own ranges."""
    roots: list[str] = []
    for part, more in zip(plan.partitions, extra):
        prefix = f"{name}_loader_{ident(part.name)}"
        ranges = sorted([*main, *more], key=lambda r: r.va)
        pool.root(pool.entries(prefix, level, 0, ranges), prefix, slots, f"{who} while {part.name} is loaded", False)
        roots.append(prefix)
    return tuple(roots)


def make_tables(plan: Plan, sizes: Sizes) -> Tables:
    pool = Pool(ARM64, "ipa")
    stage2: list[Stage2] = []
    for part in plan.partitions:
        level, slots = start_of_stage2(part.ipa_bits)
        prefix = f"s2_{ident(part.name)}"
        entries = pool.entries(prefix, level, 0, stage2_ranges(part, STAGE2))
        pool.root(entries, f"{prefix}_root", slots,
                  f"stage 2 of {part.name}: {part.ipa_bits} bits of IPA, level {level}", part.direct)
        stage2.append(Stage2(f"{prefix}_root", slots, level, vtcr(part.ipa_bits, plan.pa_bits)))

    pool.side = "va"
    main = hypervisor_ranges(plan, sizes, EL2, el2_devices(plan))
    extra = [[*loader_ranges(plan, part, EL2_RW, EL2_DEVICE),
              *(Range(r.base, r.base, r.size, EL2_DEVICE, what) for r, what in reset_pages(part))] for part in plan.partitions]
    highest = max(r.va + r.size - 1 for r in [*main, *(r for more in extra for r in more)])
    va_bits = max(31, highest.bit_length())
    level, slots = start_of_stage1(va_bits)
    pool.root(pool.entries("el2", level, 0, main), "el2_root", slots,
              f"stage 1 of EL2: {va_bits} bits, level {level}", False)
    roots = make_loaders(pool, plan, "el2", main, extra, level, slots, "EL2")
    return Tables(tuple(pool.tables), tuple(stage2), "el2_root", tcr_el2(va_bits, plan.pa_bits), roots)
