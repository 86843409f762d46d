# SPDX-License-Identifier: Apache-2.0
"""boards/<board>/board.yaml: the few facts that a devicetree lacks.

    description: one line                       # for people
    devicetree: board.dts                       # .dts or .dtb; relative to the folder, default board.dts, then board.dtb
    memory: [{base: 0x40000000, size: 4 GiB}]   # replaces the devicetree's, which a boot loader may have to fill in
    firmware: [{base: 0x0, size: 512 KiB, what: secure firmware}]   # RAM that the layout must not use
    console: /soc/serial@1000                   # path, label or alias; default: the devicetree's stdout-path
    psci: smc                                   # smc, hvc or none, where the firmware adds the node
    redistributor-stride: 256 KiB               # GICv4, where the devicetree does not say it
    poweroff: [{port: 0x604, width: 2, value: 0x2000}]   # x86: writes to I/O ports that switch the board off
    reset: [{port: 0xcf9, width: 1, value: 0x6}]         # x86: and that reset it
    device-reset: {/pl011@9040000: [{offset: 0x30, value: 0}]}   # writes to a device's registers that reset it; width: 4
"""
from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any, Literal, Optional

import ruamel.yaml

from .diag import Diagnostic, Refused, did_you_mean
from .model import Out, Region, Span, Write

KEYS = ("description", "devicetree", "memory", "firmware", "console", "psci", "redistributor-stride", "poweroff", "reset",
        "switch-time", "device-reset")
UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
Conduit = Literal["smc", "hvc", "none", ""]
CONDUITS: dict[str, Conduit] = {"smc": "smc", "hvc": "hvc", "none": "none"}
OUT_KEYS = ("port", "width", "value")
WRITE_KEYS = ("offset", "width", "value")
MOST_OUTS = 16
TIMES = {"ns": 1, "us": 10**3, "ms": 10**6}
TIME = re.compile(r"([0-9]{1,6})\s*(ns|us|ms)")
SIZE = re.compile(r"(0x[0-9a-fA-F_]+|[0-9][0-9_]*)\s*(B|KiB|MiB|GiB|TiB)?")


@dataclass(frozen=True)
class DeviceReset:
    """Writes that reset a device; addresses are offsets from its first register."""
    name: str                                      # path, label or alias
    writes: tuple[Write, ...]
    span: Span


@dataclass(frozen=True)
class BoardFile:
    """board.yaml, read and checked; paths are complete."""
    file: str
    devicetree: str
    description: str = ""
    memory: tuple[Region, ...] = ()
    firmware: tuple[tuple[Region, str], ...] = ()
    console: str = ""
    console_span: Span = Span("")
    devicetree_span: Span = Span("")
    psci: Conduit = ""                             # empty: the devicetree's
    redist_stride: int = 0
    poweroff: tuple[Out, ...] = ()
    reset: tuple[Out, ...] = ()
    device_reset: tuple[DeviceReset, ...] = ()
    switch_ns: int = 2_000                         # of a switch between vcpus of a pool, at most
    keys: dict[str, Span] = field(default_factory=dict)   # where each key stands


class _Reader:
    """Collects what is wrong while it reads, so that all of it is reported at once."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.wrong: list[Diagnostic] = []

    def refuse(self, span: Span, message: str, fix: str = "") -> None:
        self.wrong.append(Diagnostic("BOARD-FILE", span, message, fix=fix))

    def span(self, node: Any) -> Span:
        mark = node.start_mark
        return Span(self.file, mark.line + 1, mark.column + 1)

    def mapping(self, node: Any, known: tuple[str, ...], what: str) -> dict[str, Any]:
        """key -> value node; unknown and repeated keys are errors."""
        if not isinstance(node, ruamel.yaml.nodes.MappingNode):
            self.refuse(self.span(node), f"{what} must be a mapping with the keys {', '.join(known)}")
            return {}
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value)
            if name not in known:
                self.refuse(self.span(key), f"unknown key '{name}' in {what}",
                            did_you_mean(name, known) or f"the keys are {', '.join(known)}")
            elif name in found:
                self.refuse(self.span(key), f"key '{name}' stands twice in {what}")
            else:
                found[name] = value
        return found

    def text(self, node: Any, what: str) -> str:
        if isinstance(node, ruamel.yaml.nodes.ScalarNode) and node.value.strip():
            return str(node.value)
        self.refuse(self.span(node), f"{what} must be text")
        return ""

    def conduit(self, node: Any) -> Conduit:
        text = self.text(node, "psci")
        if text and text not in CONDUITS:
            self.refuse(self.span(node), f"psci must be smc, hvc or none, not '{text}'", did_you_mean(text, CONDUITS))
        return CONDUITS.get(text, "")

    def time(self, node: Any, what: str) -> int:
        match = TIME.fullmatch(node.value.strip()) if isinstance(node, ruamel.yaml.nodes.ScalarNode) else None
        if match is None:
            self.refuse(self.span(node), f"{what} must be a time, as in 2 us")
            return 0
        return int(match[1]) * TIMES[match[2]]

    def number(self, node: Any, what: str) -> int:
        match = SIZE.fullmatch(node.value.strip()) if isinstance(node, ruamel.yaml.nodes.ScalarNode) else None
        if match is None:
            self.refuse(self.span(node), f"{what} must be a number, as in 0x40000000 or 512 MiB")
            return 0
        return int(match[1].replace("_", ""), 0) * UNITS[match[2] or ""]

    def regions(self, node: Any, key: str, named: bool) -> tuple[tuple[Region, str], ...]:
        if not isinstance(node, ruamel.yaml.nodes.SequenceNode):
            self.refuse(self.span(node), f"'{key}' must be a list of {{base: ..., size: ...}}")
            return ()
        known = ("base", "size", "what") if named else ("base", "size")
        found = []
        for item in node.value:
            entry = self.mapping(item, known, f"an entry of '{key}'")
            if "base" not in entry or "size" not in entry:
                self.refuse(self.span(item), f"an entry of '{key}' needs base and size")
                continue
            base, size = self.number(entry["base"], "base"), self.number(entry["size"], "size")
            if size == 0 or base % 4096 or size % 4096:
                self.refuse(self.span(item), f"an entry of '{key}' must consist of whole 4 KiB pages, and of one at least")
            found.append((Region(base, size), self.text(entry["what"], "what") if "what" in entry else "firmware"))
        return tuple(found)

    def outs(self, node: Any, key: str) -> tuple[Out, ...]:
        """Writes to I/O ports, in their order."""
        if not isinstance(node, ruamel.yaml.nodes.SequenceNode) or not 1 <= len(node.value) <= MOST_OUTS:
            self.refuse(self.span(node), f"'{key}' must be a list of 1 to {MOST_OUTS} entries {{port: ..., width: ..., value: ...}}")
            return ()
        found = []
        for item in node.value:
            entry = self.mapping(item, OUT_KEYS, f"an entry of '{key}'")
            if not all(name in entry for name in OUT_KEYS):
                self.refuse(self.span(item), f"an entry of '{key}' needs port, width and value")
                continue
            port, width, value = (self.number(entry[name], name) for name in OUT_KEYS)
            if width not in (1, 2, 4) or port + width > 0x10000 or value >> 8 * width:
                self.refuse(self.span(item), f"an entry of '{key}' must be a port up to 0xffff, a width of 1, 2 or 4 bytes, "
                                             "and a value that fits in it")
            found.append(Out(port, width, value))
        return tuple(found)


    def device_resets(self, node: Any) -> tuple[DeviceReset, ...]:
        if not isinstance(node, ruamel.yaml.nodes.MappingNode):
            self.refuse(self.span(node), "'device-reset' must be a mapping: {DEVICE: [{offset: ..., value: ...}]}")
            return ()
        return tuple(DeviceReset(str(key.value), self.writes(value, str(key.value)), self.span(key)) for key, value in node.value)

    def writes(self, node: Any, name: str) -> tuple[Write, ...]:
        """Writes to a device's registers, in their order."""
        if not isinstance(node, ruamel.yaml.nodes.SequenceNode) or not 1 <= len(node.value) <= MOST_OUTS:
            self.refuse(self.span(node), f"'{name}' must be a list of 1 to {MOST_OUTS} entries {{offset: ..., value: ...}}")
            return ()
        found = []
        for item in node.value:
            entry = self.mapping(item, WRITE_KEYS, f"an entry of '{name}'")
            if not all(key in entry for key in ("offset", "value")):
                self.refuse(self.span(item), f"an entry of '{name}' needs offset and value")
                continue
            width = self.number(entry["width"], "width") if "width" in entry else 4
            offset, value = (self.number(entry[key], key) for key in ("offset", "value"))
            if width not in (1, 2, 4) or offset % width or value >> 8 * width:
                self.refuse(self.span(item), f"an entry of '{name}' must have a width of 1, 2 or 4 bytes, an offset that is a multiple of "
                                             "it, and a value that fits in it")
            found.append(Write(offset, width, value))
        return tuple(found)


def read(folder: str) -> BoardFile:
    """Read <folder>/board.yaml."""
    file = os.path.join(folder, "board.yaml")
    reader = _Reader(file)
    root = _compose(reader)
    keys = reader.mapping(root, KEYS, "board.yaml") if root is not None else {}
    board = BoardFile(
        file=file,
        devicetree=_devicetree(reader, folder, keys.get("devicetree")),
        devicetree_span=reader.span(keys["devicetree"]) if "devicetree" in keys else Span(file),
        description=reader.text(keys["description"], "description") if "description" in keys else "",
        memory=tuple(r for r, _ in reader.regions(keys["memory"], "memory", False)) if "memory" in keys else (),
        firmware=reader.regions(keys["firmware"], "firmware", True) if "firmware" in keys else (),
        console=reader.text(keys["console"], "console") if "console" in keys else "",
        console_span=reader.span(keys["console"]) if "console" in keys else Span(file),
        psci=reader.conduit(keys["psci"]) if "psci" in keys else "",
        switch_ns=reader.time(keys["switch-time"], "switch-time") if "switch-time" in keys else 2_000,
        redist_stride=reader.number(keys["redistributor-stride"], "redistributor-stride") if "redistributor-stride" in keys else 0,
        poweroff=reader.outs(keys["poweroff"], "poweroff") if "poweroff" in keys else (),
        reset=reader.outs(keys["reset"], "reset") if "reset" in keys else (),
        device_reset=reader.device_resets(keys["device-reset"]) if "device-reset" in keys else (),
        keys={name: reader.span(value) for name, value in keys.items()})
    if reader.wrong:
        raise Refused(reader.wrong)
    return board


def _compose(reader: _Reader) -> Optional[Any]:
    try:
        with open(reader.file, encoding="utf-8") as stream:
            root = ruamel.yaml.YAML().compose(stream)
    except (OSError, UnicodeDecodeError) as error:
        reader.refuse(Span(reader.file), f"board.yaml cannot be read: {getattr(error, 'strerror', None) or error}")
    except ruamel.yaml.error.MarkedYAMLError as error:
        mark = error.problem_mark
        span = Span(reader.file, mark.line + 1, mark.column + 1) if mark else Span(reader.file)
        reader.refuse(span, f"this is not YAML: {error.problem or error.context}")
    else:
        return root
    return None


def _devicetree(reader: _Reader, folder: str, node: Optional[Any]) -> str:
    if node is not None:
        file = os.path.join(folder, reader.text(node, "devicetree"))
        if not os.path.isfile(file):
            reader.refuse(reader.span(node), f"the devicetree {file} does not exist")
        return file
    for name in ("board.dts", "board.dtb"):
        if os.path.isfile(os.path.join(folder, name)):
            return os.path.join(folder, name)
    if not reader.wrong:
        reader.refuse(Span(reader.file), "the board has no devicetree: neither board.dts nor board.dtb is in its folder",
                      "name one with 'devicetree:'")
    return ""
