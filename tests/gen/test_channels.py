# SPDX-License-Identifier: Apache-2.0
"""Channels from system.yaml to layout.c, devicetrees and what people are shown."""
from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from hvgen import channels, config, emit_channels, emit_c, fdt, guest_dtb, plan_json, report, show  # noqa: E402
from hvgen.diag import Refused  # noqa: E402
from hvgen.model import Plan, Region  # noqa: E402
from hvgen.place import overlap, pages  # noqa: E402

SYSTEM = """\
board: qemu-virt-arm64
partitions:
  alpha: {cpus: [0], memory: 1 GiB, image: {raw: guest.bin, offset: 0x80000}, console: vuart}
  beta: {cpus: [1], memory: 16 MiB, image: {raw: guest.bin, offset: 0x80000}, interrupts: direct, console: vuart, watchdog: 1 s}
  gamma: {cpus: [2], memory: 16 MiB, image: {raw: guest.bin, offset: 0x80000}}
  delta: {cpus: [3], memory: 16 MiB, image: {raw: guest.bin, offset: 0x80000}}
channels:
  telemetry: {size: 68 KiB, writer: alpha, readers: [beta, gamma], doorbell: true}
  orders: {size: 4 KiB, peers: [beta, alpha], doorbell: true}
  picture: {size: 4 MiB, writer: gamma, readers: [alpha]}
"""


def plan_of(folder: Path, text: str = SYSTEM) -> Plan:
    (folder / "system.yaml").write_text(text)
    (folder / "guest.bin").write_bytes(bytes(4096))
    (folder / "kconfig").write_text("CONFIG_CHANNELS=y\nCONFIG_WATCHDOG=y\n")
    return config.load(str(folder), str(folder), str(ROOT), str(folder / "kconfig")).plan


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return plan_of(tmp_path_factory.mktemp("channels"))


def test_members_and_roles(plan: Plan) -> None:
    said = {c.name: [(plan.partitions[e.partition].name, e.role) for e in c.ends] for c in plan.channels}
    assert said == {"telemetry": [("alpha", "writer"), ("beta", "reader"), ("gamma", "reader")],
                    "orders": [("beta", "peer"), ("alpha", "peer")], "picture": [("gamma", "writer"), ("alpha", "reader")]}


def test_memory_is_nobodys(plan: Plan) -> None:
    taken = [plan.hv, *(Region(m.pa, m.size) for p in plan.partitions for m in p.ram)]
    for channel in plan.channels:
        mine = Region(channel.pa, channel.size)
        assert not any(overlap(mine, other) for other in taken)
        assert any(bank.base <= mine.base and mine.end <= bank.end for bank in plan.hardware.memory)
        assert not any(overlap(mine, free) for free in plan.free)
        taken.append(mine)


def test_guest_addresses_are_nobodys(plan: Plan) -> None:
    """Not the board's, not in any guest's RAM, no watchdog's; each at 64 KiB, large ones as large pages."""
    taken = [*plan.hardware.memory, *(pages(r) for d in plan.hardware.devices for r in d.regs if r.size),
             *(Region(m.ipa, m.size) for p in plan.partitions for m in p.ram),
             *(Region(p.watchdog.ipa, 0x2000) for p in plan.partitions if p.watchdog)]
    for channel in plan.channels:
        for mine in (Region(channel.ipa, channel.size), Region(channel.doorbell, 0x1000 if channel.doorbell else 0)):
            assert not any(overlap(mine, other) for other in taken)
            assert mine.base % 0x10000 == 0
            taken.append(mine)
        if channel.size >= 2 << 20:
            assert channel.ipa % (2 << 20) == channel.pa % (2 << 20) == 0


def test_window_leaves_room_for_guests_elsewhere(tmp_path: Path) -> None:
    where = plan_of(tmp_path).channels[0].ipa
    moved = plan_of(tmp_path, SYSTEM.replace("memory: 16 MiB", f"memory: {{size: 16 MiB, guest: {where:#x}}}", 1))
    assert moved.channels[0].ipa >= where + (16 << 20)


def test_mappings(plan: Plan) -> None:
    seen = {(p.name, m.what): m.writable for p in plan.partitions for m in p.mappings if m.kind == "channel"}
    assert seen == {("alpha", "telemetry"): True, ("beta", "telemetry"): False, ("gamma", "telemetry"): False,
                    ("alpha", "orders"): True, ("beta", "orders"): True, ("gamma", "picture"): True, ("alpha", "picture"): False}


def test_doorbells_ring_the_right_ones(plan: Plan) -> None:
    own = {(plan.partitions[e.partition].name, c.name): e.intid for c in plan.channels for e in c.ends}
    rung = {(p.name, b.channel): set(b.intids) for p in plan.partitions for b in p.doorbells}
    assert rung == {("alpha", "telemetry"): {own["beta", "telemetry"], own["gamma", "telemetry"]},
                    ("beta", "telemetry"): {own["alpha", "telemetry"]}, ("gamma", "telemetry"): {own["alpha", "telemetry"]},
                    ("alpha", "orders"): {own["beta", "orders"]}, ("beta", "orders"): {own["alpha", "orders"]}}
    assert own["gamma", "picture"] == own["alpha", "picture"] == 0


def test_interrupts_are_spare_and_used_once(plan: Plan) -> None:
    used = {i.intid for d in plan.hardware.devices for i in d.interrupts}
    mine = [e.intid for c in plan.channels for e in c.ends if e.intid]
    others = [p.vuart.intid for p in plan.partitions if p.vuart and p.direct] + [p.watchdog.intid for p in plan.partitions if p.watchdog]
    assert len(set(mine) | set(others)) == len(mine) + len(others) and not set(mine) & used
    for channel in plan.channels:
        for end in channel.ends:
            assert end.intid == 0 or end.intid in plan.partitions[end.partition].spis


def test_layout(plan: Plan) -> None:
    text = "\n".join(emit_channels.arrays(plan))
    assert '.name = "telemetry"' in text and f".size = {68 << 10:#x}" in text
    assert "doorbells_alpha[] = {" in text and "doorbells_delta" not in text and "rings_gamma_picture" not in text
    rows = [(row.path, row.owner) for row in emit_c.device_rows(plan) if row.path.startswith("channel")]
    assert rows == [("channel telemetry", 0), ("channel orders", None), ("channel picture", 2)]


def test_devicetree(plan: Plan) -> None:
    board = fdt.parse(plan.hardware.dtb)
    trees = {p.name: fdt.parse(guest_dtb.guest_dtb(plan, p, board).data) for p in plan.partitions}
    found = {name: {n.strings("bulkhead,channel")[0]: n.strings("bulkhead,role")[0] for n in tree.nodes.values()
                    if "bulkhead,channel" in n.strings("compatible")} for name, tree in trees.items()}
    assert found == {"alpha": {"telemetry": "writer", "orders": "peer", "picture": "reader"},
                     "beta": {"telemetry": "reader", "orders": "peer"}, "gamma": {"telemetry": "reader", "picture": "writer"}, "delta": {}}
    keys = [n for n in trees["alpha"].nodes.values() if "gpio-keys" in n.strings("compatible")]
    assert sorted(n.strings("label")[0] for n in keys) == ["channel orders", "channel telemetry"]


def test_shown(plan: Plan) -> None:
    text = show.text(plan)
    assert "channel telemetry" in text and "writer alpha; readers beta, gamma" in text and "peers beta, alpha" in text
    said = json.loads(plan_json.text(plan))["channels"]
    assert [c["name"] for c in said] == ["telemetry", "orders", "picture"] and said[2]["doorbell"] is None
    assert "interrupt" in said[0]["ends"][0] and "interrupt" not in said[2]["ends"][0]
    page = report.html(plan)
    assert "<h2>Channels</h2>" in page and "writer alpha; readers beta, gamma" in page


def test_no_channels_no_change(tmp_path: Path) -> None:
    plain = plan_of(tmp_path, SYSTEM[:SYSTEM.index("channels:")])
    assert plain.channels == () and emit_channels.arrays(plain) == [] and emit_channels.counts(plain) == []
    assert all(not p.doorbells for p in plain.partitions)


def test_interrupts_run_out(tmp_path: Path) -> None:
    many = "".join(f"  c{n}: {{size: 4 KiB, peers: [alpha, beta, gamma, delta], doorbell: true}}\n" for n in range(16))
    with pytest.raises(Refused) as refused:
        plan_of(tmp_path, SYSTEM[:SYSTEM.index("channels:")] + "channels:\n" + many)
    found = refused.value.diagnostics[0]
    assert found.id == "IRQ-NONE-FREE" and "doorbell of channel 'c" in found.message


def test_memory_runs_out_in_pieces(tmp_path: Path) -> None:
    """All of it is there, but in no piece."""
    text = SYSTEM.replace("68 KiB", "1800 MiB").replace("4 MiB", "1100 MiB")
    with pytest.raises(Refused) as refused:
        plan_of(tmp_path, text)
    assert refused.value.diagnostics[0].id in ("MEM-NO-PLACE", "MEM-TOO-MUCH")


def test_at_most_so_many_tables(plan: Plan) -> None:
    assert channels.tables_needed(plan.system) >= 3 * sum(len(c.members) for c in plan.system.channels)
