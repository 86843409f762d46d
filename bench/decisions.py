# SPDX-License-Identifier: Apache-2.0
"""What a decision of the scheduler costs, in instructions, with 1 to 64 vcpus on a core, and an event of the trace:
bench/decisions.c, bare."""
from __future__ import annotations

import re
import subprocess
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
SIZES = (1, 2, 4, 8, 16, 32, 64)
FLAGS = ("-std=gnu11", "-O2", "-ffreestanding", "-fno-builtin", "-fno-stack-protector", "-fno-strict-aliasing",
         "-fno-asynchronous-unwind-tables", "-ffunction-sections", "-march=armv8-a", "-mgeneral-regs-only", "-mstrict-align",
         "-fpie", "-fvisibility=hidden", "-Isrc/include", "-Iguests/common", "-Iguests/common/arm64",
         "-DGUEST_LINK_BASE=0x40080000")
LINK = ("-nostdlib", "-static-pie", "-Wl,--no-dynamic-linker", "-Wl,--build-id=none", "-Wl,-z,noexecstack", "-Wl,--gc-sections",
        "-Wl,-z,norelro", "-Wl,--no-warn-rwx-segments", "-Wl,--defsym=GUEST_LINK_BASE=0x40080000", "-T", "guests/common/arm64/guest.ld")


def build(out: Path, cross: str) -> Path:
    common = REPO / "guests/common"
    sources = [*sorted(common.glob("*.c")), *sorted(common.glob("arm64/*.c")), *sorted(common.glob("arm64/*.S")),
               REPO / "src/core/sched_rtds.c", REPO / "bench/decisions.c"]
    out.mkdir(parents=True, exist_ok=True)
    subprocess.run([f"{cross}gcc", *FLAGS, *LINK, "-o", str(out / "decisions.elf"), *map(str, sources)], cwd=REPO, check=True)
    subprocess.run([f"{cross}objcopy", "-O", "binary", str(out / "decisions.elf"), str(out / "decisions.bin")], check=True)
    return out / "decisions.bin"


def measure(argv: list[str], cross: str) -> dict[str, int]:
    """argv: QEMU with everything but the kernel, counting one tick an instruction."""
    kernel = build(REPO / "build/bench-decisions", cross)
    done = subprocess.run([*argv, "-kernel", str(kernel)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=120, check=True)
    if "sched: done" not in done.stdout:
        raise RuntimeError(f"the scheduler's bench did not come to its end:\n{done.stdout[-2000:]}")
    return {f"sched.{name}": int(ticks) for name, ticks in re.findall(r"sched: ([a-z]+-\d+) (\d+)", done.stdout)}


def rows() -> tuple[tuple[str, str], ...]:
    """Keys and titles."""
    kinds = (("mean", "a decision, mean"), ("worst", "a decision, at most"),
             ("sleep", "falling asleep, with the decision, at most"), ("wake", "a wake-up, at most"),
             ("all", "a decision with all periods ending at once"))
    decisions = tuple((f"sched.{kind}-{n}", f"scheduler: {title}, {n} vcpu{'s' * (n > 1)}") for kind, title in kinds for n in SIZES)
    return (*decisions, ("sched.event-1", "trace: an event"))
