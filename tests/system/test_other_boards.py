# SPDX-License-Identifier: Apache-2.0
"""Boards that are not QEMU's virt: a folder from board-from-dtb, two partitions, and both guests run."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest
from conftest import Builder
from machine import QEMU, REPO, Machine, qemu_version

sys.path.insert(0, str(REPO / "tests/gen"))

import corpus  # noqa: E402
from hvgen import newboard  # noqa: E402

SYSTEM = """board: {board}
partitions:
  first: {{cpus: [0], memory: 64 MiB, image: {{raw: guests/hello.bin, offset: 0x80000}}, console: vuart, interrupts: {first}}}
  second: {{cpus: [1], memory: 64 MiB, image: {{raw: guests/hello.bin, offset: 0x80000}}, console: vuart, interrupts: direct}}
"""


def both_tick(console: object) -> None:
    for name in ("first", "second"):
        console.expect(rf"^{name}\| (?:.*\n)*?.*tick", 30)  # type: ignore[attr-defined]


def test_versal(tmp_path: Path, build: Builder, machine: Callable[..., Machine]) -> None:
    """GICv3 with RAM at 0: the guest's devicetree must not lie there. QEMU names PSCI only when it starts an image."""
    dtb = tmp_path / "versal.dtb"
    arguments = ["-M", "xlnx-versal-virt", "-m", "2G"]
    subprocess.run([QEMU, "-M", f"xlnx-versal-virt,dumpdtb={dtb}", "-m", "2G", "-display", "none", "-monitor", "none", "-serial", "null"],
                   check=True, capture_output=True, timeout=30)
    board = Path(newboard.board_from_dtb(str(dtb), str(tmp_path / "versal")).folder)
    with open(board / "board.yaml", "a", encoding="utf-8") as out:
        out.write("psci: smc\n")
    image = build.text("versal", SYSTEM.format(board=board, first="virtual"))
    both_tick(machine([*arguments, "-kernel", str(image.bin)], limit=90))


def test_imx8mp_evk_with_the_vendors_devicetree(tmp_path: Path, build: Builder, machine: Callable[..., Machine]) -> None:
    """Debian's imx8mp-evk.dtb as it is. QEMU before 10.1 does not wire virtual interrupts there, so both are direct then."""
    folder = corpus.folder()
    if qemu_version() < (10, 0):
        pytest.skip("QEMU 10.0 or newer models this machine")
    if folder is None:
        pytest.skip("scripts/fetch has not run: there are no devicetrees")
    dtb = next(folder.rglob("imx8mp-evk.dtb"))
    board = newboard.board_from_dtb(str(dtb), str(tmp_path / "imx8mp-evk")).folder
    image = build.text("imx8mp-evk", SYSTEM.format(board=board, first="virtual" if qemu_version() >= (10, 1) else "direct"))
    started = machine(["-M", "imx8mp-evk", "-smp", "4", "-m", "6G", "-dtb", str(dtb), "-kernel", str(image.bin)], ports=2, limit=90)
    both_tick(started.ports[1])
