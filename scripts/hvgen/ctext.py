# SPDX-License-Identifier: Apache-2.0
"""Pieces of C text that all of the emitters write."""
from __future__ import annotations

from typing import Iterable


def c_string(text: str) -> str:
    out = ""
    for byte in text.encode():
        char = chr(byte)
        out += f"\\{char}" if char in '"\\' else char if 32 <= byte < 127 and char != "?" else f"\\{byte:03o}"
    return f'"{out}"'


def c_comment(text: str) -> str:
    return text.replace("*/", "* /").replace("\n", " ")


def pa(value: int) -> str:
    return f"{{ {value:#x} }}"


def initialiser(fields: Iterable[tuple[str, str]], indent: str) -> list[str]:
    return [f"{indent}.{name} = {value}," for name, value in fields]
