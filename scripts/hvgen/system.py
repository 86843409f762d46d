# SPDX-License-Identifier: Apache-2.0
"""system.yaml -> System.  Syntax only: keys, types, units; what it means on a board is rules.py's.

The YAML is read as a tree of nodes that know their line and column; every error of a file is reported.
"""
from __future__ import annotations

import os
import re
from typing import Optional

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from .diag import Diagnostic, Refused
from .model import Channel, DeviceSpec, ImageSpec, MemorySpec, Partition, Pool, Span, System
from .reader import (SIZES, Reader, choice_of, compose, keys_of, kind_of, mapping_of, number_of, path_of, quantity_of,
                     sequence_of, text_of, word_of)
from .system_channels import channels_of
from .system_health import health_of
from .system_pools import pools_of, use_of

SYSTEM_KEYS = ("board", "partitions", "pools", "channels")
PARTITION_KEYS = ("cpus", "memory", "image", "linux", "interrupts", "devices", "console", "on-fault", "watchdog",
                  "monitor")
MEMORY_KEYS = ("size", "physical", "guest", "alignment")
IMAGE_KEYS = ("raw", "elf", "offset")
LINUX_KEYS = ("kernel", "initrd", "bootargs")
DEVICE_KEYS = ("device", "dma")
NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
BOOTARGS_MOST = 2047      # COMMAND_LINE_SIZE of arch/arm64 less the final zero


def load(file: str, out: str = "", root: str = "", environment: Optional[dict[str, str]] = None) -> System:
    """Read system.yaml, or raise Refused.  Image names: beside the file, then in `out`, then in `root`."""
    system, found = read(file, out, root, environment)
    if found or system is None:
        raise Refused(found)
    return system


def read(file: str, out: str = "", root: str = "",
         environment: Optional[dict[str, str]] = None) -> tuple[Optional[System], list[Diagnostic]]:
    """What could be understood of the file, and everything that is wrong with it."""
    try:
        with open(file, encoding="utf-8") as stream:
            text = stream.read()
    except OSError as error:
        return None, [Diagnostic("FILE-MISSING", Span(file), f"cannot be read: {error.strerror}",
                                 fix="a configuration folder holds system.yaml and defconfig")]
    except UnicodeDecodeError:
        return None, [Diagnostic("YAML-SYNTAX", Span(file), "not valid YAML: it is not UTF-8 text")]
    folder = os.path.dirname(file) or "."
    search = tuple(dict.fromkeys(p for p in (folder, out, root) if p))
    return parse(text, file, search, dict(os.environ) if environment is None else environment)


def parse(text: str, file: str, search: tuple[str, ...] = (),
          environment: Optional[dict[str, str]] = None) -> tuple[Optional[System], list[Diagnostic]]:
    """The same for a text."""
    reader = Reader(file, search, environment or {})
    try:
        root = compose(text, file)
    except Refused as refused:
        return None, list(refused.diagnostics)
    if root is None:
        return None, [Diagnostic("SYSTEM-EMPTY", Span(file), "the file is empty: it names no board and no partition",
                                 fix="begin with 'board: NAME' and 'partitions:'")]
    return _system(reader, root), reader.found


# ---------------------------------------------------------------- the file

def _system(r: Reader, root: Node) -> Optional[System]:
    keys = keys_of(r, root, "system.yaml", SYSTEM_KEYS)
    if keys is None:
        return None
    board = word_of(r, keys["board"], "board") if "board" in keys else None
    if "board" not in keys:
        r.error("KEY-MISSING", root, "system.yaml has no 'board'", "begin with 'board: NAME'")
    pools = _pools(r, keys["pools"]) if "pools" in keys else ()
    partitions = _partitions(r, root, keys, pools)
    channels = _channels(r, keys["channels"]) if "channels" in keys else ()
    if board is None:
        return None
    name = os.path.basename(os.path.dirname(os.path.abspath(r.file)))
    return System(r.file, name, board, r.span(keys["board"]), tuple(partitions), pools, channels)


def _pools(r: Reader, node: Node) -> tuple[Pool, ...]:
    entries = mapping_of(r, node, "'pools'", "NAME-DUPLICATE", "each pool's name as a key, its own keys below it") or {}
    for name, (key, _) in entries.items():
        _check_name(r, key, name, "a pool")
    _check_same_symbol(r, {name: key for name, (key, _) in entries.items()})
    return pools_of(r, entries)


def _channels(r: Reader, node: Node) -> tuple[Channel, ...]:
    entries = mapping_of(r, node, "'channels'", "NAME-DUPLICATE", "each channel's name as a key, its own keys below it") or {}
    for name, (key, _) in entries.items():
        _check_name(r, key, name, "a channel")
    _check_same_symbol(r, {name: key for name, (key, _) in entries.items()})
    return channels_of(r, entries)


def _partitions(r: Reader, root: Node, keys: dict[str, Node], pools: tuple[Pool, ...]) -> list[Partition]:
    node = keys.get("partitions")
    fix = "name one below 'partitions:', with cpus, memory and image"
    if node is None or (isinstance(node, ScalarNode) and not text_of(node)):
        r.error("SYSTEM-EMPTY", node or root, "there are no partitions", fix)
        return []
    entries = mapping_of(r, node, "'partitions'", "NAME-DUPLICATE",
                       "each partition's name as a key, its own keys below it")
    if entries is not None and not entries:
        r.error("SYSTEM-EMPTY", node, "there are no partitions", fix)
    found = []
    for name, (key, value) in (entries or {}).items():
        _check_name(r, key, name, "a partition")
        found.append(_partition(r, name, key, value, {pool.name: pool for pool in pools}))
    _check_same_symbol(r, {name: key for name, (key, _) in (entries or {}).items()})
    return [p for p in found if p is not None]


def _check_name(r: Reader, key: Node, name: str, what: str) -> None:
    if not NAME.fullmatch(name):
        r.error("NAME-FORM", key, f"'{name}' cannot be the name of {what}",
                "a small letter, then at most 30 small letters, digits, '-' and '_'")


def _check_same_symbol(r: Reader, names: dict[str, Node]) -> None:
    """'a-b' and 'a_b' would be one C identifier."""
    seen: dict[str, str] = {}
    for name, key in names.items():
        symbol = re.sub(r"[^a-z0-9]", "_", name)
        if symbol in seen:
            r.error("NAME-DUPLICATE", key, f"the names '{seen[symbol]}' and '{name}' are the same in generated C",
                    notes=[(r.span(names[seen[symbol]]), f"'{seen[symbol]}' is here")], fix="rename one of them")
        seen.setdefault(symbol, name)


def _partition(r: Reader, name: str, key: Node, node: Node, pools: dict[str, Pool]) -> Optional[Partition]:
    what = f"partition '{name}'"
    if isinstance(node, ScalarNode) and not text_of(node):
        r.error("PART-EMPTY", key, f"{what} is empty", "give it cpus, memory and an image")
        return None
    keys = keys_of(r, node, what, PARTITION_KEYS)
    if keys is None:
        return None
    share = keys.get("cpus")
    shared = isinstance(share, MappingNode)
    use = use_of(r, share, pools) if isinstance(share, MappingNode) else None
    cpus = () if shared else _cpus(r, what, key, keys)
    memory = _memory(r, what, key, keys)
    image = _image(r, what, key, keys)
    interrupts = _option(r, keys, "interrupts", ("virtual", "direct"), "virtual")
    console = _option(r, keys, "console", ("vuart",), "")
    health = health_of(r, keys)
    devices = _devices(r, keys["devices"]) if "devices" in keys else ()
    if cpus is None or memory is None or image is None or devices is None:
        return None
    if interrupts is None or console is None or health is None or (shared and use is None):
        return None
    return Partition(name, cpus, memory, image, interrupts, devices, console,  # type: ignore[arg-type]
                     span=r.span(key), interrupts_span=r.span(keys["interrupts"]) if "interrupts" in keys else None, use=use,
                     **vars(health))


def _option(r: Reader, keys: dict[str, Node], key: str, choices: tuple[str, ...], default: str) -> Optional[str]:
    return choice_of(r, keys[key], key, choices) if key in keys else default


def _cpus(r: Reader, what: str, key: Node, keys: dict[str, Node]) -> Optional[tuple[tuple[int, Span], ...]]:
    node = keys.get("cpus")
    entries = sequence_of(r, node, "cpus") if node is not None else []
    if entries == []:
        r.error("PART-EMPTY", node or key, f"{what} has no cpus", "name the cores that it owns: cpus: [0]")
    numbers = [(number_of(r, n, "a cpu"), r.span(n)) for n in entries or []]
    if not numbers or any(number is None for number, _ in numbers):
        return None
    return tuple((number, span) for number, span in numbers if number is not None)


def _memory(r: Reader, what: str, key: Node, keys: dict[str, Node]) -> Optional[MemorySpec]:
    node = keys.get("memory")
    if node is None or (isinstance(node, ScalarNode) and not text_of(node)):
        r.error("PART-EMPTY", node or key, f"{what} has no memory", "say how much: memory: 64 MiB")
        return None
    if not isinstance(node, MappingNode):
        size = quantity_of(r, node, "memory", SIZES, "64 MiB")
        return MemorySpec(size, span=r.span(node)) if size else None
    inner = keys_of(r, node, "memory", MEMORY_KEYS)
    if inner is None:
        return None
    if "size" not in inner:
        r.error("KEY-MISSING", node, "memory has no 'size'", "memory: {size: 64 MiB, ...}")
    before = len(r.found)
    size = quantity_of(r, inner["size"], "memory size", SIZES, "64 MiB") if "size" in inner else None
    physical = number_of(r, inner["physical"], "physical") if "physical" in inner else None
    guest = number_of(r, inner["guest"], "guest") if "guest" in inner else None
    alignment = quantity_of(r, inner["alignment"], "alignment", SIZES, "2 MiB") if "alignment" in inner else None
    if size is None or len(r.found) > before:
        return None
    return MemorySpec(size, physical, guest, alignment, r.span(inner.get("physical", inner["size"])))


# ---------------------------------------------------------------- images and devices

def _image(r: Reader, what: str, key: Node, keys: dict[str, Node]) -> Optional[ImageSpec]:
    if "image" in keys and "linux" in keys:
        r.error("IMG-BOTH", keys["linux"], f"{what} has both 'image' and 'linux'", "keep one of them",
                [(r.span(keys["image"]), "'image' is here")])
        return None
    if "image" in keys:
        return _flat_image(r, keys["image"])
    if "linux" in keys:
        return _linux(r, keys["linux"])
    r.error("KEY-MISSING", key, f"{what} has no image", "image: {raw: FILE}, image: {elf: FILE} or linux: {kernel: FILE}")
    return None


def _flat_image(r: Reader, node: Node) -> Optional[ImageSpec]:
    inner = keys_of(r, node, "image", (*IMAGE_KEYS, "linux"), "image: {raw: FILE} or image: {elf: FILE}")
    if inner is None:
        return None
    if "linux" in inner:
        return _linux(r, inner["linux"])
    kinds = [k for k in ("raw", "elf") if k in inner]
    if len(kinds) != 1:
        if not kinds:
            r.error("KEY-MISSING", node, "image has no file", "image: {raw: FILE} or image: {elf: FILE}")
        else:
            r.error("IMG-BOTH", inner["elf"], "image has both 'raw' and 'elf'", "keep one of them",
                    [(r.span(inner["raw"]), "'raw' is here")])
        return None
    kind = "raw" if kinds[0] == "raw" else "elf"
    file = path_of(r, inner[kind], kind)
    offset: Optional[int] = 0
    if "offset" in inner:
        offset = number_of(r, inner["offset"], "offset")
        if kind == "elf":
            r.error("KEY-UNKNOWN", inner["offset"], "'offset' is for raw images: an ELF file has its own addresses",
                    "remove it")
    if file is None or offset is None:
        return None
    return ImageSpec("raw" if kind == "raw" else "elf", file, offset, span=r.span(node), file_span=r.span(inner[kind]))


def _linux(r: Reader, node: Node) -> Optional[ImageSpec]:
    inner = keys_of(r, node, "linux", LINUX_KEYS, "linux: {kernel: FILE}")
    if inner is None:
        return None
    if "kernel" not in inner:
        r.error("KEY-MISSING", node, "linux has no 'kernel'", "linux: {kernel: FILE, initrd: FILE, bootargs: \"...\"}")
    kernel = path_of(r, inner["kernel"], "kernel") if "kernel" in inner else None
    initrd = path_of(r, inner["initrd"], "initrd") if "initrd" in inner else None
    bootargs = _bootargs(r, inner["bootargs"]) if "bootargs" in inner else ""
    if kernel is None or ("initrd" in inner and initrd is None):
        return None
    return ImageSpec("linux", kernel, 0, initrd, bootargs, r.span(node), r.span(inner["kernel"]),
                     r.span(inner["initrd"]) if "initrd" in inner else Span(r.file))


def _bootargs(r: Reader, node: Node) -> str:
    text = text_of(node) if isinstance(node, ScalarNode) else None
    if text is None or any(ord(c) < 32 for c in text):
        r.error("VALUE-TYPE", node, f"bootargs must be one line of text, not {kind_of(node) if text is None else 'several'}")
        return ""
    if len(text.encode()) > BOOTARGS_MOST:
        r.error("VALUE-RANGE", node, f"bootargs has {len(text.encode())} bytes, Linux takes {BOOTARGS_MOST}")
    return text


def _devices(r: Reader, node: Node) -> Optional[tuple[DeviceSpec, ...]]:
    entries = sequence_of(r, node, "devices")
    specs = [_device(r, entry) for entry in entries or []]
    return tuple(s for s in specs if s is not None) if entries is not None and None not in specs else None


def _device(r: Reader, node: Node) -> Optional[DeviceSpec]:
    if not isinstance(node, MappingNode):
        name = word_of(r, node, "a device")
        return DeviceSpec(name, span=r.span(node)) if name else None
    inner = keys_of(r, node, "a device", DEVICE_KEYS)
    if inner is None:
        return None
    if "device" not in inner:
        r.error("KEY-MISSING", node, "a device has no 'device'", "{device: /path, dma: unprotected}")
        return None
    name = word_of(r, inner["device"], "a device")
    dma = choice_of(r, inner["dma"], "dma", ("unprotected",)) if "dma" in inner else ""
    if name is None or dma is None:
        return None
    return DeviceSpec(name, "unprotected" if dma else "", r.span(inner["device"]))
