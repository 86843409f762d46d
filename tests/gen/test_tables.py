# SPDX-License-Identifier: Apache-2.0
"""The tables say what the plan says, for any plan: walked as the MMU walks, by code of their own."""
from __future__ import annotations

import random

import pytest
import samples
import walker
from hvgen import tables
from hvgen.model import Mapping, Plan, Region
from samples import GIB, KIB, MIB
from walker import Leaf, Regime

TIB = 1 << 40
PAGE = 4 * KIB
SIZES = tables.Sizes(text_pages=5, rw_pages=9)
TABLES_AT = 0x7000_0000_0000

# Attributes as the contract lists them, without bits 1:0.
RAM = 0x7fc
DEVICE = 1 << 54 | 0x4c4
TEXT = 1 << 50 | 0x7c0
RODATA = 1 << 54 | 0x7c0
RW = 1 << 54 | 0x740
EL2_DEVICE = 1 << 54 | 0x444


class Memory:
    """The tables laid out as a linker might."""

    def __init__(self, made: tables.Tables, place: int = TABLES_AT) -> None:
        self.words: dict[int, int] = {}
        self.at: dict[str, int] = {}
        for table in made.tables:
            place = -(-place // table.align) * table.align
            self.at[table.name] = place
            for entry in table.entries:
                assert 0 <= entry.index < table.slots
                target = self.at[entry.table] if entry.table else 0     # children come first
                self.words[place + 8 * entry.index] = target + entry.value
            place += table.size

    def read(self, address: int) -> int:
        assert address % 8 == 0
        return self.words.get(address, 0)


def stage2_of(made: tables.Tables, memory: Memory, index: int) -> Regime:
    s2 = made.stage2[index]
    regime = walker.stage2(memory.at[s2.root] | (index + 1) << 48, s2.vtcr)
    assert regime.entries == s2.slots == made.by_name()[s2.root].slots
    return regime


def found(regime: Regime, memory: Memory) -> list[Leaf]:
    return walker.merged(list(walker.leaves(regime, memory.read)))


def plain(leaves: list[Leaf]) -> list[tuple[int, int, int, int]]:
    return [(leaf.va, leaf.pa, leaf.size, leaf.attributes & ~3) for leaf in leaves]


def expected_stage2(plan: Plan, index: int) -> list[tuple[int, int, int, int]]:
    return plain(walker.merged([Leaf(m.ipa, m.pa, m.size, RAM if m.kind == "ram" else DEVICE)
                                for m in plan.partitions[index].mappings]))


def expected_el2(plan: Plan) -> list[Leaf]:
    base = plan.hv.base
    rw = base + SIZES.text_pages * PAGE
    ro = rw + SIZES.rw_pages * PAGE
    stacks = [Leaf(a, a, PAGE, RW) for a in (rw + 8 * KIB * i + PAGE for i in range(len(plan.cpus)))]
    data = rw + 8 * KIB * len(plan.cpus)
    out = [Leaf(base, base, rw - base, TEXT), *stacks, Leaf(ro, ro, plan.hv.end - ro, RODATA)]
    if ro > data:
        out.append(Leaf(data, data, ro - data, RW))
    hw = plan.hardware
    assert hw.uart and hw.gic
    for region in (hw.uart.region, hw.gic.dist, *hw.gic.redists):
        start, end = region.base // PAGE * PAGE, -(-region.end // PAGE) * PAGE
        out.append(Leaf(start, start, end - start, EL2_DEVICE))
    return out


def check(plan: Plan) -> tables.Tables:
    """All that is mapped is in the plan, all that is in the plan is mapped; in every tree."""
    made = tables.make_tables(plan, SIZES)
    memory = Memory(made)
    assert len({t.name for t in made.tables}) == len(made.tables)
    for index in range(len(plan.partitions)):
        assert plain(found(stage2_of(made, memory, index), memory)) == expected_stage2(plan, index)
    main = expected_el2(plan)
    el2 = walker.stage1(memory.at[made.el2_root], made.el2_tcr)
    assert plain(found(el2, memory)) == plain(walker.merged(main))
    for part, root in zip(plan.partitions, made.loader_roots):
        loader = walker.stage1(memory.at[root], made.el2_tcr)
        ram = [Leaf(m.pa, m.pa, m.size, RW) for m in part.ram]
        assert plain(found(loader, memory)) == plain(walker.merged([*main, *ram]))
    return made


def counts(made: tables.Tables, prefix: str) -> int:
    return sum(t.slots == 512 and not t.root for t in made.tables if t.name.startswith(prefix))


def test_two_partitions() -> None:
    made = check(samples.two_partitions())
    writable = [t.name for t in made.tables if t.writable]
    assert writable == ["s2_flight_root"]
    assert {t.name for t in made.tables if t.root} == {
        "s2_flight_root", "s2_companion_root", "el2_root", "el2_loader_flight", "el2_loader_companion"}


def test_every_address_next_to_a_mapping_faults() -> None:
    plan = samples.two_partitions()
    made = tables.make_tables(plan, SIZES)
    memory = Memory(made)
    for index, part in enumerate(plan.partitions):
        regime = stage2_of(made, memory, index)
        mapped = {m.ipa for m in part.mappings} | {m.ipa + m.size for m in part.mappings}
        for m in part.mappings:
            leaf = walker.walk(regime, m.ipa, memory.read)
            last = walker.walk(regime, m.ipa + m.size - 1, memory.read)
            assert leaf and last and leaf.pa + (m.ipa - leaf.va) == m.pa
            assert last.pa + (m.ipa + m.size - 1 - last.va) == m.pa + m.size - 1
            if m.ipa + m.size not in {n.ipa for n in part.mappings}:
                assert walker.walk(regime, m.ipa + m.size, memory.read) is None
            assert m.ipa - 1 in mapped or walker.walk(regime, m.ipa - 1, memory.read) is None
        for address in (0x8000000, 0x80a0000, 0x9000000, plan.hv.base + (1 << 40)):
            assert walker.walk(regime, address, memory.read) is None


def test_el2_is_never_writable_and_executable() -> None:
    plan = samples.two_partitions()
    made = tables.make_tables(plan, SIZES)
    memory = Memory(made)
    for root in (made.el2_root, *made.loader_roots):
        for leaf in walker.leaves(walker.stage1(memory.at[root], made.el2_tcr), memory.read):
            writable, executable = not leaf.attributes >> 7 & 1, not leaf.attributes >> 54 & 1
            assert not (writable and executable)
            assert leaf.attributes >> 10 & 1 and leaf.attributes >> 6 & 1 and not leaf.attributes >> 11 & 1
            if executable:
                assert plan.hv.base <= leaf.va < plan.hv.base + SIZES.text_pages * PAGE
                assert leaf.attributes >> 50 & 1


def test_stack_guards_are_not_mapped() -> None:
    plan = samples.two_partitions()
    made = tables.make_tables(plan, SIZES)
    memory = Memory(made)
    rw = plan.hv.base + SIZES.text_pages * PAGE
    for root in (made.el2_root, *made.loader_roots):
        regime = walker.stage1(memory.at[root], made.el2_tcr)
        for i in range(len(plan.cpus)):
            guard, stack = rw + 8 * KIB * i, rw + 8 * KIB * i + PAGE
            assert walker.walk(regime, guard, memory.read) is None
            assert walker.walk(regime, guard + PAGE - 8, memory.read) is None
            leaf = walker.walk(regime, stack, memory.read)
            assert leaf and leaf.size == PAGE and leaf.attributes & ~3 == RW


def test_equal_tables_are_one() -> None:
    made = check(samples.two_partitions())
    for level in ("l3",):
        assert not [t for t in made.tables if t.name.startswith("el2_loader") and level in t.name]
    contents = [(t.slots, tuple((e.index, e.value, e.table) for e in t.entries)) for t in made.tables if not t.root]
    assert len(set(contents)) == len(contents)


def one_guest(ram: list[Mapping], memory: Region, pa_bits: int, direct: bool = False) -> Plan:
    hw = samples.hardware(memory=(memory,))
    return samples.plan(hw, [samples.partition(hw, 0, "big", [0, 1], ram, direct, vuart=True)],
                        Region(memory.base + 2 * MIB, 4 * MIB), pa_bits)


@pytest.mark.parametrize("direct", [False, True])
def test_one_tebibyte(direct: bool) -> None:
    board = Region(GIB, TIB)
    made = check(one_guest([samples.ram_mapping(GIB, 2 * GIB, 1020 * GIB)], board, 42, direct))
    assert made.stage2[0].start_level == 1 and made.stage2[0].slots == 1024
    assert counts(made, "s2_") == 0        # 1 GiB blocks in the root


def test_sixteen_tebibytes() -> None:
    board = Region(GIB, 17 * TIB)
    made = check(one_guest([samples.ram_mapping(GIB, 2 * GIB, 16 * TIB)], board, 48))
    assert made.stage2[0].start_level == 0
    assert counts(made, "s2_") == 33       # one per 512 GiB
    assert made.stage2[0].vtcr & 0x3f == 64 - 45


def test_tables_do_not_grow_with_memory() -> None:
    sizes = []
    for size in (4 * GIB, 64 * GIB, 500 * GIB):
        made = check(one_guest([samples.ram_mapping(GIB, 2 * GIB, size)], Region(GIB, 508 * GIB), 40))
        sizes.append(sum(t.size for t in made.tables if t.slots == 512 and not t.root))
    assert len(set(sizes)) == 1


@pytest.mark.parametrize("bits,level,slots", [(31, 1, 2), (36, 1, 64), (39, 1, 512), (40, 1, 1024), (43, 1, 8192),
                                              (44, 0, 32), (48, 0, 512)])
def test_start_of_stage2(bits: int, level: int, slots: int) -> None:
    assert tables.start_of_stage2(bits) == (level, slots)
    regime = walker.stage2(0, tables.vtcr(bits, 48))
    assert (regime.level, regime.entries, regime.bits) == (level, slots, bits)


@pytest.mark.parametrize("pa_bits,ps", [(32, 0), (36, 1), (40, 2), (42, 3), (44, 4), (48, 5), (52, 5)])
def test_ps(pa_bits: int, ps: int) -> None:
    assert tables.vtcr(40, pa_bits) >> 16 & 7 == ps
    assert tables.tcr_el2(40, pa_bits) >> 16 & 7 == ps


def test_registers_in_half_a_page_are_mapped_as_a_page() -> None:
    hw = samples.hardware()
    plan = samples.plan(hw, [samples.partition(hw, 0, "a", [0], [samples.ram_mapping(GIB, 4 * GIB, 2 * MIB)])])
    ranges = dict((r.base, r.size) for r, _ in tables.el2_devices(plan))
    assert ranges == {0x8000000: 0x10000, 0x80a0000: 0xf60000, 0x9000000: 0x1000}


def random_plan(seed: int) -> Plan:
    """Partitions with random pieces of RAM and devices at random, page-aligned places."""
    rnd = random.Random(seed)
    hw = samples.hardware(memory=(Region(GIB, 1 << rnd.choice((34, 37, 40, 43))),))
    free = hw.memory[0].base + 4 * MIB
    parts = []
    cores = list(range(4))
    for index in range(rnd.randint(1, 3)):
        ipa = rnd.choice((0, GIB, 0x8000_0000, 64 * GIB)) + rnd.randrange(8) * rnd.choice((PAGE, 2 * MIB))
        ram = []
        for _ in range(rnd.randint(1, 4)):
            unit = rnd.choice((PAGE, PAGE, 2 * MIB, GIB))
            size = unit * rnd.randint(1, 5 if unit == GIB else 700)
            if unit == GIB or rnd.random() < 0.7:           # or else 4 KiB pages by the hundred thousand
                step = rnd.choice((2 * MIB, GIB)) if unit == GIB else unit
                ipa, free = -(-ipa // step) * step, -(-free // step) * step
            if unit == 2 * MIB and (ipa - free) % unit:
                size = min(size, 20 * MIB)
            ram.append(samples.ram_mapping(ipa, free, size))
            ipa += size + rnd.choice((0, 0, PAGE, 2 * MIB))
            free += size + rnd.choice((0, 0, PAGE, 2 * MIB))
        mine = [cores.pop() for _ in range(1 if rnd.random() < 0.7 or len(cores) < 3 else 2)]
        part = samples.partition(hw, index, f"p{index}", mine, ram, rnd.random() < 0.5)
        devices = [Mapping(d, d, PAGE * rnd.choice((1, 1, 16, 512)), "device", f"/d{n}", samples.Span("s.yaml"))
                   for n, d in enumerate(0xff_0000_0000 + 0x1000_0000 * index + k * 16 * MIB + PAGE * rnd.randrange(9)
                                         for k in range(rnd.randint(0, 3)))]
        mappings = tuple(sorted([*part.mappings, *devices], key=lambda m: m.ipa))
        bits = max(31, (max(m.ipa + m.size for m in mappings) - 1).bit_length() + rnd.randrange(3))
        parts.append(samples.replace(part, mappings=mappings, ipa_bits=min(48, bits)))
    return samples.plan(hw, parts, pa_bits=48)


@pytest.mark.parametrize("seed", range(60))
def test_random_plans(seed: int) -> None:
    check(random_plan(seed))
