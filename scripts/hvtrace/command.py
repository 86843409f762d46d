# SPDX-License-Identifier: Apache-2.0
"""The command `bulkhead trace`."""
from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Sequence

from hvgen.diag import Failed

from . import chrome, dump, picture
from .check import Row, check
from .history import History, histories

MOST = 10                                  # violations of one kind that are printed


def options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("dump", metavar="DUMP", nargs="?", default="", help="the memory that --where names")
    sub.add_argument("-O", "--out", default="", metavar="FOLDER", help="output folder, with bulkhead.elf and plan.json")
    sub.add_argument("--where", action="store_true", help="print address and size of what has to be dumped, and do nothing else")
    sub.add_argument("--json", default="", metavar="FILE", help="for ui.perfetto.dev or chrome://tracing")
    sub.add_argument("--svg", default="", metavar="FILE", help="a picture of some periods")
    sub.add_argument("--from", dest="begin", type=float, default=None, metavar="S",
                     help="where the picture begins (default: where most happens)")
    sub.add_argument("--length", type=float, default=None, metavar="S", help="how much it shows (default: 5 of the longest period)")
    sub.add_argument("--since", type=float, default=0.0, metavar="S", help="judge nothing before (default: from the beginning on)")
    sub.add_argument("--late", type=float, default=0.0, metavar="US",
                     help="decisions may come so much later than due beyond the switches that are counted in (default 0)")


def run(args: argparse.Namespace) -> None:
    out = Path(args.out or ".")
    where = dump.place(str(out / "bulkhead.elf"))
    if args.where:
        print(f"{where.address:#x} {where.size:#x}")
        return
    if not args.dump:
        raise Failed("no dump is named (--where says which memory it has to hold)")
    plan = json.loads((out / "plan.json").read_text(encoding="utf-8"))
    traces = []
    for history in load(Path(args.dump), where, plan):
        history.begin_at(args.since)
        traces.append((history, check(history, round(args.late * history.hz / 1e6))))
    for history, rows in traces:
        print(report(history, rows), end="")
    if args.json:
        write(args.json, chrome.text(traces))
    if args.svg:
        title = f"{plan['image']} on {plan['board']['name']}"
        write(args.svg, picture.svg([history for history, _ in traces], title, args.begin, args.length))
    faults = sum(len(history.faults) for history, _ in traces)
    sys.stdout.flush()
    for history, _ in traces:
        for line in complaints(history):
            print(line, file=sys.stderr)
    if faults:
        raise SystemExit(1)
    print("every guarantee was kept")


def load(file: Path, where: dump.Place, plan: dict[str, Any]) -> list[History]:
    read = dump.read(file.read_bytes(), where)
    found = histories(read, plan)
    if not any(history.events for history in found):
        raise Failed("the trace has no events")
    return found


def write(name: str, text: str) -> None:
    os.makedirs(os.path.dirname(os.path.abspath(name)), exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")
    print(f"wrote {name}")


# ---------------------------------------------------------------- text

def _ms(time: int, hz: int) -> str:
    return f"{time / hz * 1e3:.3f}"


def report(history: History, rows: Sequence[Row]) -> str:
    pool, hz = history.pool, history.hz
    kind = "arinc653" if pool.windows else f"rtds, {pool.placement}"
    lost = f", {history.lost} older ones overwritten" if history.lost else ""
    head = (f"pool {pool.name} on cpu {', '.join(map(str, pool.cores))}: {kind}; {history.events} events{lost}; from "
            f"{history.seconds(history.start):.3f} s to {history.seconds(history.end):.3f} s")
    table = [("ms", "budget", "period", "periods", "ready in all of", "least then", "most ever", "of a core", "longest wait", "bound")]
    for row in rows:
        s = row.server
        bound = "-" if pool.windows else _ms(2 * (s.period - s.budget), hz)
        share = 100 * row.ran / max(1, history.end - history.start)
        table.append((s.name, _ms(s.budget, hz), _ms(s.period, hz), str(row.periods), str(row.busy),
                      "-" if row.least is None else _ms(row.least, hz), _ms(row.most, hz), f"{share:.1f} %", _ms(row.wait, hz), bound))
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    lines = ["  " + "  ".join([line[0].ljust(widths[0]), *(cell.rjust(wide) for cell, wide in zip(line[1:], widths[1:]))])
             for line in table]
    return "\n".join([head, *lines]) + "\n"


def complaints(history: History) -> list[str]:
    """A line for each violation, of each kind the first few."""
    out, counted = [], dict[str, int]()
    for fault in history.faults:
        counted[fault.check] = counted.get(fault.check, 0) + 1
        if counted[fault.check] <= MOST:
            out.append(f"error: pool {history.pool.name}: {fault.check}: at {history.seconds(fault.time):.6f} s: {fault.text}")
    return out + [f"error: pool {history.pool.name}: {name}: {count - MOST} more" for name, count in counted.items() if count > MOST]
