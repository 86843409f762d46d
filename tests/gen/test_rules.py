# SPDX-License-Identifier: Apache-2.0
"""Rules that need a stranger board than tests/reject has, with their exact messages."""
from __future__ import annotations

from dataclasses import replace

import pytest
from fake import GIB, MIB, board, device
from test_plan import images, part, system

from hvgen import rules
from hvgen import plan as planner
from hvgen.diag import Diagnostic, Refused, nearest, render, size_text
from hvgen.model import DeviceSpec, Gic, Hardware, Partition, Region


def refused(hardware: Hardware, *parts: Partition) -> list[str]:
    """What is said, rules first, placement if they pass."""
    described = system(*parts)
    found: list[Diagnostic] = rules.check(hardware, described, images(described))
    if not found:
        with pytest.raises(Refused) as error:
            planner.make(hardware, described, images(described))
        found = list(error.value.diagnostics)
    return [render(d) for d in found]


def test_cpu_limit() -> None:
    gic = board().gic
    assert isinstance(gic, Gic)
    hardware = board(cpus=70, gic=replace(gic, redists=(Region(0x80a0000, 0x20000 * 70),)))
    assert refused(hardware, part("a", list(range(40)), 64 * MIB), part("b", list(range(40, 66)), 64 * MIB)) == [
        "s.yaml:4:3: error[CPU-LIMIT]: this is the 65th core, a layout holds 64\n  fix: use fewer cores"]


def test_partition_limit() -> None:
    gic = board().gic
    assert isinstance(gic, Gic)
    hardware = board(cpus=9, gic=replace(gic, redists=(Region(0x80a0000, 0x20000 * 9),)))
    parts = [part(f"p{n}", [n], 16 * MIB) for n in range(9)]
    assert [line.partition(": ")[2] for line in refused(hardware, *parts)] == [
        "error[PART-LIMIT]: this is partition 9, a layout holds 8\n  fix: put the work of two into one"]


def test_hv_no_room() -> None:
    keep = tuple((Region(GIB + n * MIB, MIB - (MIB >> 3)), "firmware") for n in range(1024))
    assert refused(board(reserved=keep), part("a", [0], MIB)) == [
        "s.yaml:1:8: error[HV-NO-ROOM]: the hypervisor and its guests' images need 256 KiB in one piece at a multiple of "
        "2 MiB, the largest free range of board 'virt' has 128 KiB\n  fix: smaller images, or fewer reserved ranges in the board folder"]


def test_irq_none_free() -> None:
    hog = device("/hog", [(0xb000000, 0x1000)], [i for i in range(32, 1020) if i != 33], "arm,pl061")
    hardware = board(devices=(*board().devices, hog))
    assert refused(hardware, part("a", [0], 64 * MIB, interrupts="direct", console="vuart")) == [
        ": error[IRQ-NONE-FREE]: no interrupt of board 'virt' is free for the virtual UART of partition 'a'\n"
        "  fix: leave out its 'console: vuart'"]


def test_a_device_of_another_page_is_no_matter() -> None:
    hardware = board()
    specs = (DeviceSpec("rtc"), DeviceSpec("gpio"))
    described = system(part("a", [0], 64 * MIB, devices=specs[:1]), part("b", [1], 64 * MIB, devices=specs[1:]))
    assert rules.check(hardware, described, images(described)) == []


def test_one_report_for_one_device_and_reason() -> None:
    texts = refused(board(), part("a", [0], 64 * MIB, devices=(DeviceSpec("/intc@8000000"),)))
    assert len(texts) == 1 and "error[DEV-GIC]" in texts[0]


def test_every_check_is_run() -> None:
    names = {name for name, value in vars(rules).items()
             if name.startswith(("cpu_", "mem_", "dev_", "irq_", "img_", "part_")) and callable(value)}
    assert names == {check.__name__ for check in rules.CHECKS}


def test_words() -> None:
    assert nearest("consoel", ("console", "cpus")) == "console"
    assert nearest("xyz", ("console", "cpus")) is None
    assert [size_text(n) for n in (0, 1, 4096, 5000, 3 << 19, 1 << 40, (1 << 40) + 1, 16 << 40, 10240001)] == [
        "0 bytes", "1 bytes", "4 KiB", "5000 bytes", "1536 KiB", "1 TiB", "1024.0 GiB", "16 TiB", "9.8 MiB"]
