# SPDX-License-Identifier: Apache-2.0
"""What channels cost: guests/ringer rings guests on cores with virtual and with direct interrupts, and sends messages
through ARINC 653 ports."""
from __future__ import annotations

import re
import subprocess
import threading
from typing import Optional

LIMIT_SECONDS = 60
CORES = {"channel": 3, "channel-x86": 2}

# Keys, titles.
ROWS = (("doorbell-store", "doorbell, what the store costs who rings"),
        ("doorbell-virtual", "doorbell, to the first instruction of the peer's handler, virtual"),
        ("doorbell-direct", "the same, direct"),
        ("queue-64-send", "queuing port, message of 64 bytes, sending"),
        ("queue-64-receive", "the same, receiving"),
        ("queue-1024-send", "queuing port, message of 1 KiB, sending"),
        ("queue-1024-receive", "the same, receiving"),
        ("sampling-64-write", "sampling port, 64 bytes, writing"),
        ("sampling-64-read", "the same, reading"),
        ("queue-kib", "queuing port, a KiB more in a message, both sides"))

ROWS_X86 = tuple((key, title if title.startswith("the same") and key != "doorbell-direct" else
                  f"x86 (SVM): {title}".replace("the same, direct", "doorbell, to the first instruction of the peer's handler"))
                 for key, title in ROWS if key != "doorbell-virtual")


def rows() -> tuple[tuple[str, str, Optional[int]], ...]:
    """Keys, titles and goals."""
    return tuple((f"{prefix}.{key}", title, None) for prefix, part in (("channel", ROWS), ("channel-x86", ROWS_X86)) for key, title in part)


def measure(argv: list[str], prefix: str = "channel") -> dict[str, int]:
    """argv: QEMU with configs/bench-channels or bench-channels-x86, counting one tick an instruction. The listeners go on for ever."""
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace") as qemu:
        assert qemu.stdout is not None
        watch = threading.Timer(LIMIT_SECONDS, qemu.kill)
        watch.start()
        lines = []
        for line in qemu.stdout:
            lines.append(line)
            if "ringer: done" in line:
                break
        qemu.kill()
        watch.cancel()
    return figures("".join(lines), prefix)


def figures(console: str, prefix: str) -> dict[str, int]:
    found = {name: int(value) for name, value in re.findall(r"ringer: ([a-z0-9-]+) (\d+)", console)}
    missing = [key for key, _ in (ROWS if prefix == "channel" else ROWS_X86) if key not in found and key != "queue-kib"]
    if missing:
        raise RuntimeError(f"guests/ringer has not said {', '.join(missing)}:\n{console[-2000:]}")
    both = {size: found[f"queue-{size}-send"] + found[f"queue-{size}-receive"] for size in (64, 1024)}
    found["queue-kib"] = (both[1024] - both[64]) * 1024 // (1024 - 64)
    return {f"{prefix}.{name}": value for name, value in found.items()}
