# SPDX-License-Identifier: Apache-2.0
"""Debian's ARM64 devicetrees, one after the other: a board folder, a system of two partitions, a plan.

By hand: tests/gen/corpus.py [NAME...] [-v] [--plan] [--keep]; --plan stops before compiling and checking.
"""
from __future__ import annotations

import collections
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path
from typing import Iterator, Optional

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from hvgen import config, generate, image, newboard  # noqa: E402
from hvgen.diag import Refused, render  # noqa: E402
from hvgen.model import Device, Hardware, Plan, Region  # noqa: E402
from hvgen.place import overlap, pages  # noqa: E402

PROCESSES = 2
DEVICES = 2                                        # of each partition, where the board has as many
SYSTEM = """board: {board}
partitions:
  first: {{cpus: [0], memory: 16 MiB, image: {{raw: guest.bin, offset: 0x80000}}, console: vuart, devices: [{first}]}}
  second: {{cpus: [1], memory: 24 MiB, image: {{raw: guest.bin, offset: 0x80000}}, interrupts: {mode}, devices: [{second}]}}
"""


@dataclass(frozen=True)
class Outcome:
    """What became of one devicetree. stage: "board", "plan", "generate", "check" is where it ended, "done" that it did not."""
    name: str
    stage: str
    reasons: tuple[str, ...] = ()                  # rule IDs, or "CRASH"
    text: str = ""
    notes: tuple[str, ...] = ()
    devices: int = 0
    seconds: float = 0.0


def folder() -> Optional[Path]:
    """Where the devicetrees are: DTB_CORPUS, or what scripts/fetch unpacked."""
    named = os.environ.get("DTB_CORPUS")
    if named:
        return Path(named)
    found = sorted((ROOT / ".cache" / "root" / "usr/lib").glob("linux-image-*"))
    return found[-1] if found else None


def spare_devices(board: Hardware) -> Iterator[Device]:
    """Devices that can be given away alone: no DMA, and pages and interrupts that nobody else has."""
    holders: dict[int, int] = collections.Counter()
    for device in board.devices:
        for number in {n for r in device.regs for n in range(r.base >> 12, min(r.end + 0xfff >> 12, (r.base >> 12) + 4096))}:
            holders[number] += 1
    lines = collections.Counter(i.intid for d in board.devices for i in d.interrupts)
    kept = [*board.memory, *(board.gic.regions if board.gic else ()), *((board.uart.region,) if board.uart else ())]
    for device in board.devices:
        small = all(r.size <= 1 << 20 for r in device.regs)
        if not (device.regs and device.enabled and small) or device.dma or device.path in board.iommus:
            continue
        if any(holders[n] > 1 for r in device.regs for n in range(r.base >> 12, r.end + 0xfff >> 12)):
            continue
        if any(not 32 <= i.intid < 1020 or lines[i.intid] > 1 for i in device.interrupts):
            continue
        if not any(overlap(pages(r), pages(Region(k.base, k.size))) for r in device.regs for k in kept):
            yield device


def system_yaml(board: Hardware, folder: str) -> tuple[str, int]:
    spare = [f'"{d.path}"' for d in spare_devices(board)][:2 * DEVICES]
    mode = "direct" if board.gic and board.gic.version == 3 else "virtual"
    text = SYSTEM.format(board=folder, mode=mode, first=", ".join(spare[0::2]), second=", ".join(spare[1::2]))
    return text, len(spare)


@dataclass(frozen=True)
class Tools:
    """What is built once: the hypervisor's objects, the checker, and the commands of the Makefile."""
    core: str
    checker: str
    compiler: tuple[str, ...]
    linker: tuple[str, ...]


class Failed(Exception):
    """A tool refused; the text is what it said."""


def build_tools(work: Path) -> Tools:
    """With the project's own Makefile, so that the flags are its."""
    out = work / "tools"
    make = ["make", "-s", "-C", str(ROOT), "CONFIG=configs/hello", f"O={out}"]
    call([*make, f"{out}/core.o", f"{out}/host/hvcheck"])
    said = call([*make, "-j1", "print-CC", "print-CFLAGS", "print-CPPFLAGS", "print-LD"]).splitlines()
    compiler, flags, includes, linker = (line.split() for line in said)
    layout = [str(ROOT / f) if f.startswith("src/") else f.replace("-Isrc/", f"-I{ROOT}/src/") for f in includes]
    return Tools(f"{out}/core.o", f"{out}/host/hvcheck", (*compiler, *flags, *layout), tuple(linker))


def call(command: list[str]) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, env=environment)
    if done.returncode:
        raise Failed(f"{' '.join(command[:3])}...: exit status {done.returncode}\n{done.stdout}")
    return done.stdout


def link(plan: Plan, out: str, tools: Tools) -> str:
    """As the Makefile does it: generate, compile, link, write the checksum."""
    generate.generate(plan, tools.core, out)
    objects = []
    for name in ("layout.c", "tables.c", "images.S"):
        objects.append(os.path.join(out, name[:-2] + ".o"))
        flags = tools.compiler if name.endswith(".c") else tools.compiler[:1]
        call([*flags, "-c", "-o", objects[-1], os.path.join(out, name)])
    elf = os.path.join(out, "bulkhead.elf")
    call([*tools.linker, "-nostdlib", "-static", "--build-id=none", "-z", "noexecstack", "-z", "max-page-size=4096", "--fatal-warnings",
          "-L", out, "-T", str(ROOT / "src/arch/arm64/hv.ld"), "-o", elf, tools.core, *objects])
    Path(elf).write_bytes(image.with_checksum(Path(elf).read_bytes()))
    return elf


def run(job: tuple[str, str, Optional[Tools]]) -> Outcome:
    """One devicetree, all the way; never raises."""
    dtb, work, tools = job
    name = os.path.basename(dtb)[:-len(".dtb")]
    start = time.perf_counter()
    stage, notes, devices = "board", (), 0
    try:
        made = newboard.board_from_dtb(dtb, os.path.join(work, name))
        notes = made.notes
        stage = "plan"
        text, devices = system_yaml(made.hardware, made.folder)
        Path(made.folder, "system.yaml").write_text(text, encoding="utf-8")
        Path(made.folder, "guest.bin").write_bytes(b"\x00\x00\x00\x14" * 64)
        out = os.path.join(made.folder, "out")
        plan = config.load(made.folder, out, str(ROOT)).plan
        if tools is not None:
            stage = "generate"
            elf = link(plan, out, tools)
            stage = "check"
            call([tools.checker, made.folder, elf])
            shutil.rmtree(out)
        return Outcome(name, "done", (), "", notes, devices, time.perf_counter() - start)
    except Refused as refused:
        ids = tuple(dict.fromkeys(d.id for d in refused.diagnostics))
        return Outcome(name, stage, ids, "\n".join(map(render, refused.diagnostics)), notes, devices, time.perf_counter() - start)
    except Failed as failed:
        return Outcome(name, stage, ("REFUSED",), str(failed), notes, devices, time.perf_counter() - start)
    except Exception:  # pylint: disable=broad-except
        return Outcome(name, stage, ("CRASH",), traceback.format_exc(), notes, devices, time.perf_counter() - start)


def run_all(corpus: Path, work: Path, tools: Optional[Tools], names: tuple[str, ...] = ()) -> list[Outcome]:
    jobs = [(str(dtb), str(work), tools) for dtb in sorted(corpus.rglob("*.dtb")) if not names or dtb.stem in names]
    with Pool(PROCESSES) as pool:
        return pool.map(run, jobs, chunksize=8)


def summary(outcomes: list[Outcome]) -> str:
    done = [o for o in outcomes if o.stage == "done"]
    silent = sum(any(n.startswith("console: no") for n in o.notes) for o in done)
    lines = [f"{len(outcomes)} devicetrees, {len(done)} of them with two partitions all the way "
             f"({sum(o.devices for o in done)} devices given away, {silent} boards without a known serial port)"]
    groups: dict[tuple[str, ...], list[str]] = collections.defaultdict(list)
    for outcome in outcomes:
        if outcome.stage != "done":
            groups[(outcome.stage, *outcome.reasons)].append(outcome.name)
    for (stage, *reasons), names in sorted(groups.items()):
        lines.append(f"  {len(names):3} end at {stage}: {', '.join(reasons)}: {', '.join(names)}")
    return "\n".join(lines)


def main() -> None:
    options = {a for a in sys.argv[1:] if a.startswith("-")}
    corpus = folder()
    assert corpus is not None, "DTB_CORPUS is not set, and scripts/fetch has not run"
    work = Path(tempfile.mkdtemp(prefix="corpus-"))
    start = time.perf_counter()
    tools = None if "--plan" in options else build_tools(work)
    outcomes = run_all(corpus, work, tools, tuple(a for a in sys.argv[1:] if a not in options))
    for outcome in outcomes:
        if outcome.stage != "done" and ("-v" in options or outcome.stage in ("generate", "check") or "CRASH" in outcome.reasons):
            print(f"{outcome.name}: {outcome.stage}\n{outcome.text}")
    print(summary(outcomes))
    slowest = max(outcomes, key=lambda o: o.seconds)
    print(f"{time.perf_counter() - start:.1f} s, the slowest {slowest.name} {slowest.seconds:.2f} s")
    if "--keep" in options:
        print(work)
    else:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
