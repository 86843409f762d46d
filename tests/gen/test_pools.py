# SPDX-License-Identifier: Apache-2.0
"""Shared cores from system.yaml to layout.c."""
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from hvgen import config, emit_c, emit_pools, fdt, generate, guest_dtb, plan_json, report, schedule_view, show, system  # noqa: E402
from hvgen.model import Plan, PoolUse, Server, Window  # noqa: E402
from hvgen.system_pools import time_text  # noqa: E402

SYSTEM = """\
board: qemu-virt-arm64
partitions:
  alpha:
    cpus: {pool: shared, budget: 2 ms, period: 10 ms, vcpus: 2}
    memory: 16 MiB
    image: {raw: guest.bin, offset: 0x80000}
    console: vuart
  beta:
    cpus: {pool: shared, budget: 500 us, period: 1 ms, core: 1, extra-time: false}
    memory: 16 MiB
    image: {raw: guest.bin, offset: 0x80000}
  gamma:
    cpus: {pool: fixed, vcpus: 2}
    memory: 16 MiB
    image: {raw: guest.bin, offset: 0x80000}
  delta:
    cpus: {pool: wide, budget: 1.5 ms, period: 0.01 s}
    memory: 16 MiB
    image: {raw: guest.bin, offset: 0x80000}
  own:
    cpus: [6]
    memory: 16 MiB
    image: {raw: guest.bin, offset: 0x80000}

pools:
  shared: {cpus: [2, 1], extra-time: true}
  fixed:
    cpus: [3, 4]
    scheduler: arinc653
    frame: 10 ms
    windows:
      4: [{partition: gamma, vcpu: 1, start: 6 ms, length: 1 ms}, {partition: gamma, vcpu: 1, start: 0 ms, length: 2 ms}]
      3: [{partition: gamma, start: 0 ms, length: 5 ms}]
  wide: {cpus: [0, 5], placement: global}
"""
FEATURES = "CONFIG_POOLS=y\nCONFIG_ARINC653=y\n"


def load(folder: Path, text: str = SYSTEM, features: str = FEATURES) -> Plan:
    (folder / "system.yaml").write_text(text)
    (folder / "defconfig").write_text(features)
    (folder / "guest.bin").write_bytes(bytes(5000))
    return config.load(str(folder), str(folder), str(ROOT)).plan


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return load(tmp_path_factory.mktemp("pools"))


# ---------------------------------------------------------------- system.yaml

def test_read() -> None:
    found, wrong = system.parse(SYSTEM, "system.yaml")
    assert found is not None and not wrong
    shared, fixed, wide = found.pools
    assert [c for c, _ in shared.cpus] == [2, 1] and (shared.scheduler, shared.placement, shared.extra) == ("rtds", "partitioned", True)
    assert (wide.placement, wide.extra, wide.frame_ns) == ("global", False, 0)
    assert fixed.frame_ns == 10_000_000 and len(fixed.windows) == 3
    assert fixed.windows[0] == Window(4, "gamma", 1, 6_000_000, 1_000_000, fixed.windows[0].span)
    uses = [p.use for p in found.partitions]
    assert isinstance(uses[0], PoolUse) and (uses[0].budget_ns, uses[0].period_ns, uses[0].vcpus) == (2_000_000, 10_000_000, 2)
    assert uses[1] is not None and (uses[1].core_cpu, uses[1].core, uses[1].extra) == (1, 1, False)
    assert uses[3] is not None and (uses[3].budget_ns, uses[3].period_ns) == (1_500_000, 10_000_000)
    assert uses[4] is None and found.partitions[0].cpus == ()


@pytest.mark.parametrize("ns, said", [(0, "0"), (999, "999 ns"), (10_000, "10 us"), (1_500_000, "1.5 ms"), (1_234_567, "1234.567 us"),
                                      (10_000_000_000, "10 s"), (1_000_001, "1000.001 us")])
def test_time_text(ns: int, said: str) -> None:
    assert time_text(ns) == said


# ---------------------------------------------------------------- the plan

def test_cores_come_before_slots(plan: Plan) -> None:
    assert [c.board_index for c in plan.cpus] == [0, 1, 2, 3, 4, 5, 6]
    assert [(c.partition, c.pool, c.place) for c in plan.cpus] == [(-1, 3, 0), (-1, 1, 1), (-1, 1, 0), (-1, 2, 0), (-1, 2, 1),
                                                                   (-1, 3, 1), (4, 0, 0)]
    assert [(s.partition, s.vcpu, s.pool, s.place) for s in plan.slots] == [(0, 0, 1, 0), (0, 1, 1, 1), (1, 0, 1, 2), (2, 0, 2, 0),
                                                                            (2, 1, 2, 1), (3, 0, 3, 0)]
    assert [p.cpus for p in plan.partitions] == [(7, 8), (9,), (10, 11), (12,), (6,)]
    for number, slot in enumerate(plan.slots, len(plan.cpus)):
        server = plan.pools[slot.pool - 1].servers[slot.place]
        home = plan.cpus[plan.pools[slot.pool - 1].cpus[server.core or 0]]
        assert server.cpu == number and (slot.mpidr, slot.redist) == (home.mpidr, home.redist)


def test_servers(plan: Plan) -> None:
    shared, fixed, wide = plan.pools
    assert shared.cpus == (2, 1) and fixed.cpus == (3, 4) and wide.cpus == (0, 5)
    assert [s.extra for s in shared.servers] == [True, True, False]
    assert shared.servers[2] == Server(9, 1, 500_000, 1_000_000, False, 2_000)
    assert wide.servers == (Server(12, None, 1_500_000, 10_000_000, False, 2_000),)
    assert [(s.core, s.budget_ns, s.period_ns) for s in fixed.servers] == [(0, 5_000_000, 10_000_000), (1, 3_000_000, 10_000_000)]
    assert [(w.core, w.server, w.start_ns) for w in fixed.windows] == [(0, 0, 0), (1, 1, 0), (1, 1, 6_000_000)]


def test_shared_partitions_are_virtual_and_have_no_pmu(plan: Plan) -> None:
    assert not any(p.direct for p in plan.partitions)
    assert plan.partitions[0].ppis == (27, 30) and 23 in plan.partitions[4].ppis
    tree = fdt.parse(guest_dtb.guest_dtb(plan, plan.partitions[0]).data)
    assert [path for path in tree.nodes if path.startswith("/cpus/cpu@")] == ["/cpus/cpu@0", "/cpus/cpu@1"]
    assert "/pmu" not in tree.nodes


def test_console_is_taken_by_a_core_that_is_not_shared(plan: Plan) -> None:
    assert plan.console_cpu == 6


def test_console_on_a_shared_core_if_there_is_no_other(tmp_path: Path) -> None:
    direct = SYSTEM.replace("cpus: [6]\n", "cpus: [6]\n    interrupts: direct\n")
    assert load(tmp_path, direct).console_cpu == 0


def test_more_room_for_stacks(plan: Plan, tmp_path: Path) -> None:
    core = emit_c.Core((emit_c.Section(".text", 100, 4),), (emit_c.Section(".data", 8, 8),))
    assert emit_c.measure(plan, core).rw_pages == 2 * (len(plan.cpus) + len(plan.slots)) + 1


def test_feature_must_be_built_in(tmp_path: Path) -> None:
    with pytest.raises(config.Refused) as refused:
        load(tmp_path, features="CONFIG_POOLS=y\n")
    assert [d.id for d in refused.value.diagnostics] == ["KCONFIG-FEATURE"]
    assert "CONFIG_ARINC653" in refused.value.diagnostics[0].message


# ---------------------------------------------------------------- what comes out

def test_layout_compiles(plan: Plan, tmp_path: Path) -> None:
    source = tmp_path / "core.c"
    source.write_text("int text(void) { return 0; } int data = 1;\n")
    subprocess.run(["aarch64-linux-gnu-gcc", "-c", "-o", str(tmp_path / "core.o"), str(source)], check=True)
    for name, data in generate.contents(plan, str(tmp_path / "core.o"), str(tmp_path)).items():
        Path(name).write_bytes(data)
    text = (tmp_path / "layout.c").read_text()
    assert ".slot_count = 6," in text and ".pool_count = 3," in text and ".scheduler = LAYOUT_ARINC653," in text
    assert "slot 2: beta vcpu 0, on /cpus/cpu@1" in text and "slot 5: delta vcpu 0, on any core of pool wide" in text
    assert ".core = LAYOUT_ANY_CORE" in text and "of pool fixed: its idle stack" in text
    warn = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]
    for name in ("layout", "tables"):
        subprocess.run(["aarch64-linux-gnu-gcc", *warn, "-std=c11", "-ffreestanding", "-fno-pic", "-fno-pie", f"-I{ROOT}/src/include",
                        "-c", "-o", str(tmp_path / f"{name}.o"), str(tmp_path / f"{name}.c")], check=True)


def test_nothing_about_pools_without_pools(tmp_path: Path) -> None:
    alone = SYSTEM.split("pools:")[0].replace("{pool: shared, budget: 2 ms, period: 10 ms, vcpus: 2}", "[0, 1]")
    for number, use in enumerate(("{pool: shared, budget: 500 us, period: 1 ms, core: 1, extra-time: false}", "{pool: fixed, vcpus: 2}",
                                  "{pool: wide, budget: 1.5 ms, period: 0.01 s}"), 2):
        alone = alone.replace(use, f"[{number}]")
    plan = load(tmp_path, alone, "")
    assert emit_pools.arrays(plan) == [] and emit_pools.counts(plan) == [] and plan.slots == ()
    assert "pools" not in json.loads(plan_json.text(plan))
    assert schedule_view.text(plan).endswith("no cores are shared\n")


def test_plan_json(plan: Plan) -> None:
    made = json.loads(plan_json.text(plan))
    assert made["cpus"][1] == {"board_index": 1, "mpidr": "0x1", "redistributor": made["cpus"][1]["redistributor"], "pool": "shared"}
    shared, fixed, wide = made["pools"]
    assert shared["servers"][2] == {"partition": "beta", "vcpu": 0, "core": 1, "budget": 500_000, "period": 1_000_000,
                                    "extra_time": False}
    assert wide["servers"][0]["core"] is None and wide["placement"] == "global"
    assert fixed["windows"][1] == {"partition": "gamma", "vcpu": 1, "core": 4, "start": 0, "length": 2_000_000}
    assert made["partitions"][1]["pool"] == "shared" and made["partitions"][1]["cpus"] == [1]


def test_shown(plan: Plan) -> None:
    text = show.text(plan)
    assert "pool shared: alpha" in text and "pool shared: beta" in text and "pool wide: delta" in text
    page = report.html(plan)
    assert page.count("Time line of pool") == 3 and "beta on cpu 1: 0 to 500 us" in page


def test_schedule(plan: Plan) -> None:
    text = schedule_view.text(plan)
    assert "pool shared on cpu 2, 1: rtds, partitioned\n" in text
    assert "    beta  500 us of 1 ms  50 %  waits at most 1 ms\n" in text
    assert "pool fixed on cpu 3, 4: arinc653, a major frame of 10 ms\n" in text
    assert "  kept: there is a core for each vcpu\n" in text
    line = next(line for line in text.splitlines() if line.startswith("    gamma vcpu 1 |"))
    assert line.startswith("    gamma vcpu 1 |############") and line.count("#") + line.count("+") == 20
