#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the instructions of a path are spent on: every instruction of the hypervisor, by function, from QEMU's trace.

  bench/paths.py                   the paths of bench-virtual, instructions by function
  bench/paths.py direct            of another run of bench.py
  bench/paths.py virtual hvc       one path, instruction by instruction (measure_NAME, or boot)

Run bench.py first: it builds the images.
"""
from __future__ import annotations

import argparse
import bisect
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Iterator, Optional

from elftools.elf.elffile import ELFFile  # type: ignore[import]

from bench import RUNS, BenchError, Run, call, command, output_of

LIMIT_SECONDS = 300
TRACED = re.compile(rb"\[[0-9a-f]+/([0-9a-f]+)/")


class Symbols:
    """Names of addresses, out of an ELF file."""

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as stream:
            elf = ELFFile(stream)
            table = elf.get_section_by_name(".symtab")
            sections = [section for section in elf.iter_sections() if section["sh_flags"] & 4]
            self.begin = min(section["sh_addr"] for section in sections)
            self.end = max(section["sh_addr"] + section["sh_size"] for section in sections)
            named = {symbol["st_value"]: symbol.name for symbol in table.iter_symbols()
                     if symbol.name and not symbol.name.startswith("$") and symbol["st_info"]["type"] != "STT_SECTION"
                     and self.begin <= symbol["st_value"] < self.end}
        self.addresses = sorted(named)
        self.names = [named[address] for address in self.addresses]

    def holds(self, address: int) -> bool:
        return self.begin <= address < self.end

    def name(self, address: int) -> str:
        at = bisect.bisect_right(self.addresses, address) - 1
        return self.names[at] if at >= 0 else "?"


def trace(run: Run) -> Iterator[int]:
    """The address of each executed instruction, from reset on."""
    argv = ["timeout", str(LIMIT_SECONDS), *command(run, "-accel", "tcg,one-insn-per-tb=on", "-d", "exec,nochain", "-D",
                                                    "/dev/stderr")]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as qemu:
        assert qemu.stderr is not None
        for line in qemu.stderr:
            found = TRACED.search(line)
            if found:
                yield int(found.group(1), 16)


def paths(run: Run) -> dict[str, list[int]]:
    """For `boot` and each measure_* of the probe: the instructions in the hypervisor of its shortest visit there."""
    hypervisor = Symbols(output_of(run) / "bulkhead.elf")
    probe = Symbols(output_of(run) / "guests/probe.elf")
    found: dict[str, list[int]] = {}
    visit: list[int] = []
    caller: Optional[str] = None               # None: the guest has not run yet
    for address in trace(run):
        if hypervisor.holds(address):
            visit.append(address)
        elif probe.holds(address):
            if caller is None:
                found["boot"] = visit
            elif visit and caller.startswith("measure_"):
                known = found.get(caller[len("measure_"):])
                if known is None or len(visit) < len(known):
                    found[caller[len("measure_"):]] = visit
            if visit or caller is None:
                visit = []
            caller = probe.name(address)
    if "boot" not in found:
        raise BenchError("the guest was never entered")
    return found


def print_by_function(run: Run, found: dict[str, list[int]]) -> None:
    hypervisor = Symbols(output_of(run) / "bulkhead.elf")
    for name, visit in found.items():
        print(f"{name}: {len(visit)} instructions in the hypervisor")
        for function, count in Counter(map(hypervisor.name, visit)).most_common():
            print(f"  {count:7}  {function}")


def print_listing(run: Run, visit: list[int]) -> None:
    text = call(f"{run.arch.cross}objdump", "-d", "--no-show-raw-insn", str(output_of(run) / "bulkhead.elf"))
    code = {int(address, 16): instruction.strip()
            for address, instruction in re.findall(r"^ *([0-9a-f]+):\t(.*)$", text, re.MULTILINE)}
    hypervisor = Symbols(output_of(run) / "bulkhead.elf")
    before = ""
    for address in visit:
        function = hypervisor.name(address)
        if function != before:
            print(f"{function}:")
            before = function
        print(f"  {address:x}  {code.get(address, '?')}")


def main() -> int:
    parser = argparse.ArgumentParser(description="what the instructions of a path are spent on")
    parser.add_argument("run", nargs="?", default="virtual", choices=[run.name for run in RUNS if run.config and run.machine])
    parser.add_argument("path", nargs="?", help="list this path's instructions in their order")
    options = parser.parse_args()
    run = next(run for run in RUNS if run.name == options.run)
    try:
        found = paths(run)
        if options.path is None:
            print_by_function(run, found)
        elif options.path in found:
            print_listing(run, found[options.path])
        else:
            raise BenchError(f"no path {options.path}; there are {', '.join(found)}")
    except BrokenPipeError:
        sys.stderr.close()                     # `| head` has seen enough
    except (BenchError, OSError) as error:
        print(f"paths: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
