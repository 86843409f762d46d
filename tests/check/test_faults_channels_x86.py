# SPDX-License-Identifier: Apache-2.0
"""The same on x86, in images of both vendors: what differs are tables, lines and the DSDT."""
from __future__ import annotations

from typing import Any, Callable

import pytest

from conftest import Checker
from planter import U32, U64, Faults, structure
from planter_x86 import EPT_WB, EPT_X, NX, RW, PcImage

Channel = structure("Channel", ("name", U64), ("pa", U64), ("size", U64), ("loader", U32), ("yaml_line", U32))
Doorbell = structure("Doorbell", ("page", U64), ("intids", U64), ("intid_count", U32), ("channel", U32))
Number = structure("Number", ("value", U32))

TELEMETRY, ORDERS = range(2)
EPT_W = 2

Plant = Callable[[PcImage], None]
fault = FAULTS = Faults()


def channel(image: PcImage, index: int) -> Any:
    return image.view(Channel, image.layout.channels, index)


def doorbell(image: PcImage, part: str, index: int = 0) -> Any:
    return image.view(Doorbell, image.part(part).doorbells, index)


def ring(image: PcImage, part: str, bell: int = 0) -> Any:
    return image.view(Number, doorbell(image, part, bell).intids)


def seen(image: PcImage, index: int) -> int:
    return int(doorbell(image, "alpha", index).page) - 0x10000


def dsdt_replace(image: PcImage, part: str, old: bytes, new: bytes) -> None:
    """In the boot block; the byte sum of the table stays."""
    raw = image.part(part)
    for number in range(raw.image_count):
        blob = image.blob(part, number)
        data = image.bytes_at(blob.source, blob.size)
        if old in data:
            assert sum(old) == sum(new) and len(old) == len(new)
            image.put(blob.source, data.replace(old, new, 1))
            return
    raise KeyError(old)


@fault("channel-reached", says="partition beta, which reads channel telemetry, has 0x0 of it writable")
def a_reader_writes(image: PcImage) -> None:
    image.nested("beta").change(seen(image, TELEMETRY), set=EPT_W if image.vmx else RW)


@fault("channel-reached", says="partition alpha, which writes channel telemetry, has 0x3000 of it read-only")
def a_writer_cannot_write(image: PcImage) -> None:
    image.nested("alpha").change(seen(image, TELEMETRY) + 0x3000, clear=EPT_W if image.vmx else RW)


@fault("channel-reached", says="executable")
def executable(image: PcImage) -> None:
    if image.vmx:
        image.nested("beta").change(seen(image, ORDERS), set=EPT_X)
    else:
        image.nested("beta").change(seen(image, ORDERS), clear=NX)


@fault("channel-doorbell", "channel-reached", says="is mapped or another device's")
def the_page_is_mapped(image: PcImage) -> None:
    bits = EPT_WB | 3 if image.vmx else image.ram_bits | NX
    image.nested("alpha").map(doorbell(image, "alpha").page, channel(image, TELEMETRY).pa, bits)


@fault("channel-doorbell", "channel-apart", "channel-told", says="does not ring beta")
def rings_a_strangers_line(image: PcImage) -> None:
    ring(image, "alpha").value = 2 << 16 | 5


@fault("channel-apart", "channel-told", says="may be rung by lines")
def more_lines_than_channels(image: PcImage) -> None:
    image.part("alpha").bells |= 1 << 9


@fault("channel-apart", "channel-told", "acpi-interrupts", says="which are a device's or do not exist")
def a_line_of_a_device(image: PcImage) -> None:
    beta = image.part("beta")
    line = (beta.lines & -beta.lines).bit_length() - 1      # COM2's
    old = ring(image, "alpha").value & 0xffff
    ring(image, "alpha").value = 1 << 16 | line
    beta.bells = beta.bells & ~(1 << old) | 1 << line


@fault("channel-told", says="memory at")
def told_another_address(image: PcImage) -> None:
    at = seen(image, ORDERS)
    old = at.to_bytes(4, "little") + (0x2000).to_bytes(4, "little")
    new = (at - 0x10000).to_bytes(4, "little") + (0x2000 + 1).to_bytes(4, "little")
    dsdt_replace(image, "beta", old, new)


@fault("channel-told", says="notifies BK01, which is not of the channel that rings by it")
def notifies_anothers(image: PcImage) -> None:
    dsdt_replace(image, "alpha", b"\x70\x01RG00\x86BL00\x0a", b"\x70\x01RG00\x86BK01\x0a")


@fault("channel-told", says="notify a device, channels ring by")
def notifies_of_another_line(image: PcImage) -> None:
    line = b"_E%02X" % min(n for n in range(24) if image.part("alpha").bells >> n & 1)
    dsdt_replace(image, "alpha", line, b"_E" + line[:1:-1])         # its digits turned round


@fault("acpi-readable", says="a method does more than notify a device of an interrupt")
def a_method_with_an_argument(image: PcImage) -> None:
    dsdt_replace(image, "beta", b"\x00\xa0\x13\x92RG01", b"\x01\xa0\x13\x91RG01")


@fault("acpi-readable", says="a method does more than notify a device of an interrupt")
def a_method_with_two_flags(image: PcImage) -> None:
    dsdt_replace(image, "beta", b"\x92RG00\x70\x01RG00\x86BL00", b"\x92RG01\x70\x01RG00\x86BK00")


@fault("acpi-readable", says="a method does more than notify a device of an interrupt")
def a_state_that_changes(image: PcImage) -> None:
    dsdt_replace(image, "alpha", b"_PSR\x00\x70\x00RG00\xa4\x01", b"_PSR\x00\x70\x01RG00\xa4\x00")


@fault("loader-bounded", says="reaches")
def zeroed_by_another(image: PcImage) -> None:
    channel(image, TELEMETRY).loader = 1


def test_the_good_image_passes(pc_channels: Checker) -> None:
    pc_channels.passes(3)


@pytest.mark.parametrize("name, plant, broken, says", FAULTS, ids=[f[0] for f in FAULTS])
def test_fault(pc_channels: Checker, name: str, plant: Plant, broken: set[str], says: str) -> None:
    pc_channels.finds(plant, broken, says)
