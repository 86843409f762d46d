# SPDX-License-Identifier: Apache-2.0
"""Machines whose trace is saved while they run, and what `bulkhead trace` says of it."""
from __future__ import annotations

import subprocess

from machine import REPO, board_arguments, emulator

from hvrun import monitor
from hvtrace import dump

COUNTED = ["-icount", "shift=0,sleep=on"]          # one instruction is 1 ns: what else this machine does delays nothing


def start(image, machine, tmp_path):
    """A machine and its monitor."""
    qemu = monitor.Monitor(tmp_path)
    board = emulator.board_folder(image.config)
    return machine([*board_arguments(str(board)), "-kernel", str(emulator.kernel(image.out)), *qemu.arguments, *COUNTED]), qemu


def traced(image, qemu, tmp_path, *arguments):
    """Save the trace, read it."""
    where = dump.place(str(image.elf))
    qemu.save(where.address, where.size, tmp_path / "trace.bin")
    return subprocess.run([str(REPO / "scripts/bulkhead"), "trace", str(tmp_path / "trace.bin"), "-O", str(image.out), *arguments],
                          capture_output=True, text=True, check=False, timeout=120)


def rows(text):
    """Of each vcpu: periods, and those in which it was ready throughout."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if line.startswith("  ") and words[0] != "ms":
            found[words[0]] = (int(words[-8]), int(words[-7]))
    return found
