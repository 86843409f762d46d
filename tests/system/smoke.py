#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`make smoke`: the demo without a person. smoke.py CONFIG O

Boots the image as `make run` does, waits for every partition's first line, types into each console
(switching with Ctrl-a n), and checks the answers. Exit 0 and the log on success, 1 and the reason if not.
"""
from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from machine import Bochs, ConsoleError, Machine, board_arguments, emulator  # noqa: E402


def partitions(config: Path) -> list[str]:
    """Names under `partitions:`, in order: the numbers of Ctrl-a n."""
    names: list[str] = []
    inside = False
    for line in (config / "system.yaml").read_text(encoding="utf-8").splitlines():
        if re.match(r"\S", line) and not line.startswith("#"):
            inside = line.startswith("partitions:")
        found = re.match(r"  ([A-Za-z0-9_-]+):", line)
        if inside and found:
            names.append(found.group(1))
    return names


def converse(machine: Machine, names: list[str], linux: str, hello: str) -> None:
    """Both guests start, in whichever order; then each answers what is typed to it."""
    for pattern in (r"hello: Bulkhead guest", r"Linux is up: 2 CPUs"):
        machine.ports[0].position = 0
        machine.expect(pattern, 90, never=r"^bulkhead\| .*(?:panic|halt)")
    machine.expect(r"linux# ", 30)
    machine.send(f"\x01{names.index(linux) + 1}")
    machine.expect(f"input goes to {linux}", 10)
    machine.send("echo sum=$((6*7)) cpus=$(nproc)\n", pause=0.01)
    machine.expect(r"sum=42 cpus=2", 20)
    machine.send(f"\x01{names.index(hello) + 1}")
    machine.expect(f"input goes to {hello}", 10)
    machine.send("are you there\r", pause=0.01)
    machine.expect(r"you said: are you there", 20)
    machine.expect(r"tick \d+", 10)


def start(config: Path, out: Path) -> Machine:
    board = emulator.board_folder(config)
    if emulator.uses_bochs(board):
        return Bochs(out / "bulkhead.elf", str(board), name="smoke", limit=500)
    return Machine(board_arguments(str(board)) + ["-kernel", str(emulator.kernel(out))], name="smoke", limit=240)


def main() -> int:
    config, out = Path(sys.argv[1]), Path(sys.argv[2])
    names = partitions(config)
    yaml = (config / "system.yaml").read_text(encoding="utf-8")
    linux = next(name for name in names if re.search(rf"^  {name}:(?:(?!^  \S).)*\blinux:", yaml, re.M | re.S))
    hello = next(name for name in names if name != linux)
    try:
        machine = start(config, out)
    except emulator.EmulatorError as error:
        print(f"smoke: FAILED: {error}")
        return 1
    try:
        with machine:
            converse(machine, names, linux, hello)
    except ConsoleError as error:
        print(machine.text)
        print(f"smoke: FAILED: {error}")
        return 1
    print(machine.text)
    print(f"smoke: passed: {linux} and {hello} started, ran beside each other and answered")
    return 0


if __name__ == "__main__":
    sys.exit(main())
