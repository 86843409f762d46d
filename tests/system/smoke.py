#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`make smoke`: an image without a person. smoke.py CONFIG O

Boots it as `make run` does and waits for the first line of every partition that has a console. Linux and the first
`hello` are then typed to (switching with Ctrl-a n) and have to answer; in the drone, flight control goes wrong and has to
come back. Exit 0 and the log on success, 1 and the reason if not.
"""
from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import drone  # noqa: E402
from machine import Bochs, ConsoleError, Machine, board_arguments, emulator  # noqa: E402

NO_PANIC = r"^bulkhead\| .*(?:panic|halt)"


def is_linux(part: dict[str, Any]) -> bool:
    return part["initrd"] is not None


def focus(machine: Machine, parts: list[dict[str, Any]], part: dict[str, Any]) -> None:
    machine.send(f"\x01{parts.index(part) + 1}")
    machine.expect(f"input goes to {part['name']}", 10)


def converse(machine: Machine, parts: list[dict[str, Any]]) -> str:
    """The guests start, in whichever order; then Linux and hello answer what is typed to them. What was seen."""
    heard = [part for part in parts if part["vuart"]]
    if not heard:
        raise ConsoleError("no partition of this image has a console: there is nothing to see of their start")
    for part in heard:
        machine.ports[0].position = 0
        first = rf"Linux is up: {len(part['cpus'])} CPU" if is_linux(part) else r"\S.*\n"
        machine.expect(rf"^{part['name']}\| .*{first}", 90, never=NO_PANIC)
    seen = [part["name"] + " started" for part in heard]
    linux = next((part for part in heard if is_linux(part)), None)
    hello = next((part for part in heard if "Bulkhead guest" in machine.of(part["name"])), None)
    if linux:
        machine.expect(r"linux# ", 30)
        focus(machine, parts, linux)
        machine.send("echo sum=$((6*7)) cpus=$(nproc)\n", pause=0.01)
        machine.expect(rf"sum=42 cpus={len(linux['cpus'])}", 20)
    if hello:
        focus(machine, parts, hello)
        machine.send("are you there\r", pause=0.01)
        machine.expect(r"you said: are you there", 20)
        machine.expect(r"tick \d+", 10)
    answered = " and ".join(part["name"] for part in (linux, hello) if part)
    return ", ".join(seen) + (f"; {answered} answered" if answered else "")


def start(config: Path, out: Path) -> Machine:
    board = emulator.board_folder(config)
    if emulator.uses_bochs(board):
        return Bochs(out / "bulkhead.elf", str(board), name="smoke", limit=500)
    return Machine(board_arguments(str(board)) + ["-kernel", str(emulator.kernel(out))], name="smoke", limit=240)


def main() -> int:
    config, out = Path(sys.argv[1]), Path(sys.argv[2])
    parts = json.loads((out / "plan.json").read_text(encoding="utf-8"))["partitions"]
    try:
        machine = start(config, out)
    except emulator.EmulatorError as error:
        print(f"smoke: FAILED: {error}")
        return 1
    try:
        with machine:
            seen = converse(machine, parts)
            if "guests/flight" in (config / "system.yaml").read_text(encoding="utf-8"):
                seen += "; " + drone.fly(machine)
    except ConsoleError as error:
        print(machine.text)
        print(f"smoke: FAILED: {error}")
        return 1
    print(machine.text)
    print(f"smoke: passed: {seen}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
