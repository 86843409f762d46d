# SPDX-License-Identifier: Apache-2.0
"""What a switch between vcpus of a pool costs: guests/burner on one core, each noting by the board's clock when it ran last
before a stop and first after it; where one stops, another goes on."""
from __future__ import annotations

import re
import subprocess
import threading
from dataclasses import dataclass
from typing import Iterator, Optional, Sequence

LIMIT_SECONDS = 60
GUESTS = 3
NEAR = 5000                      # instructions: later than that, nobody went on at once
LEAST = 40                       # switches of each kind that must have been seen


@dataclass(frozen=True)
class Stop:
    """to: None: it went to sleep."""
    guest: str
    start: int
    to: Optional[int]


def stops(console: str) -> Iterator[Stop]:
    for guest, start, to in re.findall(r"^([a-z]+)\| edge (\d+) (\d+)\r?$", console, re.MULTILINE):
        yield Stop(guest, int(start), int(to) or None)


def costs(found: Sequence[Stop]) -> dict[str, list[int]]:
    """From each last instruction to the first one that another guest runs after it."""
    begins = sorted((stop.to, stop.guest) for stop in found if stop.to is not None)
    out: dict[str, list[int]] = {"timer": [], "sleep": []}
    for stop in found:
        after = next(((at, guest) for at, guest in begins if at > stop.start), None)
        if after is not None and after[0] - stop.start < NEAR and after[1] != stop.guest:
            out["sleep" if stop.to is None else "timer"].append(after[0] - stop.start)
    return out


def figures(console: str, prefix: str = "switch") -> dict[str, int]:
    """By kind: the least and the most."""
    out = {}
    for kind, seen in costs(list(stops(console))).items():
        if len(seen) < LEAST:
            raise RuntimeError(f"only {len(seen)} switches by {kind} were seen:\n{console[-2000:]}")
        out[f"{prefix}.{kind}-least"], out[f"{prefix}.{kind}-most"] = min(seen), max(seen)
    return out


def measure(argv: list[str], prefix: str = "switch") -> dict[str, int]:
    """argv: QEMU with configs/bench-pools or its like for x86, counting one tick an instruction. The guests go on for ever."""
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace") as qemu:
        assert qemu.stdout is not None
        watch = threading.Timer(LIMIT_SECONDS, qemu.kill)
        watch.start()
        lines, done = [], 0
        for line in qemu.stdout:
            lines.append(line)
            done += "edges: done" in line
            if done == GUESTS:
                break
        qemu.kill()
        watch.cancel()
    return figures("".join(lines), prefix)


def rows() -> tuple[tuple[str, str, Optional[int]], ...]:
    """Keys, titles and goals."""
    return (("switch.timer-least", "A's last to B's first instruction, at the end of a budget", 700),
            ("switch.timer-most", "the same, with periods that end and sleepers that wake just then", None),
            ("switch.sleep-least", "the same, A waits (WFI)", 700),
            ("switch.sleep-most", "the same, A waits, at most", None),
            ("switch-x86.timer-least", "x86 (SVM): A's last to B's first instruction, at the end of a budget", 700),
            ("switch-x86.timer-most", "the same, with periods that end and sleepers that wake just then", None),
            ("switch-x86.sleep-least", "the same, A waits (HLT)", 700),
            ("switch-x86.sleep-most", "the same, A waits, at most", None))
