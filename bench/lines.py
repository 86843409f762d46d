#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bench/lines.py: how many lines the parts of the project have, and for which machines they are.

Lines of C, assembly and Python without blank lines, comments and docstrings, of all files in the tree. Of the
hypervisor, src/objects.mk says what a file is built for; headers and the host's programs are told by folder and name.

  lines.py                 print the table
  lines.py --markdown      print it for a document
  lines.py --files         and every file with its count
"""
from __future__ import annotations

import argparse
import io
import re
import sys
import tokenize
from pathlib import Path
from typing import Iterator

from bench import REPO, code_lines

# Whose a file is. Each one counts once.
BOTH, ARM64, X86, SVM, VMX, POOLS = "both", "ARM64", "x86", "SVM", "VMX", "pools"
MACHINES = (BOTH, ARM64, X86, SVM, VMX, POOLS)

CONFIGS = {"ARM64": ARM64, "GICV3": ARM64, "X86": X86, "SVM": SVM, "VMX": VMX, "POOLS": POOLS, "ARINC653": POOLS,
           "TRACE": POOLS, "EFI": BOTH}    # of what others choose the path tells

# Folders, the longest that fits first.
PARTS = (("src/include", "headers of the core"), ("src/core", "core"), ("src/drivers", "serial port"),
         ("src/arch", "architecture"), ("scripts/hvgen", "generator"), ("src/check", "checker"))

# Whatever objects.mk does not know: by name where that says it (*_arm64, *_x86, *_pc, *pool*), else here.
NAMED = {
    "guest_dtb.py": ARM64, "rule_guest_tree.c": ARM64, "rule_registers.c": ARM64,
    "bitmaps.py": X86, "cpuid.py": X86, "guest_acpi.py": X86, "msrs.py": X86, "pc.py": X86, "pvh.py": X86,
    "aml.c": X86, "rule_bitmaps.c": X86, "rule_boot.c": X86,
    "schedule.py": POOLS, "schedule_view.py": POOLS,
    "sched.h": POOLS, "trace.h": POOLS,
}


def python_lines(path: Path) -> int:
    """Lines with a token that is neither a comment nor a string that stands alone."""
    lines: set[int] = set()
    begins = True                                  # of a statement
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type in (tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER):
            continue
        alone = begins and token.type == tokenize.STRING
        begins = token.type == tokenize.NEWLINE
        if not alone and not begins:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines)


def built_for() -> dict[str, str]:
    """Objects of the hypervisor by src/objects.mk: the path without its ending -> whose it is."""
    text = (REPO / "src/objects.mk").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for variable, config, objects in re.findall(r"^(obj|efi|pools)-(?:y|\$\(CONFIG_(\w+)\)) *\+?:?= *(.*)$", text, re.M):
        for name in re.findall(r"(\S+)\.o\b", objects):
            if variable == "pools":
                found[name] = POOLS
            elif not config or config in CONFIGS:
                found[name] = CONFIGS.get(config, BOTH)
    return found


def machine_of(path: Path, objects: dict[str, str]) -> str:
    name = str(path.relative_to(REPO / "src").with_suffix("")) if path.is_relative_to(REPO / "src") else ""
    if path.name in NAMED:
        return NAMED[path.name]
    if name in objects:
        return objects[name]
    for pattern, machine in ((r"pool|context\.", POOLS), (r"/svm/", SVM), (r"/vmx/", VMX), (r"arch/x86/|_x86\.|_pc\.", X86),
                             (r"arch/arm64/|_arm64\.", ARM64)):
        if re.search(pattern, str(path)):
            return machine
    return BOTH


def count() -> Iterator[tuple[str, str, Path, int]]:
    """Part, machine, file, lines."""
    objects = built_for()
    for folder, part in PARTS:
        for path in sorted((REPO / folder).rglob("*")):
            if path.suffix in (".c", ".h", ".S", ".py"):
                lines = python_lines(path) if path.suffix == ".py" else code_lines(path)
                yield part, machine_of(path, objects), path, lines


def table(sums: dict[tuple[str, str], int], markdown: bool) -> str:
    rows: list[tuple[str, ...]] = [("", *MACHINES)]
    rows += [(part, *(f"{sums[part, machine]:,}" if (part, machine) in sums else "-" for machine in MACHINES))
             for _, part in PARTS]
    if markdown:
        text = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([text[0], "|---|" + "---:|" * len(MACHINES), *text[1:]])
    return "\n".join(f"{row[0]:20}" + "".join(f"{cell:>8}" for cell in row[1:]) for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description="lines of each part, by machine")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--files", action="store_true", help="print each file, too")
    options = parser.parse_args()
    sums: dict[tuple[str, str], int] = {}
    for part, machine, path, lines in count():
        sums[part, machine] = sums.get((part, machine), 0) + lines
        if options.files:
            print(f"{lines:6}  {machine:6} {path.relative_to(REPO)}")
    print(table(sums, options.markdown))
    return 0


if __name__ == "__main__":
    sys.exit(main())
