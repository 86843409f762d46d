# SPDX-License-Identifier: Apache-2.0
"""The paragraph of a rule, out of docs/rules.md."""
from __future__ import annotations

import re

from .diag import Diagnostic, Refused, did_you_mean
from .model import Span
from .rules import RULES


def paragraphs(text: str) -> dict[str, str]:
    """ID -> what stands below its heading."""
    parts = re.split(r"^## ([A-Z][A-Z0-9-]*)\n", text, flags=re.MULTILINE)
    return {parts[n]: re.split(r"^#+ ", parts[n + 1], flags=re.MULTILINE)[0].strip() for n in range(1, len(parts), 2)}


def explain(file: str, rule: str) -> str:
    """Title and paragraph of a rule; the list of all rules if none is named."""
    if not rule:
        width = max(map(len, RULES))
        return "".join(f"{name:{width}}  {title}\n" for name, title in sorted(RULES.items()))
    wanted = rule.strip("[]").upper()
    if wanted not in RULES:
        raise Refused([Diagnostic("RULE-UNKNOWN", Span("explain"), f"there is no rule '{rule}'",
                                  fix=did_you_mean(wanted, RULES) or "'bulkhead explain' lists them")])
    with open(file, encoding="utf-8") as stream:
        text = paragraphs(stream.read()).get(wanted, "")
    return f"{wanted}: {RULES[wanted]}\n\n{text}\n"
