# SPDX-License-Identifier: Apache-2.0
"""Rules for channels: who is on them, how large they are, how many there may be."""
from __future__ import annotations

from typing import Iterator

from .diag import Diagnostic, did_you_mean, size_text
from .model import Channel, Span
from .place import PAGE, align_down
from .rulecase import Case

MAX_CHANNELS = 16                      # LAYOUT_MAX_CHANNELS, of one partition


def chan_unknown(case: Case) -> Iterator[Diagnostic]:
    names = [part.name for part in case.system.partitions]
    for channel in case.system.channels:
        for name, span in channel.members:
            if name not in names:
                yield Diagnostic("CHAN-UNKNOWN", span, f"channel '{channel.name}' names '{name}', there is no such partition",
                                 fix=did_you_mean(name, names) or f"partitions: {', '.join(names)}")


def chan_twice(case: Case) -> Iterator[Diagnostic]:
    for channel in case.system.channels:
        first: dict[str, Span] = {}
        for name, span in channel.members:
            if name in first:
                again = ("writes the channel already, which lets it read, too" if name == channel.writer
                         else "is on the channel already")
                yield Diagnostic("CHAN-TWICE", span, f"channel '{channel.name}': partition '{name}' {again}",
                                 ((first[name], "named here first"),), "remove it here")
            first.setdefault(name, span)


def chan_alone(case: Case) -> Iterator[Diagnostic]:
    for channel in case.system.channels:
        if len({name for name, _ in channel.members}) < 2:
            yield Diagnostic("CHAN-ALONE", channel.span, f"channel '{channel.name}' has {_ends(channel)}: it joins nobody",
                             fix="name a partition more, or remove the channel")


def _ends(channel: Channel) -> str:
    if channel.peers or not channel.writer:
        return "one peer" if channel.peers else "no peers"
    return "no readers" if not channel.readers else "one partition on both sides"


def chan_size(case: Case) -> Iterator[Diagnostic]:
    for channel in case.system.channels:
        if channel.size % PAGE:
            least = align_down(channel.size, PAGE)
            below = f"{size_text(least)} and " if least else ""
            yield Diagnostic("CHAN-SIZE", channel.size_span, f"channel '{channel.name}' has {channel.size} bytes, which is not a multiple "
                             "of 4 KiB: memory is shared in whole pages",
                             fix=f"{below}{size_text(least + PAGE)} {'are' if below else 'is'}")


def chan_limit(case: Case) -> Iterator[Diagnostic]:
    for part in case.system.partitions:
        mine = [(c, span) for c in case.system.channels for name, span in c.members if name == part.name]
        if len(mine) > MAX_CHANNELS:
            channel, span = mine[MAX_CHANNELS]
            yield Diagnostic("CHAN-LIMIT", span, f"channel '{channel.name}' is number {MAX_CHANNELS + 1} of partition '{part.name}', "
                             f"a layout holds {MAX_CHANNELS} for each", fix="send several things through one channel")


CHECKS = (chan_unknown, chan_twice, chan_alone, chan_size, chan_limit)
