# SPDX-License-Identifier: Apache-2.0
"""YAML as a tree of nodes that know their line and column, and the values that such nodes hold.

Every function returns None for what is wrong, and has then added a diagnostic to the reader's.
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
from .model import Span

SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
TIMES = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass
class Reader:
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


# ---------------------------------------------------------------- YAML

def _hide(text: str) -> str:
    """${NAME} may stand unquoted in {...}: keep YAML from seeing its braces, without moving a column."""
    return VARIABLE.sub(lambda m: f"$\ue000{m.group(1)}\ue001", text)


def text_of(node: Node) -> str:
    return str(node.value).replace("\ue000", "{").replace("\ue001", "}")


def compose(text: str, file: str) -> Optional[Node]:
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


def kind_of(node: Node) -> str:
    if isinstance(node, MappingNode):
        return "a mapping (key: value)"
    if isinstance(node, SequenceNode):
        return "a list"
    text = text_of(node)
    return f"'{text}'" if text else "nothing"


def mapping_of(r: Reader, node: Node, what: str, twice: str = "KEY-DUPLICATE",
             example: str = "") -> Optional[dict[str, tuple[Node, Node]]]:
    """Keys to (key node, value node); a key given twice is an error."""
    if not isinstance(node, MappingNode):
        if isinstance(node, ScalarNode) and text_of(node):
            example = example.replace("FILE", text_of(node))
        r.error("VALUE-TYPE", node, f"{what} must be a mapping (key: value), not {kind_of(node)}",
                f"write {example}" if example else "")
        return None
    out: dict[str, tuple[Node, Node]] = {}
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            r.error("VALUE-TYPE", key, f"a key of {what} must be a word, not {kind_of(key)}")
        elif text_of(key) in out:
            name = text_of(key)
            r.error(twice, key, f"'{name}' is given twice in {what}",
                    notes=[(r.span(out[name][0]), "first given here")], fix="remove or rename one of them")
        else:
            out[text_of(key)] = (key, value)
    return out


def keys_of(r: Reader, node: Node, what: str, known: Iterable[str], example: str = "") -> Optional[dict[str, Node]]:
    """Values by key.  Unknown keys are errors; what stands under a mistyped one is read all the same."""
    entries = mapping_of(r, node, what, example=example)
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


def sequence_of(r: Reader, node: Node, what: str) -> Optional[list[Node]]:
    if not isinstance(node, SequenceNode):
        r.error("VALUE-TYPE", node, f"{what} must be a list, not {kind_of(node)}", fix="write it in [ ]")
        return None
    return list(node.value)


# ---------------------------------------------------------------- scalars

def word_of(r: Reader, node: Node, what: str) -> Optional[str]:
    if not isinstance(node, ScalarNode) or text_of(node) == "":
        r.error("VALUE-TYPE", node, f"{what} must be a text, not {kind_of(node)}")
        return None
    return text_of(node)


def choice_of(r: Reader, node: Node, what: str, choices: tuple[str, ...]) -> Optional[str]:
    word = word_of(r, node, what)
    if word is None or word in choices:
        return word
    r.error("VALUE-CHOICE", node, f"{what} cannot be '{word}'",
            did_you_mean(word, choices) or (f"one of: {', '.join(choices)}" if len(choices) > 1 else
                                            f"the only choice is '{choices[0]}'"))
    return None


def number_of(r: Reader, node: Node, what: str) -> Optional[int]:
    """A whole number, decimal or 0x."""
    text = text_of(node) if isinstance(node, ScalarNode) else ""
    if re.fullmatch(r"0x[0-9a-fA-F_]+|[0-9][0-9_]*", text):
        return int(text.replace("_", ""), 0) if not re.fullmatch(r"0[0-9_]+", text) else int(text.replace("_", ""))
    r.error("VALUE-TYPE", node, f"{what} must be a whole number, not {kind_of(node)}", _number_fix(text))
    return None


def _number_fix(text: str) -> str:
    match = QUANTITY.fullmatch(text)
    if match and match[2] in SIZES and "." not in match[1]:
        return f"in bytes, that is {int(match[1]) * SIZES[match[2]]:#x}"
    span = re.fullmatch(r"(\d{1,3})-(\d{1,3})", text)
    if span and int(span[1]) < int(span[2]) <= int(span[1]) + 64:
        return f"one by one: {', '.join(map(str, range(int(span[1]), int(span[2]) + 1)))}"
    return ""


def quantity_of(r: Reader, node: Node, what: str, units: dict[str, int], example: str, zero: bool = False) -> Optional[int]:
    """A number with its unit, as a whole number of the smallest one. zero: that is right, too."""
    if not isinstance(node, ScalarNode):
        r.error("VALUE-TYPE", node, f"{what} must be a quantity such as {example}, not {kind_of(node)}")
        return None
    text = text_of(node)
    match = QUANTITY.fullmatch(text)
    if match is None:
        hexadecimal = re.fullmatch(r"0x[0-9a-fA-F_]+", text) if "KiB" in units else None
        r.error("VALUE-TYPE", node, f"{what} must be a quantity such as {example}, not {kind_of(node)}",
                f"that is {size_text(int(text.replace('_', ''), 16))}" if hexadecimal else "")
        return None
    digits, unit = match.groups()
    if unit not in units:
        said = f"has no unit: '{text}'" if not unit else f"has the unknown unit '{unit}'"
        r.error("VALUE-UNIT", node, f"{what} {said}", _unit_fix(unit, units, example))
        return None
    smallest = "bytes" if "B" in units else "nanoseconds"
    return _scaled(r, node, what, digits, units[unit], smallest, zero)


def _unit_fix(unit: str, units: dict[str, int], example: str) -> str:
    binary = {"k": "KiB", "m": "MiB", "g": "GiB", "t": "TiB"}
    meant = binary.get(unit[:1].lower()) if "KiB" in units else None
    if meant and len(unit) <= 3 and unit:
        return f"did you mean '{meant}'? (units: {', '.join(units)})"
    return f"write it with one of {', '.join(units)}, for example {example}"


def _scaled(r: Reader, node: Node, what: str, digits: str, scale: int, smallest: str, zero: bool) -> Optional[int]:
    whole, _, fraction = digits.partition(".")
    value, rest = divmod(int(whole + fraction) * scale, int("1" + "0" * len(fraction)))
    if rest:
        r.error("VALUE-RANGE", node, f"{what} of {kind_of(node)} is not a whole number of {smallest}")
        return None
    if value == 0 and not zero:
        r.error("VALUE-RANGE", node, f"{what} must be more than 0")
        return None
    return value


def path_of(r: Reader, node: Node, what: str) -> Optional[str]:
    """A file name: ${NAME} expanded, then looked up in the search folders."""
    name = word_of(r, node, what)
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
