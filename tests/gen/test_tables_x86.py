# SPDX-License-Identifier: Apache-2.0
"""The x86 tables say what the plan says: NPT, EPT, the host's map and the loaders', walked as the processor walks."""
from __future__ import annotations

import random
from typing import Literal

import pytest
import samples_x86 as samples
import walker
from hvgen import tables, tables_x86
from hvgen.model import Mapping, Plan, Region, Span
from samples import GIB, KIB, MIB
from test_tables import Memory
from walker import Page

TIB = 1 << 40
PAGE = 4 * KIB
TABLES_AT = 0xe_0000_0000
SIZES = tables.Sizes(text_pages=5, rw_pages=17)
VENDORS: tuple[Literal["svm", "vmx"], ...] = ("svm", "vmx")
HOST_RW = dict(write=True, execute=False, user=False, uncached=False)


def page(va: int, pa: int, size: int, write: bool, execute: bool, user: bool, uncached: bool) -> Page:
    return Page(va, pa, size, write, execute, user, uncached, 0)


def expected_nested(plan: Plan, index: int) -> list[Page]:
    return walker.x86_merged(page(m.ipa, m.pa, m.size, True, m.kind == "ram", True, m.kind != "ram")
                             for m in plan.partitions[index].mappings)


def expected_host(plan: Plan) -> list[Page]:
    base = plan.hv.base
    rw = base + SIZES.text_pages * PAGE
    ro = rw + SIZES.rw_pages * PAGE
    data = rw + 2 * PAGE * len(plan.cpus)
    out = [page(base, base, rw - base, False, True, False, False), page(ro, ro, plan.hv.end - ro, False, False, False, False),
           page(data, data, ro - data, **HOST_RW), page(plan.trampoline, plan.trampoline, PAGE, False, True, False, False),
           page(0xfec00000, 0xfec00000, PAGE, True, False, False, True)]
    out += [page(a, a, PAGE, **HOST_RW) for a in (rw + 2 * PAGE * i + PAGE for i in range(len(plan.cpus)))]
    return out


def check(plan: Plan) -> tables.Tables:
    """All that is mapped is in the plan, all that is in the plan is mapped; in every tree."""
    made = tables_x86.make_tables(plan, SIZES)
    memory = Memory(made, TABLES_AT)
    assert len({t.name for t in made.tables}) == len(made.tables)
    assert all(t.slots == 512 and not t.writable for t in made.tables)
    vmx = plan.vmm == "vmx"
    for index in range(len(plan.partitions)):
        nested = made.stage2[index]
        assert nested.bits == (0x1e if vmx else 0)     # EPTP: write-back, four levels, no accessed and dirty flags
        found = walker.x86_pages(memory.at[nested.root], memory.read, vmx, plan.pa_bits)
        assert walker.x86_merged(found) == expected_nested(plan, index)
    main = expected_host(plan)
    host = walker.x86_pages(memory.at[made.el2_root], memory.read, False, plan.pa_bits)
    assert walker.x86_merged(host) == walker.x86_merged(main)
    for part, root in zip(plan.partitions, made.loader_roots):
        ram = [page(m.pa, m.pa, m.size, **HOST_RW) for m in part.ram]
        loader = walker.x86_pages(memory.at[root], memory.read, False, plan.pa_bits)
        assert walker.x86_merged(loader) == walker.x86_merged([*main, *ram])
    return made


@pytest.mark.parametrize("vmm", VENDORS)
def test_two_partitions(vmm: Literal["svm", "vmx"]) -> None:
    made = check(samples.two_partitions(vmm))
    kind = "ept" if vmm == "vmx" else "npt"
    assert {t.name for t in made.tables if t.root} == {
        f"{kind}_linux_root", f"{kind}_hello_root", "host_root", "host_loader_linux", "host_loader_hello"}


@pytest.mark.parametrize("vmm", VENDORS)
def test_entries_as_the_manuals_write_them(vmm: Literal["svm", "vmx"]) -> None:
    """One entry of each kind, spelled out."""
    plan = samples.two_partitions(vmm)
    made = tables_x86.make_tables(plan, SIZES)
    memory = Memory(made, TABLES_AT)

    def leaf(root: str, address: int, extended: bool = False) -> int:
        found = walker.x86_walk(memory.at[root], address, memory.read, extended)
        assert found
        return found.leaf

    linux, hello = (nested.root for nested in made.stage2)
    ram, large, device = (0x37, 0xb7, 0x3) if vmm == "vmx" else (0x67, 0xe7, 1 << 63 | 0x7f)
    assert leaf(linux, 0, vmm == "vmx") == 64 * MIB | large
    assert leaf(linux, 4 * GIB + 2 * MIB, vmm == "vmx") == 5 * GIB + 2 * MIB | ram
    assert leaf(hello, 0xfd000000, vmm == "vmx") == 0xfd000000 | device
    rw = plan.hv.base + SIZES.text_pages * PAGE
    assert leaf("host_root", plan.hv.base) == plan.hv.base | 0x61
    assert leaf("host_root", rw + PAGE) == rw + PAGE | 0x63 | 1 << 63
    assert leaf("host_root", plan.hv.end - PAGE) == plan.hv.end - PAGE | 0x61 | 1 << 63
    assert leaf("host_root", 0xfec00000) == 0xfec00000 | 0x7b | 1 << 63
    assert leaf("host_root", 0x8000) == 0x8061
    assert leaf("host_loader_hello", 32 * MIB) == 32 * MIB | 0xe3 | 1 << 63


@pytest.mark.parametrize("vmm", VENDORS)
def test_what_guests_must_not_reach_faults(vmm: Literal["svm", "vmx"]) -> None:
    plan = samples.two_partitions(vmm)
    made = tables_x86.make_tables(plan, SIZES)
    memory = Memory(made, TABLES_AT)
    for part, nested in zip(plan.partitions, made.stage2):
        def at(address: int) -> Page | None:
            return walker.x86_walk(memory.at[nested.root], address, memory.read, vmm == "vmx")

        for address in (0xfec00000, 0xfee00000, 0xfed00000, part.ram[0].size, 4 * GIB - 1, 8 * GIB, 1 << 46):
            assert at(address) is None, hex(address)
        for m in part.mappings:
            first, last = at(m.ipa), at(m.ipa + m.size - 1)
            assert first and last and first.pa + (m.ipa - first.va) == m.pa
            assert last.pa + (m.ipa + m.size - 1 - last.va) == m.pa + m.size - 1
            assert at(m.ipa + m.size) is None


@pytest.mark.parametrize("vmm", VENDORS)
def test_the_host_is_never_writable_and_executable(vmm: Literal["svm", "vmx"]) -> None:
    plan = samples.two_partitions(vmm)
    made = tables_x86.make_tables(plan, SIZES)
    memory = Memory(made, TABLES_AT)
    text = {plan.trampoline, *range(plan.hv.base, plan.hv.base + SIZES.text_pages * PAGE, PAGE)}
    for root in (made.el2_root, *made.loader_roots):
        executable = set()
        for found in walker.x86_pages(memory.at[root], memory.read):
            assert not (found.write and found.execute) and not found.user and found.va == found.pa
            if found.execute:
                executable.add(found.va)
        assert executable == text


def test_stack_guards_are_not_mapped_and_cores_have_their_pages() -> None:
    plan = samples.two_partitions()
    made = tables_x86.make_tables(plan, SIZES)
    memory = Memory(made, TABLES_AT)
    rw = plan.hv.base + SIZES.text_pages * PAGE
    for root in (made.el2_root, *made.loader_roots):
        for i in range(len(plan.cpus)):
            assert walker.x86_walk(memory.at[root], rw + 2 * PAGE * i, memory.read) is None
            stack = walker.x86_walk(memory.at[root], rw + 2 * PAGE * i + PAGE, memory.read)
            assert stack and stack.size == PAGE and stack.write
    notes = [e.note for t in made.tables for e in t.entries]
    for i in range(len(plan.cpus)):
        place = rw + 2 * PAGE * (len(plan.cpus) + i)
        assert any(f"va {place:#x} " in n and n.endswith(f"VMCB of CPU {i}") for n in notes)
        assert any(f"va {place + PAGE:#x} " in n and n.endswith(f"host save area of CPU {i}") for n in notes)


def test_a_uart_in_memory_is_mapped_and_one_with_ports_is_not() -> None:
    plan = samples.one_partition()
    assert [what for _, what in tables_x86.host_devices(plan)] == ["I/O APIC"]
    uart = plan.hardware.uart
    assert uart
    moved = samples.replace(plan.hardware, uart=samples.replace(uart, region=Region(0xfe032000, 0x20), width=4))
    devices = tables_x86.host_devices(samples.replace(plan, hardware=moved))
    assert devices == [(Region(0xfe032000, 0x1000), "console"), (Region(0xfec00000, 0x1000), "I/O APIC")]


def test_equal_tables_are_one() -> None:
    made = check(samples.two_partitions())
    contents = [tuple((e.index, e.value, e.table) for e in t.entries) for t in made.tables if not t.root]
    assert len(set(contents)) == len(contents)
    assert not [t for t in made.tables if t.name.startswith("host_loader") and t.name.endswith(("_l3_0", "_l3_1000000", "_l3_fec00000"))]


@pytest.mark.parametrize("vmm", VENDORS)
def test_one_tebibyte(vmm: Literal["svm", "vmx"]) -> None:
    hw = samples.hardware([Region(0, 0xa0000), Region(MIB, 2 * GIB - MIB), Region(TIB, TIB)])
    ram = [samples.ram_mapping(0, TIB, 2 * GIB), samples.ram_mapping(4 * GIB, TIB + 2 * GIB, 1020 * GIB)]
    plan = samples.plan(hw, [samples.partition(hw, 0, "big", [0], ram, vuart=True)], vmm)
    made = check(plan)
    nested = [t for t in made.tables if t.name.startswith(("npt", "ept"))]
    assert len(nested) == 3                # the root, and one for each 512 GiB: all in 1 GiB pages


def test_tables_do_not_grow_with_memory() -> None:
    counts = set()
    for size in (4 * GIB, 64 * GIB, 500 * GIB):
        hw = samples.hardware([Region(0, 0xa0000), Region(MIB, 2 * GIB - MIB), Region(4 * GIB, 504 * GIB)])
        ram = [samples.ram_mapping(0, 4 * GIB, 2 * GIB), samples.ram_mapping(4 * GIB, 6 * GIB, size)]
        made = check(samples.plan(hw, [samples.partition(hw, 0, "big", [0], ram)]))
        counts.add(len(made.tables))
    assert len(counts) <= 2                # one more where the guest's memory passes 512 GiB


def test_memory_out_of_reach() -> None:
    hw = samples.hardware([Region(0, 0xa0000), Region(MIB, 2 * GIB - MIB), Region(1 << 47, GIB)])
    plan = samples.plan(hw, [samples.partition(hw, 0, "far", [0], [samples.ram_mapping(0, 1 << 47, GIB)])])
    with pytest.raises(ValueError, match="128 TiB"):
        tables_x86.make_tables(plan, SIZES)


def random_plan(seed: int) -> Plan:
    """Partitions with pieces of RAM of all sizes, a device now and then."""
    rnd = random.Random(seed)
    hw = samples.hardware([Region(0, 0xa0000), Region(MIB, 2 * GIB - MIB), Region(4 * GIB, TIB)])
    free = 4 * GIB
    parts, cores = [], list(range(4))
    for index in range(rnd.randint(1, 3)):
        ipa, ram = 0, []
        for _ in range(rnd.randint(1, 4)):
            unit = rnd.choice((PAGE, PAGE, 2 * MIB, GIB))
            size = unit * rnd.randint(1, 5 if unit == GIB else 700)
            if unit == GIB or rnd.random() < 0.7:          # or else 4 KiB pages by the hundred thousand
                ipa, free = -(-ipa // unit) * unit, -(-free // unit) * unit
            elif (ipa - free) % unit:
                size = min(size, 20 * MIB)
            ram.append(samples.ram_mapping(ipa, free, size))
            ipa += size + rnd.choice((0, 0, PAGE, 2 * MIB))
            free += size + rnd.choice((0, 0, PAGE, 2 * MIB))
        mine = [cores.pop() for _ in range(1 if rnd.random() < 0.7 or len(cores) < 3 else 2)]
        part = samples.partition(hw, index, f"p{index}", mine, ram, vuart=rnd.random() < 0.5)
        devices = [Mapping(d, d, PAGE * rnd.choice((1, 1, 16, 512)), "device", f"/d{n}", Span("s.yaml"))
                   for n, d in enumerate((0x2000 + 0x10 * index + k) * GIB + PAGE * rnd.randrange(9)
                                         for k in range(rnd.randint(0, 3)))]
        parts.append(samples.replace(part, mappings=tuple(sorted([*part.mappings, *devices], key=lambda m: m.ipa))))
    return samples.replace(samples.plan(hw, parts, rnd.choice(VENDORS)), pa_bits=48)


@pytest.mark.parametrize("seed", range(40))
def test_random_plans(seed: int) -> None:
    check(random_plan(seed))
