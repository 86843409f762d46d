# SPDX-License-Identifier: Apache-2.0
"""x86 boards: what UEFI keeps of the RAM is reserved in board.yaml. (tests/gen does the same with SeaBIOS, which is faster.)"""
from __future__ import annotations

import re
import sys

import pytest

from conftest import long
from firmware import fat_disk
from machine import REPO, board_arguments

sys.path.insert(0, str(REPO / "scripts"))

from hvgen import hardware, place  # noqa: E402
from hvgen.model import Region  # noqa: E402

OVMF = "/usr/share/OVMF/OVMF_CODE.fd"

HV_LEAST = 16 << 20                        # it is linked for this address or a higher one

# What firmware and its boot services leave to whom they have started (UEFI 2.10 7.2.1, table 7.6).
FREE = ("Available", "BS_Code", "BS_Data", "LoaderCode", "LoaderData")


@pytest.mark.parametrize("board, cores", [("qemu-q35", "4"), long("qemu-q35", "8"), long("qemu-q35-1t", "4")])
def test_what_uefi_keeps_is_reserved(machine, tmp_path, board, cores):
    script = tmp_path / "startup.nsh"
    script.write_text("memmap\necho map-ends\n")
    disk = fat_disk(tmp_path / "boot.img", {"startup.nsh": script})
    one = machine(board_arguments(board, smp=cores) + ["-bios", OVMF, "-drive", f"if=none,id=boot,format=raw,file={disk}",
                                                       "-device", "ide-hd,drive=boot,bus=ide.0"])
    one.expect(r"^map-ends", 120)
    lines = re.findall(r"^(\w+) +([0-9A-F]{16})-([0-9A-F]{16}) ", one.text, re.M)
    assert len(lines) > 50
    found = [(kind, Region(int(first, 16), int(last, 16) + 1 - int(first, 16))) for kind, first, last in lines]
    hw = hardware.load_board(board, str(REPO))
    kept = [region for region, _ in hw.reserved]
    ours = place.subtract(hw.memory, kept)
    for kind, region in found:
        if kind not in FREE:
            assert not any(place.overlap(region, piece) for piece in ours), f"{kind} at {region.base:#x}-{region.end - 1:#x}"
    free = place.merge(region for kind, region in found if kind in FREE)
    assert all(place.inside(piece, free) for piece in ours)
    low = next(max(piece.base, HV_LEAST) for piece in ours if piece.end > HV_LEAST)   # where the hypervisor goes
    available = place.merge(region for kind, region in found if kind == "Available")
    assert place.inside(Region(low, 16 << 20), available), f"{low:#x} is in use while UEFI still runs"
