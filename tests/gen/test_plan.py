# SPDX-License-Identifier: Apache-2.0
"""The planner: nothing overlaps, large blocks are kept, and the amount of RAM does not matter."""
from __future__ import annotations

import random
import time
from typing import Any

import fake
import pytest
from fake import GIB, MIB, board

from hvgen import plan as planner
from hvgen import place
from hvgen.diag import Refused
from hvgen.images import Image, Piece
from hvgen.model import (DeviceSpec, Hardware, ImageSpec, MemorySpec, Partition, Plan, Region, Span, System)

KIB = 1 << 10


def part(name: str, cpus: list[int], size: int, **rest: Any) -> Partition:
    memory = MemorySpec(size, **rest.pop("memory", {}), span=Span("s.yaml", 5, 3))
    image = rest.pop("image", ImageSpec("raw", f"{name}.bin", 0x80000))
    return Partition(name, tuple((c, Span("s.yaml", 4, 3)) for c in cpus), memory, image, **rest)


def system(*parts: Partition) -> System:
    return System("s.yaml", "test", "virt", Span("s.yaml", 1, 8), parts)


def images(sys: System, size: int = 4096) -> dict[str, Image]:
    return {p.name: Image("raw", (Piece("image", f"{p.name}.bin", size),)) for p in sys.partitions}


def make(hardware: Hardware, *parts: Partition) -> Plan:
    sys = system(*parts)
    result = planner.make(hardware, sys, images(sys))
    assert_sound(hardware, result)
    return result


def assert_sound(hardware: Hardware, plan: Plan) -> None:
    """Every byte of RAM has one owner, and all of it is there."""
    owned = [plan.hv, *plan.free] + [Region(m.pa, m.size) for p in plan.partitions for m in p.ram]
    owned += [place.pages(r) for r, _ in hardware.reserved]
    for n, one in enumerate(sorted(owned)):
        for other in sorted(owned)[n + 1:n + 2]:
            assert not place.overlap(one, other), (one, other)
    for region in [plan.hv] + [Region(m.pa, m.size) for p in plan.partitions for m in p.ram]:
        assert place.inside(region, place.merge(hardware.memory))
    for p in plan.partitions:
        assert sum(m.size for m in p.ram) == p.spec.memory.size
        spans = sorted(Region(m.ipa, m.size) for m in p.mappings)
        assert all(a.end <= b.base for a, b in zip(spans, spans[1:]))
        for blob in p.blobs:
            home = next(m for m in p.ram if m.pa <= blob.pa < m.pa + m.size)
            assert blob.pa % 16 == 0 and blob.pa + blob.size <= home.pa + home.size
            assert blob.pa - home.pa == blob.ipa - home.ipa


def test_two_partitions() -> None:
    plan = make(board(), part("a", [0, 1], 512 * MIB, console="vuart"), part("b", [2], 64 * MIB, console="vuart"))
    assert plan.hv.base == 0x40200000 and plan.text_offset == 0x200000
    assert plan.hv.size == 576 * KIB
    a, b = plan.partitions
    assert (a.ram[0].ipa, b.ram[0].ipa) == (GIB, GIB)
    assert (a.ram[0].pa - GIB) % (2 * MIB) == 0
    assert a.entry == 0x40080000 and a.dtb_ipa == 0x40000000
    assert a.vuart and (a.vuart.ipa, a.vuart.intid) == (0x9000000, 33)
    assert a.ppis == (23, 27, 30) and a.ipa_bits == 31 and plan.pa_bits == 32
    assert [c.redist for c in plan.cpus] == [0x80a0000, 0x80c0000, 0x80e0000]
    assert plan.console_cpu == 0


def test_direct_vuart_gets_an_unused_spi() -> None:
    plan = make(board(), part("a", [0], 64 * MIB, console="vuart", interrupts="direct"),
                part("b", [1], 64 * MIB, console="vuart", interrupts="direct"))
    assert [p.vuart.intid for p in plan.partitions if p.vuart] == [32, 35]
    assert [p.spis for p in plan.partitions] == [(32,), (35,)]
    assert plan.console_cpu is None and "console input" in plan.notes[0]


def test_console_core_is_the_first_virtual_one() -> None:
    plan = make(board(), part("a", [0], 64 * MIB, interrupts="direct"), part("b", [3], 64 * MIB))
    assert plan.console_cpu == 1 and plan.cpus[1].board_index == 3


def test_vcpu_order_is_as_written() -> None:
    plan = make(board(), part("a", [3, 1], 64 * MIB))
    assert [c.board_index for c in plan.cpus] == [1, 3]
    assert plan.partitions[0].cpus == (1, 0)


@pytest.mark.parametrize("ram", [1024 * GIB, 16 * 1024 * GIB])
def test_large_boards_are_planned_at_once(ram: int) -> None:
    start = time.monotonic()
    plan = make(board(ram), part("big", [0, 1], ram - 4 * GIB), part("small", [2], GIB))
    assert time.monotonic() - start < 0.2
    big = plan.partitions[0].ram
    assert len(big) == 1 and (big[0].pa - big[0].ipa) % GIB == 0
    assert plan.hv.size <= 2 * MIB


def test_dma_makes_memory_identical() -> None:
    plan = make(board(), part("a", [0], 128 * MIB, devices=(DeviceSpec("/virtio_mmio@a000000", "unprotected"),)))
    p = plan.partitions[0]
    assert p.dma_unprotected and p.ram[0].ipa == p.ram[0].pa and p.ram[0].pa % (2 * MIB) == 0
    assert p.spis == (48,) and "DMA" in plan.notes[0]
    assert [(m.ipa, m.size) for m in p.mappings if m.kind == "device"] == [(0xa000000, 4096)]


def test_devices_of_one_page_are_mapped_once() -> None:
    specs = tuple(DeviceSpec(f"/virtio_mmio@{0xa000000 + n * 0x200:x}", "unprotected") for n in range(9))
    plan = make(board(), part("a", [0], 128 * MIB, devices=specs))
    assert [m.ipa for m in plan.partitions[0].mappings if m.kind == "device"] == [0xa000000, 0xa001000]


def test_memory_may_come_in_pieces() -> None:
    banks = (Region(0, 1 * GIB), Region(8 * GIB, 1 * GIB))
    plan = make(board(memory=banks), part("a", [0], 1536 * MIB))
    ram = plan.partitions[0].ram
    assert sum(m.size for m in ram) == 1536 * MIB and {m.pa >= 8 * GIB for m in ram} == {True, False}


def test_reserved_memory_is_left_alone() -> None:
    keep = Region(0x40200000, 0x300000)
    plan = make(board(reserved=((keep, "firmware"),)), part("a", [0], 64 * MIB))
    assert plan.hv.base == 0x40600000


def test_fixed_memory_and_alignment() -> None:
    plan = make(board(), part("a", [0], 64 * MIB, memory=dict(physical=0x50000000, guest=0x80000000)),
                part("b", [1], 64 * MIB, memory=dict(alignment=256 * MIB)))
    a, b = (p.ram[0] for p in plan.partitions)
    assert (a.ipa, a.pa) == (0x80000000, 0x50000000)
    assert b.pa == 0x60000000 or b.pa % (256 * MIB) == 0


def test_too_much_memory_says_the_sum() -> None:
    with pytest.raises(Refused) as refused:
        make(board(), part("a", [0], GIB), part("b", [1], 64 * MIB))
    assert [d.id for d in refused.value.diagnostics] == ["MEM-TOO-MUCH"]
    assert "1088 MiB" in refused.value.diagnostics[0].message


def test_random_systems_are_sound() -> None:
    rng = random.Random(1)
    planned = 0
    for _ in range(300):
        banks = [Region(GIB * (1 + 4 * n), rng.randrange(64, 2048) * MIB) for n in range(rng.randint(1, 3))]
        keep = tuple((Region(b.base + rng.randrange(0, b.size, 4096), rng.randrange(1, 1 << 22)), "x")
                     for b in banks if rng.random() < 0.5)
        parts = [part(f"p{n}", [n], rng.choice([4096 * rng.randint(256, 9999), MIB * rng.randint(1, 300)]))
                 for n in range(rng.randint(1, 4))]
        try:
            make(board(memory=tuple(banks), reserved=keep), *parts)
            planned += 1
        except Refused:
            pass
    assert planned > 100


def test_identical_memory_in_pieces_is_in_order() -> None:
    banks = (Region(1 * GIB, 512 * MIB), Region(8 * GIB, 1 * GIB))
    disk = DeviceSpec("/virtio_mmio@a000000", "unprotected")
    ram = make(board(memory=banks), part("a", [0], 1280 * MIB, devices=(disk,))).partitions[0].ram
    assert [m.pa for m in ram] == sorted(m.pa for m in ram) and all(m.ipa == m.pa for m in ram) and len(ram) == 2


def test_warning_where_no_large_page_fits() -> None:
    plan = make(board(), part("a", [0], 128 * MIB, memory=dict(guest=0x80001000)))
    assert plan.partitions[0].ram[0].pa % (2 * MIB) == 0x1000 and plan.notes == ()
    plan = make(board(), part("a", [0], 128 * MIB, memory=dict(guest=0x80001000, physical=0x50000000)))
    assert "4 KiB pages" in plan.notes[0]
