# SPDX-License-Identifier: Apache-2.0
"""Channels in the plan: where their memory lies, for the board and for guests, and who rings whom.  Pure.

All members see a channel at one guest address, in a window that is nobody's RAM and no device's.  In it
each channel has its memory, then a page for its doorbell; both begin at multiples of 64 KiB, so that a
guest with pages of that size can give one away without the next.
"""
from __future__ import annotations

from dataclasses import replace
from typing import Iterator, Literal, Optional, Sequence

from . import pc
from .diag import Diagnostic, Refused, size_text
from .model import (Channel, ChannelEnd, Doorbell, Hardware, Mapping, PlanChannel, PlanPartition, Region, System)
from .place import GIB, KIB, MIB, PAGE, align_up, find_blocks, merge, overlap, pages, subtract

UNIT = 64 * KIB
LARGE_PAGE = 2 * MIB


def room(system: System) -> int:
    """Bytes of RAM that all channels take."""
    return sum(channel.size for channel in system.channels)


def tables_needed(system: System) -> int:
    """At most so many page tables more: in each member's tree, and in one loader's map."""
    return sum((len(channel.members) + 1) * (3 + channel.size // LARGE_PAGE) for channel in system.channels)


def plan_channels(hardware: Hardware, system: System, seen: Sequence[Region], free: Sequence[Region],
                  spare: Sequence[Sequence[int]]) -> tuple[PlanChannel, ...]:
    """seen: guest addresses of some partition's; free: RAM that nobody has; spare: interrupts that nothing uses, by
    partition; on x86 lines of its own I/O APIC, else the same ones for all."""
    offsets = list(_offsets(system))
    at = _window(hardware, seen, offsets[-1][1] if offsets else 0)
    left = tuple(free)
    intids = [list(each) for each in spare] if hardware.pc else [list(spare[0])] * len(spare)
    out = []
    for channel, (offset, end) in zip(system.channels, offsets):
        ipa = at + offset
        pa = _place(hardware, left, ipa, channel)
        left = subtract(left, (Region(pa, channel.size),))
        ends = _ends(hardware, system, channel, intids)
        out.append(PlanChannel(channel.name, channel, ipa, pa, at + end - UNIT if channel.doorbell else 0, ends))
    return tuple(out)


def _offsets(system: System) -> Iterator[tuple[int, int]]:
    """Of each channel in the window: where its memory begins, and the end of all that is its."""
    at = 0
    for channel in system.channels:
        start = align_up(at, LARGE_PAGE if channel.size >= LARGE_PAGE else UNIT)
        at = align_up(start + channel.size, UNIT) + (UNIT if channel.doorbell else 0)
        yield start, at


def _window(hardware: Hardware, seen: Sequence[Region], size: int) -> int:
    """The first guest address from the board's RAM on (x86: from its hole for registers) where nothing is."""
    gic = hardware.gic
    taken = [*hardware.memory, *(r for r, _ in hardware.reserved), *(r for d in hardware.devices for r in d.regs if r.size),
             *(gic.regions if gic else ()), *seen]
    if hardware.uart and hardware.uart.width:
        taken.append(hardware.uart.region)
    if hardware.pc:
        taken += [Region(0xfe000000, 0x2000000)]        # I/O APIC, local APICs, TPM, firmware
    at = pc.LOW_RAM_END if hardware.pc else hardware.memory[0].base
    for region in [r for r in merge(pages(r) for r in taken) if r.end > at]:
        if overlap(Region(at, size), region):
            at = align_up(region.end, GIB if size >= GIB else LARGE_PAGE)
    return at


def _place(hardware: Hardware, free: Sequence[Region], ipa: int, channel: Channel) -> int:
    """Not at the beginning of a bank if there is room elsewhere: boot loaders live there."""
    heads = [Region(bank.base, LARGE_PAGE) for bank in hardware.memory]
    for holes in (subtract(free, heads), tuple(free)):
        found = find_blocks(holes, ipa, channel.size, PAGE)
        if found:
            return found[0]
    largest = max((r.size for r in free), default=0)
    raise Refused([Diagnostic("MEM-NO-PLACE", channel.size_span, f"no free range fits the {size_text(channel.size)} of channel "
                              f"'{channel.name}', the largest has {size_text(largest)}",
                              fix="give a partition less memory, or make the channel smaller")])


def _ends(hardware: Hardware, system: System, channel: Channel, intids: Sequence[list[int]]) -> tuple[ChannelEnd, ...]:
    """Each member with its interrupt; a writer rings all readers, a reader the writer, a peer the others."""
    index = {part.name: number for number, part in enumerate(system.partitions)}
    own: dict[str, int] = {}
    for name, _ in channel.members:
        mine = intids[index[name]]
        if channel.doorbell and not mine:
            raise Refused([no_interrupt(hardware, channel, name)])
        own[name] = mine.pop(0) if channel.doorbell else 0
    return tuple(ChannelEnd(index[name], role(channel, name), own[name],
                            tuple(ring(hardware, index[other], own[other]) for other in rung(channel, name) if own[other]))
                 for name, _ in channel.members)


def ring(hardware: Hardware, partition: int, intid: int) -> int:
    """How a doorbell names a receiver's interrupt: LAYOUT_BELL() on x86."""
    return partition << 16 | intid if hardware.pc else intid


def role(channel: Channel, name: str) -> Literal["writer", "reader", "peer"]:
    if channel.peers:
        return "peer"
    return "writer" if name == channel.writer else "reader"


def rung(channel: Channel, name: str) -> tuple[str, ...]:
    """Whom a member's doorbell rings."""
    if channel.peers:
        return tuple(peer for peer in channel.peers if peer != name)
    return channel.readers if name == channel.writer else (channel.writer,)


def no_interrupt(hardware: Hardware, channel: Channel, name: str) -> Diagnostic:
    return Diagnostic("IRQ-NONE-FREE", channel.span, f"no interrupt of board '{hardware.name}' is free for the doorbell of channel "
                      f"'{channel.name}' at partition '{name}'", fix="leave out a 'doorbell: true', or a reader")


def connect(part: PlanPartition, channels: Sequence[PlanChannel], pc_like: bool) -> PlanPartition:
    """The partition with its ends of channels: mappings, doorbells, interrupts."""
    ends = [(number, channel, end) for number, channel in enumerate(channels) for end in channel.ends
            if end.partition == part.index]
    if not ends:
        return part
    shared = [Mapping(c.ipa, c.pa, c.size, "channel", c.name, c.spec.span, end.role != "reader") for _, c, end in ends]
    bells = tuple(Doorbell(c.doorbell, end.rings, c.name, number) for number, c, end in ends if c.doorbell)
    top = max([c.ipa + c.size for _, c, _ in ends] + [bell.page + PAGE for bell in bells])
    rung_by = {end.intid for _, _, end in ends if end.intid}
    return replace(part, mappings=tuple(sorted([*part.mappings, *shared], key=lambda m: m.ipa)), doorbells=bells,
                   spis=part.spis if pc_like else tuple(sorted({*part.spis, *rung_by})),
                   bells=tuple(sorted(rung_by)) if pc_like else (),
                   ipa_bits=max(part.ipa_bits, (top - 1).bit_length()))


def end_of(channel: PlanChannel, partition: int) -> Optional[ChannelEnd]:
    return next((end for end in channel.ends if end.partition == partition), None)
