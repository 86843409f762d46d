# SPDX-License-Identifier: Apache-2.0
"""What the generator says when it refuses: diagnostics that read like a compiler's."""
from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from typing import Iterable, Optional, TextIO

from .model import Span

RED, YELLOW, CYAN, GREEN, BOLD, PLAIN = "\033[31m", "\033[33m", "\033[36m", "\033[32m", "\033[1m", "\033[0m"


@dataclass(frozen=True)
class Diagnostic:
    """One violated rule: where, what, the other places involved, and what would mend it."""
    id: str
    span: Span
    message: str
    notes: tuple[tuple[Optional[Span], str], ...] = ()
    fix: str = ""
    severity: str = "error"            # or "warning"


class Refused(Exception):
    """The input is refused.  Carries every diagnostic of the run."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(sort(diagnostics))
        super().__init__("\n".join(render(d) for d in self.diagnostics))


class Failed(Exception):
    """Not the input's fault: a tool is missing, or an object file is not what it should be."""


def sort(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """By position; what is said twice is said once."""
    once = list(dict.fromkeys(diagnostics))
    return sorted(once, key=lambda d: (d.span.file, d.span.line, d.span.col, d.id, d.message))


def _paint(text: str, codes: str, colour: bool) -> str:
    return f"{codes}{text}{PLAIN}" if colour else text


def render(diagnostic: Diagnostic, colour: bool = False) -> str:
    """The text of one diagnostic, several lines without a newline at the end."""
    hue = RED if diagnostic.severity == "error" else YELLOW
    label = _paint(f"{diagnostic.severity}[{diagnostic.id}]:", BOLD + hue, colour)
    lines = [f"{_paint(f'{diagnostic.span}:', BOLD, colour)} {label} {diagnostic.message}"]
    for span, text in diagnostic.notes:
        place = f"{span}: " if span is not None else ""
        lines.append(f"  {_paint('note:', CYAN, colour)} {place}{text}")
    if diagnostic.fix:
        lines.append(f"  {_paint('fix:', GREEN, colour)} {diagnostic.fix}")
    return "\n".join(lines)


def show(diagnostics: Iterable[Diagnostic], out: TextIO) -> None:
    """Print to a stream; colours only if it is a terminal, and NO_COLOR is not set."""
    colour = out.isatty() and "NO_COLOR" not in os.environ
    for diagnostic in sort(diagnostics):
        print(render(diagnostic, colour), file=out)


def nearest(word: str, known: Iterable[str]) -> Optional[str]:
    """The known word that was probably meant, if any is near enough."""
    choices = {k.lower(): k for k in known}
    found = difflib.get_close_matches(word.lower(), choices, n=1, cutoff=0.6)
    return choices[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A fix line naming the nearest known word, or the empty string."""
    found = nearest(word, known)
    return f"did you mean '{found}'?" if found else ""


def hex_range(base: int, size: int) -> str:
    """Inclusive range as people read it in a memory map."""
    return f"{base:#x}-{base + size - 1:#x}"


def size_text(size: int) -> str:
    """Bytes as people say it: exact where that is short, else with one decimal."""
    units = (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10))
    for unit, scale in units:
        if size and size % (1 << scale) == 0 and size >> scale < 10000:
            return f"{size >> scale} {unit}"
    for unit, scale in units:
        if size >= 10000 << (scale - 10) and size >> scale:
            return f"{size / (1 << scale):.1f} {unit}"
    return f"{size} bytes"
