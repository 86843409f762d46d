# SPDX-License-Identifier: Apache-2.0
"""Machines whose trace is saved while they run, and what `bulkhead trace` says of it."""
from __future__ import annotations

import subprocess
import time

from machine import PATIENCE, REPO, board_arguments, emulator

from hvrun import monitor
from hvtrace import dump

COUNTED = ["-icount", "shift=0,sleep=on"]          # one instruction is 1 ns: what else this machine does delays nothing


def start(image, machine, tmp_path):
    """A machine and its monitor."""
    qemu = monitor.Monitor(tmp_path)
    board = emulator.board_folder(image.config)
    return machine([*board_arguments(str(board)), "-kernel", str(emulator.kernel(image.out)), *qemu.arguments, *COUNTED]), qemu


def clock(image, qemu, file):
    """The machine's counter at the latest event, in seconds."""
    where = dump.place(str(image.elf))
    qemu.save(where.address, where.size, file, go_on=True)
    found = dump.read(file.read_bytes(), where)
    return max(ring.events[-1].time for ring in found.rings if ring.events) / found.hz


def run_for(image, qemu, tmp_path, seconds):
    """Of the machine's time, which passes the more slowly the busier it and its host are."""
    limit = time.monotonic() + 120 * PATIENCE
    end = clock(image, qemu, tmp_path / "clock.bin") + seconds
    while clock(image, qemu, tmp_path / "clock.bin") < end:
        assert time.monotonic() < limit, "the machine's time does not pass"
        time.sleep(0.3)


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
