# SPDX-License-Identifier: Apache-2.0
"""Limits of restarts, watchdogs and monitors: from system.yaml to plan, layout, devicetree and what `show` says."""
from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from hvgen import config, emit_health, guest_dtb, show  # noqa: E402
from hvgen.addresses import regs  # noqa: E402
from hvgen.fdt import parse  # noqa: E402
from hvgen.model import Plan, Region  # noqa: E402
from hvgen.place import overlap, pages  # noqa: E402

TEXT = """
board: qemu-virt-arm64
partitions:
  near:
    cpus: [1]
    memory: 16 MiB
    image: {raw: a.bin, offset: 0x80000}
    console: vuart
    watchdog: 100 ms
    on-fault: {restart: {times: 3, within: 10 s}, then: reset-board}
  far:
    cpus: [2, 3]
    memory: 16 MiB
    image: {raw: a.bin, offset: 0x80000}
    interrupts: direct
    watchdog: {timeout: 2.5 s, boot: 1000 s}
    on-fault: {restart: {times: 16, within: 1 ms}}
  shared:
    cpus: {pool: some, budget: 1 ms, period: 10 ms}
    memory: 16 MiB
    image: {raw: a.bin, offset: 0x80000}
    watchdog: 1 s
    monitor: false
  mon:
    cpus: [0]
    memory: 16 MiB
    image: {raw: a.bin, offset: 0x80000}
    interrupts: direct
    monitor: true
pools:
  some: {cpus: [5, 6]}
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("health")
    (folder / "system.yaml").write_text(TEXT)
    (folder / "defconfig").write_text("CONFIG_POOLS=y\nCONFIG_WATCHDOG=y\nCONFIG_MONITOR=y\n")
    (folder / "a.bin").write_bytes(bytes(64))
    return config.load(str(folder), str(folder), str(ROOT)).plan


def test_read(plan: Plan) -> None:
    near, far, shared, mon = (p.spec for p in plan.partitions)
    assert (near.on_fault, near.restart_limit, near.restart_window_ns, near.restart_then) == ("restart", 3, 10**10, "reset-board")
    assert (far.restart_limit, far.restart_window_ns, far.restart_then) == (16, 10**6, "stop")
    assert (near.watchdog_ns, near.watchdog_boot_ns) == (10**8, 10**8)
    assert (far.watchdog_ns, far.watchdog_boot_ns) == (2_500_000_000, 10**12)
    assert [p.monitor for p in (near, far, shared, mon)] == [False, False, False, True] and mon.watchdog_ns is None


def test_somebody_who_can_looks(plan: Plan) -> None:
    """Its own first core; where that is direct, the first that is not; in a pool, the pool's first."""
    looks = [p.watchdog and plan.cpus[p.watchdog.cpu].board_index for p in plan.partitions]
    assert looks == [1, 1, 5, None]


def test_interrupts_are_spare_and_apart(plan: Plan) -> None:
    intids = [p.watchdog.intid for p in plan.partitions if p.watchdog]
    taken = {i.intid for d in plan.hardware.devices for i in d.interrupts} | {p.vuart.intid for p in plan.partitions if p.vuart}
    assert len(set(intids)) == 3 and not taken & set(intids)
    assert all(p.watchdog.intid in p.spis for p in plan.partitions if p.watchdog)


def test_frames_lie_where_nothing_is(plan: Plan) -> None:
    taken = [pages(r) for d in plan.hardware.devices for r in d.regs if r.size] + list(plan.hardware.memory)
    for part in plan.partitions:
        if part.watchdog:
            frames = Region(part.watchdog.ipa, 0x2000)
            assert part.watchdog.ipa % 0x1000 == 0 and not any(overlap(frames, r) for r in taken)
            assert not any(overlap(frames, Region(m.ipa, m.size)) for m in part.mappings)


def test_layout(plan: Plan) -> None:
    near, far, _, mon = (dict(emit_health.fields(plan, p)) for p in plan.partitions)
    assert near["restart_then"] == "LAYOUT_FAULT_RESET_BOARD" and near["watchdog_ns"] == "100000000" and "trap_wfi" not in near
    assert far["trap_wfi"] == "1" and far["watchdog_cpu"] == near["watchdog_cpu"] and "monitor" not in far
    assert mon == {"monitor": "1"}                         # nobody watches the only monitor


def test_the_guest_finds_it(plan: Plan) -> None:
    """Binding watchdog/arm,sbsa-gwdt: control frame first."""
    for part, seconds in zip(plan.partitions, (None, 2, 1, None)):
        tree = parse(guest_dtb.guest_dtb(plan, part).data)
        found = [node for node in tree.nodes.values() if node.is_a("arm,sbsa-gwdt")]
        assert len(found) == (part.watchdog is not None)
        if part.watchdog:
            assert [r.base for r in regs(found[0])] == [part.watchdog.ipa + 0x1000, part.watchdog.ipa]
            assert found[0].cells("interrupts") == (0, part.watchdog.intid - 32, 1)
            assert found[0].cells("timeout-sec") == ((seconds,) if seconds else ())


def test_show(plan: Plan) -> None:
    said = show.text(plan, unicode=False)
    assert "on fault restart, 3 times in 10 s, then reset-board" in said
    assert re.search(r"8 KiB  watchdog of 2\.5 s \(at its start 1000 s\), INTID \d+, core 1 looks", said)
    assert re.search(r"mon: raw image.*, on fault stop, monitor", said)
    assert re.search(r"edge +shared +watchdog", said)
