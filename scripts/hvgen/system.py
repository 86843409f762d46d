# SPDX-License-Identifier: Apache-2.0
"""system.yaml -> System.  Syntax only: keys, types, units; what it means on a board is rules.py's.

The YAML is read as a tree of nodes that know their line and column; every error of a file is reported.
"""
from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Iterable, Optional

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from .diag import Diagnostic, Refused, did_you_mean, nearest, size_text
from .model import DeviceSpec, ImageSpec, MemorySpec, Partition, Span, System

SYSTEM_KEYS = ("board", "partitions", "pools", "channels")
PARTITION_KEYS = ("cpus", "memory", "image", "linux", "interrupts", "devices", "console", "on-fault", "watchdog")
MEMORY_KEYS = ("size", "physical", "guest", "alignment")
IMAGE_KEYS = ("raw", "elf", "offset")
LINUX_KEYS = ("kernel", "initrd", "bootargs")
DEVICE_KEYS = ("device", "dma")
POOL_KEYS = ("pool", "budget", "period")
SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
TIMES = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
BOOTARGS_MOST = 2047      # COMMAND_LINE_SIZE of arch/arm64 less the final zero
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
LATER = {
    "pools": "sharing cores between partitions",
    "channels": "shared memory between partitions",
    "watchdog": "a watchdog for a partition",
    "pool": "running a partition on a shared pool",
}


@dataclass
class _Reader:
    """What the functions below share: the file's name, where to look for images, the errors so far."""
    file: str
    search: tuple[str, ...]
    environment: dict[str, str]
    found: list[Diagnostic] = field(default_factory=list)

    def span(self, node: Node) -> Span:
        return Span(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def error(self, rule: str, node: Node, message: str, fix: str = "",
              notes: Iterable[tuple[Optional[Span], str]] = ()) -> None:
        self.found.append(Diagnostic(rule, self.span(node), message, tuple(notes), fix))


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
    reader = _Reader(file, search, environment or {})
    try:
        root = _compose(text, file)
    except Refused as refused:
        return None, list(refused.diagnostics)
    if root is None:
        return None, [Diagnostic("SYSTEM-EMPTY", Span(file), "the file is empty: it names no board and no partition",
                                 fix="begin with 'board: NAME' and 'partitions:'")]
    return _system(reader, root), reader.found


# ---------------------------------------------------------------- YAML

def _hide(text: str) -> str:
    """${NAME} may stand unquoted in {...}: keep YAML from seeing its braces, without moving a column."""
    return VARIABLE.sub(lambda m: f"$\ue000{m.group(1)}\ue001", text)


def _text(node: Node) -> str:
    return str(node.value).replace("\ue000", "{").replace("\ue001", "}")


def _compose(text: str, file: str) -> Optional[Node]:
    try:
        root = YAML(typ="safe", pure=True).compose(_hide(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        span = Span(file, mark.line + 1, mark.column + 1) if mark else Span(file)
        problem = str(error.problem or error.context)
        raise Refused([Diagnostic("YAML-SYNTAX", span, f"not valid YAML: {problem}",
                                  fix="indent with blanks" if "'\\t'" in problem else "")]) from None
    except YAMLError as error:
        first = str(error).strip().splitlines()[0]
        raise Refused([Diagnostic("YAML-SYNTAX", Span(file), f"not valid YAML: {first}")]) from None
    return root if isinstance(root, Node) else None


def _kind(node: Node) -> str:
    if isinstance(node, MappingNode):
        return "a mapping (key: value)"
    if isinstance(node, SequenceNode):
        return "a list"
    text = _text(node)
    return f"'{text}'" if text else "nothing"


def _mapping(r: _Reader, node: Node, what: str, twice: str = "KEY-DUPLICATE",
             example: str = "") -> Optional[dict[str, tuple[Node, Node]]]:
    """Keys to (key node, value node); a key given twice is an error."""
    if not isinstance(node, MappingNode):
        if isinstance(node, ScalarNode) and _text(node):
            example = example.replace("FILE", _text(node))
        r.error("VALUE-TYPE", node, f"{what} must be a mapping (key: value), not {_kind(node)}",
                f"write {example}" if example else "")
        return None
    out: dict[str, tuple[Node, Node]] = {}
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            r.error("VALUE-TYPE", key, f"a key of {what} must be a word, not {_kind(key)}")
        elif _text(key) in out:
            name = _text(key)
            r.error(twice, key, f"'{name}' is given twice in {what}",
                    notes=[(r.span(out[name][0]), "first given here")], fix="remove or rename one of them")
        else:
            out[_text(key)] = (key, value)
    return out


def _keys(r: _Reader, node: Node, what: str, known: Iterable[str], example: str = "") -> Optional[dict[str, Node]]:
    """Values by key.  Unknown keys are errors; what stands under a mistyped one is read all the same."""
    entries = _mapping(r, node, what, example=example)
    if entries is None:
        return None
    found = {name: value for name, (_, value) in entries.items() if name in known}
    for name, (key, value) in entries.items():
        if name not in known:
            meant = nearest(name, known)
            r.error("KEY-UNKNOWN", key, f"unknown key '{name}' in {what}",
                    f"did you mean '{meant}'?" if meant else f"known keys: {', '.join(known)}")
            if meant:
                found.setdefault(meant, value)
    return found


def _sequence(r: _Reader, node: Node, what: str) -> Optional[list[Node]]:
    if not isinstance(node, SequenceNode):
        r.error("VALUE-TYPE", node, f"{what} must be a list, not {_kind(node)}", fix="write it in [ ]")
        return None
    return list(node.value)


# ---------------------------------------------------------------- scalars

def _word(r: _Reader, node: Node, what: str) -> Optional[str]:
    if not isinstance(node, ScalarNode) or _text(node) == "":
        r.error("VALUE-TYPE", node, f"{what} must be a text, not {_kind(node)}")
        return None
    return _text(node)


def _choice(r: _Reader, node: Node, what: str, choices: tuple[str, ...]) -> Optional[str]:
    word = _word(r, node, what)
    if word is None or word in choices:
        return word
    r.error("VALUE-CHOICE", node, f"{what} cannot be '{word}'",
            did_you_mean(word, choices) or (f"one of: {', '.join(choices)}" if len(choices) > 1 else
                                            f"the only choice is '{choices[0]}'"))
    return None


def _number(r: _Reader, node: Node, what: str) -> Optional[int]:
    """A whole number, decimal or 0x."""
    text = _text(node) if isinstance(node, ScalarNode) else ""
    if re.fullmatch(r"0x[0-9a-fA-F_]+|[0-9][0-9_]*", text):
        return int(text.replace("_", ""), 0) if not re.fullmatch(r"0[0-9_]+", text) else int(text.replace("_", ""))
    r.error("VALUE-TYPE", node, f"{what} must be a whole number, not {_kind(node)}", _number_fix(text))
    return None


def _number_fix(text: str) -> str:
    match = QUANTITY.fullmatch(text)
    if match and match[2] in SIZES and "." not in match[1]:
        return f"in bytes, that is {int(match[1]) * SIZES[match[2]]:#x}"
    span = re.fullmatch(r"(\d{1,3})-(\d{1,3})", text)
    if span and int(span[1]) < int(span[2]) <= int(span[1]) + 64:
        return f"one by one: {', '.join(map(str, range(int(span[1]), int(span[2]) + 1)))}"
    return ""


def _quantity(r: _Reader, node: Node, what: str, units: dict[str, int], example: str) -> Optional[int]:
    """A number with its unit, as a whole number of the smallest one."""
    if not isinstance(node, ScalarNode):
        r.error("VALUE-TYPE", node, f"{what} must be a quantity such as {example}, not {_kind(node)}")
        return None
    text = _text(node)
    match = QUANTITY.fullmatch(text)
    if match is None:
        hexadecimal = re.fullmatch(r"0x[0-9a-fA-F_]+", text) if "KiB" in units else None
        r.error("VALUE-TYPE", node, f"{what} must be a quantity such as {example}, not {_kind(node)}",
                f"that is {size_text(int(text.replace('_', ''), 16))}" if hexadecimal else "")
        return None
    digits, unit = match.groups()
    if unit not in units:
        said = f"has no unit: '{text}'" if not unit else f"has the unknown unit '{unit}'"
        r.error("VALUE-UNIT", node, f"{what} {said}", _unit_fix(unit, units, example))
        return None
    smallest = "bytes" if "B" in units else "nanoseconds"
    return _scaled(r, node, what, digits, units[unit], smallest)


def _unit_fix(unit: str, units: dict[str, int], example: str) -> str:
    binary = {"k": "KiB", "m": "MiB", "g": "GiB", "t": "TiB"}
    meant = binary.get(unit[:1].lower()) if "KiB" in units else None
    if meant and len(unit) <= 3 and unit:
        return f"did you mean '{meant}'? (units: {', '.join(units)})"
    return f"write it with one of {', '.join(units)}, for example {example}"


def _scaled(r: _Reader, node: Node, what: str, digits: str, scale: int, smallest: str) -> Optional[int]:
    whole, _, fraction = digits.partition(".")
    value, rest = divmod(int(whole + fraction) * scale, int("1" + "0" * len(fraction)))
    if rest:
        r.error("VALUE-RANGE", node, f"{what} of {_kind(node)} is not a whole number of {smallest}")
        return None
    if value == 0:
        r.error("VALUE-RANGE", node, f"{what} must be more than 0")
        return None
    return value


def _path(r: _Reader, node: Node, what: str) -> Optional[str]:
    """A file name: ${NAME} expanded, then looked up in the search folders."""
    name = _word(r, node, what)
    if name is None:
        return None
    for variable in dict.fromkeys(VARIABLE.findall(name)):
        if not r.environment.get(variable):
            r.error("ENV-UNSET", node, f"environment variable '{variable}' in {what} '{name}' is not set",
                    fix=f"set it: {variable}=FILE")
            name = ""
    name = VARIABLE.sub(lambda m: r.environment[m.group(1)], name) if name else ""
    if not name or os.path.isabs(name):
        return name or None
    candidates = [os.path.normpath(os.path.join(folder, name)) for folder in r.search]
    return next((c for c in candidates if os.path.isfile(c)), name)


def _later(r: _Reader, node: Node, key: str) -> None:
    r.error("NOT-YET", node, f"'{key}': {LATER[key]} is not in this version", fix="leave it out for now")


# ---------------------------------------------------------------- the file

def _system(r: _Reader, root: Node) -> Optional[System]:
    keys = _keys(r, root, "system.yaml", SYSTEM_KEYS)
    if keys is None:
        return None
    _check_later(r, keys)
    board = _word(r, keys["board"], "board") if "board" in keys else None
    if "board" not in keys:
        r.error("KEY-MISSING", root, "system.yaml has no 'board'", "begin with 'board: NAME'")
    partitions = _partitions(r, root, keys)
    if board is None:
        return None
    name = os.path.basename(os.path.dirname(os.path.abspath(r.file)))
    return System(r.file, name, board, r.span(keys["board"]), tuple(partitions))


def _check_later(r: _Reader, keys: dict[str, Node]) -> None:
    """Pools and channels: their form is checked, then they are refused."""
    shapes: dict[str, tuple[str, ...]] = {"pools": ("cpus", "scheduler", "placement", "extra-time"),
                                          "channels": ("size", "writer", "readers", "peers", "doorbell")}
    for key, known in shapes.items():
        if key in keys:
            _later(r, keys[key], key)
            for name, (_, value) in (_mapping(r, keys[key], f"'{key}'", "NAME-DUPLICATE") or {}).items():
                _keys(r, value, f"'{name}' of '{key}'", known)


def _partitions(r: _Reader, root: Node, keys: dict[str, Node]) -> list[Partition]:
    node = keys.get("partitions")
    fix = "name one below 'partitions:', with cpus, memory and image"
    if node is None or (isinstance(node, ScalarNode) and not _text(node)):
        r.error("SYSTEM-EMPTY", node or root, "there are no partitions", fix)
        return []
    entries = _mapping(r, node, "'partitions'", "NAME-DUPLICATE",
                       "each partition's name as a key, its own keys below it")
    if entries is not None and not entries:
        r.error("SYSTEM-EMPTY", node, "there are no partitions", fix)
    found = []
    for name, (key, value) in (entries or {}).items():
        _check_name(r, key, name)
        found.append(_partition(r, name, key, value))
    _check_same_symbol(r, {name: key for name, (key, _) in (entries or {}).items()})
    return [p for p in found if p is not None]


def _check_name(r: _Reader, key: Node, name: str) -> None:
    if not NAME.fullmatch(name):
        r.error("NAME-FORM", key, f"'{name}' cannot be the name of a partition",
                "a small letter, then at most 30 small letters, digits, '-' and '_'")


def _check_same_symbol(r: _Reader, names: dict[str, Node]) -> None:
    """'a-b' and 'a_b' would be one C identifier."""
    seen: dict[str, str] = {}
    for name, key in names.items():
        symbol = re.sub(r"[^a-z0-9]", "_", name)
        if symbol in seen:
            r.error("NAME-DUPLICATE", key, f"the names '{seen[symbol]}' and '{name}' are the same in generated C",
                    notes=[(r.span(names[seen[symbol]]), f"'{seen[symbol]}' is here")], fix="rename one of them")
        seen.setdefault(symbol, name)


def _partition(r: _Reader, name: str, key: Node, node: Node) -> Optional[Partition]:
    what = f"partition '{name}'"
    if isinstance(node, ScalarNode) and not _text(node):
        r.error("PART-EMPTY", key, f"{what} is empty", "give it cpus, memory and an image")
        return None
    keys = _keys(r, node, what, PARTITION_KEYS)
    if keys is None:
        return None
    if "watchdog" in keys:
        _quantity(r, keys["watchdog"], "watchdog", TIMES, "100 ms")
        _later(r, keys["watchdog"], "watchdog")
    cpus = _cpus(r, what, key, keys)
    memory = _memory(r, what, key, keys)
    image = _image(r, what, key, keys)
    interrupts = _option(r, keys, "interrupts", ("virtual", "direct"), "virtual")
    console = _option(r, keys, "console", ("vuart",), "")
    on_fault = _option(r, keys, "on-fault", ("stop", "restart", "reset-board"), "stop")
    devices = _devices(r, keys["devices"]) if "devices" in keys else ()
    if cpus is None or memory is None or image is None or devices is None:
        return None
    if interrupts is None or console is None or on_fault is None:
        return None
    return Partition(name, cpus, memory, image, interrupts, devices, console, on_fault,  # type: ignore[arg-type]
                     span=r.span(key), interrupts_span=r.span(keys["interrupts"]) if "interrupts" in keys else None)


def _option(r: _Reader, keys: dict[str, Node], key: str, choices: tuple[str, ...], default: str) -> Optional[str]:
    return _choice(r, keys[key], key, choices) if key in keys else default


def _cpus(r: _Reader, what: str, key: Node, keys: dict[str, Node]) -> Optional[tuple[tuple[int, Span], ...]]:
    node = keys.get("cpus")
    if isinstance(node, MappingNode):
        _pool_use(r, node)
        return None
    entries = _sequence(r, node, "cpus") if node is not None else []
    if entries == []:
        r.error("PART-EMPTY", node or key, f"{what} has no cpus", "name the cores that it owns: cpus: [0]")
    numbers = [(_number(r, n, "a cpu"), r.span(n)) for n in entries or []]
    if not numbers or any(number is None for number, _ in numbers):
        return None
    return tuple((number, span) for number, span in numbers if number is not None)


def _pool_use(r: _Reader, node: Node) -> None:
    _later(r, node, "pool")
    keys = _keys(r, node, "cpus", POOL_KEYS) or {}
    for name in ("budget", "period"):
        if name in keys:
            _quantity(r, keys[name], name, TIMES, "2 ms")


def _memory(r: _Reader, what: str, key: Node, keys: dict[str, Node]) -> Optional[MemorySpec]:
    node = keys.get("memory")
    if node is None or (isinstance(node, ScalarNode) and not _text(node)):
        r.error("PART-EMPTY", node or key, f"{what} has no memory", "say how much: memory: 64 MiB")
        return None
    if not isinstance(node, MappingNode):
        size = _quantity(r, node, "memory", SIZES, "64 MiB")
        return MemorySpec(size, span=r.span(node)) if size else None
    inner = _keys(r, node, "memory", MEMORY_KEYS)
    if inner is None:
        return None
    if "size" not in inner:
        r.error("KEY-MISSING", node, "memory has no 'size'", "memory: {size: 64 MiB, ...}")
    before = len(r.found)
    size = _quantity(r, inner["size"], "memory size", SIZES, "64 MiB") if "size" in inner else None
    physical = _number(r, inner["physical"], "physical") if "physical" in inner else None
    guest = _number(r, inner["guest"], "guest") if "guest" in inner else None
    alignment = _quantity(r, inner["alignment"], "alignment", SIZES, "2 MiB") if "alignment" in inner else None
    if size is None or len(r.found) > before:
        return None
    return MemorySpec(size, physical, guest, alignment, r.span(inner.get("physical", inner["size"])))


# ---------------------------------------------------------------- images and devices

def _image(r: _Reader, what: str, key: Node, keys: dict[str, Node]) -> Optional[ImageSpec]:
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


def _flat_image(r: _Reader, node: Node) -> Optional[ImageSpec]:
    inner = _keys(r, node, "image", (*IMAGE_KEYS, "linux"), "image: {raw: FILE} or image: {elf: FILE}")
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
    file = _path(r, inner[kind], kind)
    offset: Optional[int] = 0
    if "offset" in inner:
        offset = _number(r, inner["offset"], "offset")
        if kind == "elf":
            r.error("KEY-UNKNOWN", inner["offset"], "'offset' is for raw images: an ELF file has its own addresses",
                    "remove it")
    if file is None or offset is None:
        return None
    return ImageSpec("raw" if kind == "raw" else "elf", file, offset, span=r.span(node), file_span=r.span(inner[kind]))


def _linux(r: _Reader, node: Node) -> Optional[ImageSpec]:
    inner = _keys(r, node, "linux", LINUX_KEYS, "linux: {kernel: FILE}")
    if inner is None:
        return None
    if "kernel" not in inner:
        r.error("KEY-MISSING", node, "linux has no 'kernel'", "linux: {kernel: FILE, initrd: FILE, bootargs: \"...\"}")
    kernel = _path(r, inner["kernel"], "kernel") if "kernel" in inner else None
    initrd = _path(r, inner["initrd"], "initrd") if "initrd" in inner else None
    bootargs = _bootargs(r, inner["bootargs"]) if "bootargs" in inner else ""
    if kernel is None or ("initrd" in inner and initrd is None):
        return None
    return ImageSpec("linux", kernel, 0, initrd, bootargs, r.span(node), r.span(inner["kernel"]),
                     r.span(inner["initrd"]) if "initrd" in inner else Span(r.file))


def _bootargs(r: _Reader, node: Node) -> str:
    text = _text(node) if isinstance(node, ScalarNode) else None
    if text is None or any(ord(c) < 32 for c in text):
        r.error("VALUE-TYPE", node, f"bootargs must be one line of text, not {_kind(node) if text is None else 'several'}")
        return ""
    if len(text.encode()) > BOOTARGS_MOST:
        r.error("VALUE-RANGE", node, f"bootargs has {len(text.encode())} bytes, Linux takes {BOOTARGS_MOST}")
    return text


def _devices(r: _Reader, node: Node) -> Optional[tuple[DeviceSpec, ...]]:
    entries = _sequence(r, node, "devices")
    specs = [_device(r, entry) for entry in entries or []]
    return tuple(s for s in specs if s is not None) if entries is not None and None not in specs else None


def _device(r: _Reader, node: Node) -> Optional[DeviceSpec]:
    if not isinstance(node, MappingNode):
        name = _word(r, node, "a device")
        return DeviceSpec(name, span=r.span(node)) if name else None
    inner = _keys(r, node, "a device", DEVICE_KEYS)
    if inner is None:
        return None
    if "device" not in inner:
        r.error("KEY-MISSING", node, "a device has no 'device'", "{device: /path, dma: unprotected}")
        return None
    name = _word(r, inner["device"], "a device")
    dma = _choice(r, inner["dma"], "dma", ("unprotected",)) if "dma" in inner else ""
    if name is None or dma is None:
        return None
    return DeviceSpec(name, "unprotected" if dma else "", r.span(inner["device"]))
