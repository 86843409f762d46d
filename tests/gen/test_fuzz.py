# SPDX-License-Identifier: Apache-2.0
"""Systems thrown together at random: each is refused with known rules or gets a sound plan; none crashes."""
from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from test_plan import assert_sound

from hvgen import config
from hvgen.diag import Refused
from hvgen.place import overlap
from hvgen.model import Plan, Region
from hvgen.rules import RULES

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "150"))
SIZES = ["4 KiB", "1 MiB", "3 MiB", "2100 KiB", "16 MiB", "40 MiB", "64 MiB", "1 GiB", "0 B", "9 B", "12", "4 TiB"]
ADDRESSES = ["0x40000000", "0x40200000", "0x42000000", "0x43000000", "0x47000000", "0x8000000", "0x9000000", "0xffffffff000",
             "0x41000800", "0", "18446744073709551615"]
DEVICES = ["gic", "timer", "console", "beside", "sp0", "sp1", "sp2", "sp3", "sp4", "off", "dma", "near", "engine", "smmu",
           "inram", "cpu0", "/psci", "nothing", "/", "serial@9000000"]
PC_DEVICES = ["com1", "com2", "com3", "com4", "com5", "low", "high", "near_uart", "near_timer", "near_reset", "near_dma", "gpio",
              "near_ioapic", "ioapic", "pit", "pmtimer", "rtc", "pci", "/fw-cfg@510", "/keyboard@60", "sleep", "cpu0", "nothing", "/"]
CPUS = ["0", "1", "2", "3", "4", "-1", "0x2", "x"]


def memory(rng: random.Random, least: int) -> str:
    if rng.random() < 0.5:
        return rng.choice(SIZES[least:7])
    keys = [f"size: {rng.choice(SIZES)}"]
    for key, pool in (("physical", ADDRESSES), ("guest", ADDRESSES), ("alignment", SIZES)):
        if rng.random() < 0.4:
            keys.append(f"{key}: {rng.choice(pool)}")
    return "{" + ", ".join(keys) + "}"


def device(rng: random.Random, devices: list[str]) -> str:
    name = rng.choice(devices)
    return f"{{device: {name}, dma: unprotected}}" if rng.random() < 0.3 else name


def system_yaml(rng: random.Random, boards: list[str], devices: list[str], least: int) -> str:
    text = f"board: {rng.choice(boards)}\npartitions:\n"
    calm = rng.random() < 0.5
    for n in range(rng.randint(1, 4)):
        cpus = [str(n)] if calm else rng.sample(CPUS, rng.randint(0, 3))
        text += (f"  p{n}:\n    cpus: [{', '.join(cpus)}]\n    memory: {memory(rng, least)}\n"
                 f"    image: {{raw: guest.bin, offset: {rng.choice(['0', '0x80000', '0x1000', '7'] if not calm else ['0'])}}}\n")
        if rng.random() < 0.5:
            text += f"    devices: [{', '.join(device(rng, devices) for _ in range(rng.randint(0, 2)))}]\n"
        text += "".join(f"    {line}\n" for line in ("console: vuart", "interrupts: direct", "on-fault: restart") if rng.random() < 0.4)
    return text


def assert_owned_once(plan: Plan) -> None:
    """No core, interrupt or device page has two owners, and none is the hypervisor's."""
    assert len({c.board_index for c in plan.cpus}) == len(plan.cpus)
    spis = [i for p in plan.partitions for i in p.spis]
    assert len(set(spis)) == len(spis)
    uart, gic = plan.hardware.uart, plan.hardware.gic
    if plan.hardware.pc:
        assert_ports_owned_once(plan)
        return
    assert uart is None or uart.intid not in spis
    assert gic is not None
    regions = [(p.index, Region(m.pa, m.size)) for p in plan.partitions for m in p.mappings
               if m.kind == "device" and m.what != gic.path]     # but GICV of a GICv2, which is made for guests
    for n, (owner, region) in enumerate(regions):
        assert not any(overlap(region, r) for r in gic.regions)
        assert uart is None or not overlap(region, uart.region)
        assert not any(overlap(region, other) for who, other in regions[:n] if who != owner)


def assert_ports_owned_once(plan: Plan) -> None:
    """The same for a PC; nobody has what is dangerous for all."""
    board, uart = plan.hardware.pc, plan.hardware.uart
    assert board and board.ioapic and uart
    lines = [line for p in plan.partitions for line in p.spis]
    assert not {uart.intid, board.ioapic.pit_line} & set(lines) and all(line < board.ioapic.lines for line in lines)
    kept = [uart.region, Region(board.pm_timer, 4), Region(0x40, 4), Region(0x64, 1), Region(0xcf8, 8)]
    kept += [Region(w.port, w.width) for w in (*board.off, *board.reset)]
    ports = [(p.index, r) for p in plan.partitions for r in p.ports]
    for n, (owner, region) in enumerate(ports):
        assert not any(overlap(region, k) for k in kept)
        assert not any(overlap(region, other) for who, other in ports[:n])
    for p in plan.partitions:
        assert not any(m.kind == "device" and overlap(Region(m.pa, m.size), board.ioapic.region) for m in p.mappings)
        assert p.vuart is None or not any(overlap(Region(p.vuart.ipa, 8), r) for r in p.ports)


BOARDS = {"arm64": (["../boards/odd", "../boards/odd", "../boards/v2", "qemu-virt-arm64"], DEVICES, 1),
          "x86": (["../boards/pc-odd", "../boards/pc-odd", "qemu-q35"], PC_DEVICES, 4)}


@pytest.mark.parametrize("arch", BOARDS)
def test_random_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arch: str) -> None:
    monkeypatch.chdir(ROOT)
    rng = random.Random(int(os.environ.get("FUZZ_SEED", "7")))
    os.symlink(ROOT / "tests/reject/boards", tmp_path / "boards")
    folder = tmp_path / "case"
    folder.mkdir()
    (folder / "guest.bin").write_bytes(bytes(100))
    planned, shown = 0, set()
    for _ in range(ROUNDS):
        (folder / "system.yaml").write_text(system_yaml(rng, *BOARDS[arch]))
        try:
            plan = config.load(str(folder), str(tmp_path / "out"), str(ROOT)).plan
        except Refused as refused:
            assert refused.diagnostics and all(d.id in RULES for d in refused.diagnostics)
            shown |= {d.id for d in refused.diagnostics}
        else:
            planned += 1
            assert_sound(plan.hardware, plan)
            assert_owned_once(plan)
    assert planned > ROUNDS // 20 and len(shown) > 20
