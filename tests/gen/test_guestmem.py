# SPDX-License-Identifier: Apache-2.0
"""Where the devicetree lies in a guest's memory."""
from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from hvgen import guestmem  # noqa: E402
from hvgen.images import Image, Piece  # noqa: E402
from hvgen.model import ImageSpec, Region  # noqa: E402

KIB, MIB = 1 << 10, 1 << 20


def lay_out(kind: str, base: int, offset: int = 0) -> guestmem.Layout:
    piece = Piece("image", "guest.bin", 4 * KIB, address=base + offset)
    image = Image(kind, (piece,), entry=base + offset, memory_size=1 * MIB)
    return guestmem.lay_out(ImageSpec(kind, "guest.bin", offset), image, Region(base, 64 * MIB))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["raw", "elf", "linux"])
def test_at_the_start_of_memory_where_there_is_room(kind: str) -> None:
    assert lay_out(kind, 0x40000000, 0x80000).dtb == 0x40000000


@pytest.mark.parametrize("kind", ["raw", "elf", "linux"])
@pytest.mark.parametrize("offset", [0, 64 * KIB, 0x80000])
def test_never_at_address_zero(kind: str, offset: int) -> None:
    """Linux takes x0 = 0 for "there is no devicetree", and C programs for a null pointer."""
    layout = lay_out(kind, 0, offset)
    assert layout.dtb != 0
    place, size = layout.pieces[0][1], 4 * KIB
    assert layout.dtb + guestmem.DTB_ROOM <= place or layout.dtb >= place + size


def test_behind_an_image_that_begins_too_early() -> None:
    assert lay_out("raw", 0x40000000, 0x1000).dtb == 0x40010000
