# SPDX-License-Identifier: Apache-2.0
"""`channels:` of system.yaml -> Channel."""
from __future__ import annotations

from typing import Optional

from ruamel.yaml.nodes import Node, ScalarNode

from .model import Channel, Span
from .reader import SIZES, Reader, choice_of, keys_of, quantity_of, sequence_of, text_of, word_of

CHANNEL_KEYS = ("size", "writer", "readers", "peers", "doorbell")
EXAMPLE = "{size: 64 KiB, writer: NAME, readers: [NAME]}"


def channels_of(r: Reader, entries: dict[str, tuple[Node, Node]]) -> tuple[Channel, ...]:
    """Those that could be read; entries: key and value by name."""
    found = [_channel(r, name, key, value) for name, (key, value) in entries.items()]
    return tuple(c for c in found if c is not None)


def _channel(r: Reader, name: str, key: Node, node: Node) -> Optional[Channel]:
    what = f"channel '{name}'"
    keys = keys_of(r, node, what, CHANNEL_KEYS, EXAMPLE)
    if keys is None:
        return None
    before = len(r.found)
    if "size" not in keys:
        r.error("KEY-MISSING", key, f"{what} has no 'size'", EXAMPLE)
    size = quantity_of(r, keys["size"], "size", SIZES, "64 KiB") if "size" in keys else None
    writer = _names(r, keys, "writer")
    readers = _names(r, keys, "readers")
    peers = _names(r, keys, "peers")
    _check_sides(r, what, key, keys)
    doorbell = choice_of(r, keys["doorbell"], "doorbell", ("true", "false")) if "doorbell" in keys else "false"
    if len(r.found) > before or size is None:
        return None
    return Channel(name, size, writer[0][0] if writer else "", tuple(n for n, _ in readers), tuple(n for n, _ in peers),
                   doorbell == "true", r.span(key), r.span(keys["size"]), (*writer, *readers, *peers))


def _names(r: Reader, keys: dict[str, Node], key: str) -> tuple[tuple[str, Span], ...]:
    """The partitions under a key, with their places; a writer is one, the others are a list."""
    node = keys.get(key)
    if node is None:
        return ()
    single = key == "writer" or (isinstance(node, ScalarNode) and text_of(node) != "")
    nodes = [node] if single else sequence_of(r, node, key)
    named = [(word_of(r, n, f"a partition in '{key}'"), r.span(n)) for n in nodes or []]
    return tuple((name, span) for name, span in named if name is not None)


def _check_sides(r: Reader, what: str, key: Node, keys: dict[str, Node]) -> None:
    """Either a writer with readers, or peers."""
    if "peers" in keys:
        for other in ("writer", "readers"):
            if other in keys:
                r.error("CHAN-SIDES", keys[other], f"{what} has both '{other}' and 'peers'",
                        "a writer with readers, who cannot write; or peers, who all can",
                        [(r.span(keys["peers"]), "'peers' is here")])
        return
    for needed in ("writer", "readers"):
        if needed not in keys:
            r.error("KEY-MISSING", key, f"{what} has no '{needed}'", f"{EXAMPLE}, or {{size: 64 KiB, peers: [NAME, NAME]}}")
