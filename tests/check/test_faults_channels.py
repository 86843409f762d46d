# SPDX-License-Identifier: Apache-2.0
"""Faults in channels and doorbells; each breaks exactly the properties that it names."""
from __future__ import annotations

from typing import Any, Callable

import pytest

from conftest import Checker, in_chapters, run
from planter import RO, U32, U64, XN, Faults, Image, structure

Channel = structure("Channel", ("name", U64), ("pa", U64), ("size", U64), ("loader", U32), ("yaml_line", U32))
Doorbell = structure("Doorbell", ("page", U64), ("intids", U64), ("intid_count", U32), ("channel", U32))
Number = structure("Number", ("value", U32))

TELEMETRY, ORDERS, PICTURE = range(3)
S2_SHARED = 5 << 2 | 3 << 6 | 3 << 8 | 1 << 10 | XN     # normal, not cached, read and write
S2_WRITE = 1 << 7
PICTURE_SEEN = 0x60200000                               # behind the others, at a multiple of its size
CACHED = 0xa << 2                                       # of MemAttr 5, makes 15

Plant = Callable[[Image], None]
fault = FAULTS = Faults()


def channel(image: Image, index: int) -> Any:
    return image.view(Channel, image.layout.channels, index)


def doorbell(image: Image, part: str, index: int = 0) -> Any:
    return image.view(Doorbell, image.part(part).doorbells, index)


def ring(image: Image, part: str, index: int = 0, bell: int = 0) -> Any:
    return image.view(Number, doorbell(image, part, bell).intids, index)


def seen(image: Image, index: int) -> int:
    """The guest address of a channel with a doorbell in the fixture: its page follows the memory at the next 64 KiB."""
    room = (channel(image, index).size + 0xffff) & ~0xffff
    return int(doorbell(image, "alpha", index).page - room)


def own(image: Image, part: str, intid: int, owns: bool) -> None:
    word = image.part(part).spi
    word[intid // 32] = word[intid // 32] | 1 << intid % 32 if owns else word[intid // 32] & ~(1 << intid % 32)


# ---------------------------------------------------------------- the layout

@fault("layout-readable", says="out of bounds")
def absurd_channel_count(image: Image) -> None:
    image.layout.channel_count = 129


@fault("layout-readable", says="channels at 0x1000")
def channels_outside_the_image(image: Image) -> None:
    image.layout.channels = 0x1000


@fault("layout-readable", says="17 doorbells")
def absurd_doorbell_count(image: Image) -> None:
    image.part("alpha").doorbell_count = 17


@fault("layout-readable", says="a doorbell with 9 interrupts")
def absurd_ring_count(image: Image) -> None:
    doorbell(image, "alpha").intid_count = 9


@fault("layout-read-only", "layout-checksum", says="the interrupts of a doorbell")
def rings_in_writable_data(image: Image) -> None:
    bell = doorbell(image, "alpha")
    image.put(image.symbols["writable"], image.bytes_at(bell.intids, 4 * bell.intid_count))
    bell.intids = image.symbols["writable"]


@fault("layout-devices", says="channel telemetry")
def reported_as_another_ones(image: Image) -> None:
    image.device("channel telemetry").owner = 1


@fault("layout-devices", says="channel orders")
def reported_with_another_line(image: Image) -> None:
    image.device("channel orders").yaml_line += 1


# ---------------------------------------------------------------- memory

@fault("channel-memory", says="of line")
def another_line(image: Image) -> None:
    channel(image, ORDERS).yaml_line += 1


@fault("channel-memory", "channel-told", "memory-exclusive", "nothing-else", "memory-attributes", "loader-bounded",
       "hv-attributes", says="0x1000 bytes of line")
def smaller_than_asked_for(image: Image) -> None:
    channel(image, ORDERS).size = 0x1000


@fault("channel-memory", "loader-bounded", says="not on it")
def zeroed_by_a_stranger(image: Image) -> None:
    channel(image, ORDERS).loader = 3


@fault("channel-memory", "channel-reached", "layout-devices", says="has no channel 'beta'")
def another_name(image: Image) -> None:
    channel(image, PICTURE).name = image.part("beta").name


@fault("channel-memory", "channel-reached", "memory-exclusive", "memory-attributes", "nothing-else", "loader-bounded", "hv-attributes",
       "channel-told", says="which is beta's")
def in_somebodys_ram(image: Image) -> None:
    channel(image, ORDERS).pa = image.memory("beta").pa + 0x10000


@fault("channel-reached", says="partition beta reaches pages of channel picture without being on it")
def seen_by_a_stranger(image: Image) -> None:
    picture = channel(image, PICTURE)
    image.stage2("beta").map(PICTURE_SEEN, picture.pa, S2_SHARED & ~S2_WRITE)


@fault("channel-reached", says="partition beta, which reads channel telemetry, has 0x0 of it writable")
def a_reader_writes(image: Image) -> None:
    image.stage2("beta").change(seen(image, TELEMETRY), set=S2_WRITE)


@fault("channel-reached", says="partition gamma, which reads channel telemetry, has 0xf000 of it writable")
def a_reader_writes_the_last_page(image: Image) -> None:
    image.stage2("gamma").change(seen(image, TELEMETRY) + 0xf000, set=S2_WRITE)


@fault("channel-reached", says="partition alpha, which writes channel telemetry, has 0x3000 of it read-only")
def a_writer_cannot_write(image: Image) -> None:
    image.stage2("alpha").change(seen(image, TELEMETRY) + 0x3000, clear=S2_WRITE)


@fault("channel-reached", says="executable")
def executable(image: Image) -> None:
    image.stage2("beta").change(seen(image, ORDERS), clear=XN)


@fault("channel-reached", says="MemAttr 0xf")
def cached_by_one(image: Image) -> None:
    image.stage2("beta").change(seen(image, ORDERS), set=CACHED)


@fault("channel-reached", "channel-told", "tree-registers", says="partition beta does not reach channel orders")
def not_mapped(image: Image) -> None:
    for at in (0, 0x1000):
        image.stage2("beta").set(seen(image, ORDERS) + at, 0)


@fault("channel-reached", says="at two addresses")
def seen_twice(image: Image) -> None:
    image.stage2("alpha").map(seen(image, ORDERS) + 0x8000, channel(image, ORDERS).pa, S2_SHARED)


@fault("channel-reached", "channel-told", says="0x1000 of it")
def pages_in_another_order(image: Image) -> None:
    tables, at = image.stage2("beta"), seen(image, ORDERS)
    first, second = tables.get(at), tables.get(at + 0x1000)
    tables.set(at, second)
    tables.set(at + 0x1000, first)


@fault("loader-bounded", says="for writing")
def not_zeroed(image: Image) -> None:
    image.loader("alpha").change(channel(image, ORDERS).pa + 0x1000, set=RO)


# ---------------------------------------------------------------- doorbells

@fault("channel-doorbell", "channel-reached", says="is mapped or another device's")
def the_page_is_mapped(image: Image) -> None:
    image.stage2("alpha").map(doorbell(image, "alpha").page, channel(image, TELEMETRY).pa, S2_SHARED)


@fault("channel-doorbell", "channel-told", "tree-registers", says="is mapped or another device's")
def the_page_is_the_distributor(image: Image) -> None:
    doorbell(image, "alpha").page = image.layout.gic.dist


@fault("channel-doorbell", "channel-told", "interrupt-given", says="rings 1 interrupts, there are 2 receivers")
def one_is_not_rung(image: Image) -> None:
    doorbell(image, "alpha").intid_count = 1


@fault("channel-doorbell", "channel-told", "interrupt-given", says="does not ring")
def one_is_rung_twice(image: Image) -> None:
    ring(image, "alpha", 1).value = ring(image, "alpha", 0).value


@fault("channel-doorbell", says="rings 2 interrupts, there are 1 receivers")
def a_reader_rings_a_reader(image: Image) -> None:
    bell = doorbell(image, "beta")
    bell.intids, bell.intid_count = doorbell(image, "alpha").intids, 2


@fault("channel-doorbell", "channel-told", "tree-registers", says="has 0 doorbells of channel")
def no_doorbell(image: Image) -> None:
    image.part("gamma").doorbell_count = 0


@fault("channel-doorbell", "channel-told", says="of a channel that it is not on")
def doorbell_of_no_channel(image: Image) -> None:
    doorbell(image, "gamma").channel = 9


@fault("channel-doorbell", "channel-told", "tree-interrupts", says="which the partition does not own")
def the_receiver_does_not_own_it(image: Image) -> None:
    own(image, "beta", ring(image, "alpha").value, False)


@fault("channel-doorbell", "channel-told", "interrupt-given", says="which is a device's of the board")
def rings_a_devices_interrupt(image: Image) -> None:
    taken = 34                          # of a device of the board, see the fixture's devicetree
    own(image, "beta", taken, True)
    ring(image, "alpha").value = taken


@fault("channel-apart", "channel-told", "interrupt-given", says="ring it by the same INTID")
def two_channels_ring_alike(image: Image) -> None:
    ring(image, "alpha", bell=ORDERS).value = ring(image, "alpha", bell=TELEMETRY).value


# ---------------------------------------------------------------- what guests are told

@fault("channel-told", says="names 1 channels, it is on 2")
def not_told(image: Image) -> None:
    tree = image.blob("gamma", 1)
    data = image.bytes_at(tree.source, tree.size)
    image.put(tree.source, data.replace(b"bulkhead,channel\0\0\0\0", b"bulkhead,chanmel\0\0\0\0", 1))


@fault("channel-told", says="is the writer of channel telemetry")
def told_another_role(image: Image) -> None:
    tree = image.blob("beta", 1)
    data = image.bytes_at(tree.source, tree.size)
    image.put(tree.source, data.replace(b"reader\0", b"writer\0", 1))


def test_the_good_image_passes(channels: Checker) -> None:
    channels.passes(4)


@pytest.mark.parametrize("name, plant, broken, says", FAULTS, ids=[f[0] for f in FAULTS])
def test_fault(channels: Checker, name: str, plant: Plant, broken: set[str], says: str) -> None:
    channels.finds(plant, broken, says)


def test_every_property_has_a_fault(channels: Checker) -> None:
    manual = run(channels.program, "--manual").stdout
    known = in_chapters(manual, "Channels")
    assert known <= set().union(*(broken for _, _, broken, _ in FAULTS))
