# SPDX-License-Identifier: Apache-2.0
"""Faults in limits of restarts, watchdogs and monitors; each breaks exactly the properties that it names."""
from __future__ import annotations

from typing import Any, Callable

import pytest

from conftest import HERE, OUT, Checker, run
from planter import U32, U64, Faults, Image, structure

Write = structure("Write", ("address", U64), ("width", U32), ("value", U32))

Plant = Callable[[Image], None]
fault = FAULTS = Faults()


@fault("restart-limits", says="at most 4 restarts")
def one_restart_more(image: Image) -> None:
    image.part("alpha").restart_limit = 4


@fault("restart-limits", says="in 1000000000 ns")
def a_shorter_time(image: Image) -> None:
    image.part("alpha").restart_window_ns = 10**9


@fault("restart-limits", says="the hypervisor cannot do that")
def then_restart(image: Image) -> None:
    image.part("alpha").restart_then = 1


@fault("restart-limits", says="a limit of 17 restarts")
def more_than_there_is_room_for(image: Image) -> None:
    image.part("alpha").restart_limit = 17


@fault("monitors", says="partition alpha is a monitor")
def another_monitor(image: Image) -> None:
    image.part("alpha").monitor = 1


@fault("watchdogs-given", says="a watchdog of 4000000000 ns")
def a_longer_time(image: Image) -> None:
    image.part("alpha").watchdog_ns = 4 * 10**9


@fault("watchdogs-given", says="60000000000 ns")
def no_time_to_boot(image: Image) -> None:
    image.part("alpha").watchdog_boot_ns = 2 * 10**9


@fault("watchdogs-given", "interrupt-given", "tree-registers", says="no watchdog of 1000000000 ns")
def no_watchdog(image: Image) -> None:
    image.part("delta").watchdog_intid = 0


@fault("watchdog-frames", "tree-registers", says="meet its RAM")
def frames_in_ram(image: Image) -> None:
    image.part("beta").watchdog = image.memory("beta").ipa + 0x1000


@fault("watchdog-frames", "tree-registers", says="meet the distributor")
def frames_in_the_distributor(image: Image) -> None:
    image.part("beta").watchdog = image.layout.gic.dist + 0xf000


@fault("watchdog-frames", "tree-registers", says="meet no page")
def frames_beyond_the_address_space(image: Image) -> None:
    image.part("beta").watchdog = 1 << 50


@fault("watchdog-interrupt", "interrupt-given", says="does not own INTID")
def anothers_interrupt(image: Image) -> None:
    image.part("alpha").watchdog_intid = image.part("beta").watchdog_intid


@fault("watchdog-interrupt", "tree-interrupts", says="raised by a device of the board")
def a_devices_interrupt(image: Image) -> None:
    part = image.part("beta")
    old, new = part.watchdog_intid, 34
    part.spi[old // 32] &= ~(1 << old % 32)
    part.spi[new // 32] |= 1 << new % 32
    part.watchdog_intid = new


@fault("watchdog-watched", says="cannot look at its watchdog: it is direct")
def a_direct_core_looks(image: Image) -> None:
    image.part("beta").watchdog_cpu = 1


@fault("watchdog-watched", says="it is no core")
def a_slot_looks(image: Image) -> None:
    image.part("delta").watchdog_cpu = image.layout.cpu_count


@fault("wfi-trapped", says="partition beta is direct and may be stopped from outside, but its WFI does not trap")
def cannot_be_regained(image: Image) -> None:
    image.part("beta").trap_wfi = 0


@fault("wfi-trapped", says="partition alpha is virtual or never stopped from outside, but its WFI traps")
def traps_for_nothing(image: Image) -> None:
    image.part("alpha").trap_wfi = 1


def reset(image: Image, index: int) -> Any:
    return image.view(Write, image.part("beta").resets, index)


@fault("device-resets", says="write 1 that resets its devices is not board.yaml")
def another_value(image: Image) -> None:
    reset(image, 1).value = 1


@fault("device-resets", says="write 0 that resets")
def another_width(image: Image) -> None:
    reset(image, 0).width = 2


@fault("device-resets", "loader-bounded", says="a device for writing")
def anothers_register(image: Image) -> None:
    reset(image, 0).address = 0x9040000


@fault("device-resets", says="write 1 that resets")
def write_left_out(image: Image) -> None:
    image.part("beta").reset_count = 1


@fault("layout-readable", says="writes reset its devices")
def absurd_reset_count(image: Image) -> None:
    image.part("beta").reset_count = 1 << 20


@fault("layout-read-only", "layout-checksum", says="resets of devices")
def resets_in_writable_data(image: Image) -> None:
    part = image.part("beta")
    image.put(image.symbols["writable"], image.bytes_at(part.resets, 16 * part.reset_count))
    part.resets = image.symbols["writable"]


def test_the_good_image_passes(health: Checker) -> None:
    health.passes(4)


@pytest.mark.parametrize("name, plant, broken, says", FAULTS, ids=[f[0] for f in FAULTS])
def test_fault(health: Checker, name: str, plant: Plant, broken: set[str], says: str) -> None:
    health.finds(plant, broken, says)


def test_writes_that_the_board_does_not_name(health: Checker) -> None:
    board = OUT / "fewer-resets.yaml"
    text = (HERE / "board/board.yaml").read_text()
    assert ", {offset: 0x400, width: 1, value: 0}]" in text
    board.write_text(text.replace(", {offset: 0x400, width: 1, value: 0}]", "]"))
    verdict = health(health.good / "bulkhead.elf", "--board", board)
    assert set(verdict.rules) == {"device-resets"}, verdict.text
    assert "2 writes reset its devices, board.yaml has 1" in verdict.text


def test_every_property_has_a_fault(health: Checker) -> None:
    manual = run(health.program, "--manual").stdout
    chapter = manual.split("### Health\n")[1].split("###")[0]
    known = {line.split("**")[1] for line in chapter.splitlines() if line.startswith("- **") and "** (x86)" not in line}
    assert known <= set().union(*(broken for _, _, broken, _ in FAULTS))
