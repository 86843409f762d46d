# SPDX-License-Identifier: Apache-2.0
"""Build the simulator with the host's compiler, around the hypervisor's own scheduler, and run it."""
from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from pathlib import Path
from typing import Callable

from hvgen import diag

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SCHEDULER = (ROOT / "src/core/sched_rtds.c", ROOT / "src/core/sched_arinc.c")
SOURCES = tuple(HERE / name for name in ("main.c", "run.c", "sets.c"))
FLAGS = ("-std=gnu11", "-O2", "-DCONFIG_ARINC653", f"-I{ROOT}/src/include", f"-I{HERE}")


def compile_file(source: Path, into: Path) -> Path:
    """Its object, made anew if it is older than anything it could depend on."""
    made = into / f"{source.stem}.o"
    needs = (source, HERE / "sim.h", ROOT / "src/include/hv/sched.h", ROOT / "src/include/hv/types.h",
             ROOT / "src/include/hv/features.h")
    if not made.exists() or made.stat().st_mtime <= max(need.stat().st_mtime for need in needs):
        _call(*FLAGS, "-c", "-o", str(made), str(source))
    return made


def build(into: Path, scheduler: tuple[Path, ...] = SCHEDULER) -> Path:
    into.mkdir(parents=True, exist_ok=True)
    program = into / "simulate"
    objects = [compile_file(source, into) for source in (*SOURCES, *scheduler)]
    if not program.exists() or program.stat().st_mtime <= max(made.stat().st_mtime for made in objects):
        _call("-o", str(program), *map(str, objects), "-lm")
    return program


def _call(*arguments: str) -> None:
    compiler = os.environ.get("HOSTCC") or shutil.which("gcc") or shutil.which("cc") or "clang"
    try:
        done = subprocess.run([compiler, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    except FileNotFoundError:
        raise diag.Failed(f"the simulator is compiled on this machine, which has no {compiler}") from None
    if done.returncode != 0:
        raise diag.Failed(f"the simulator does not compile:\n{done.stdout}")


def command(program: Path, sets: int, seed: int = 1, first: int = 0, cores: int = 4, kind: str = "all",
            extra: bool = False, overhead: str = "-") -> list[str]:
    return [str(program), str(sets), str(seed), str(first), str(cores), kind, "1" if extra else "0", overhead]


def run(args: argparse.Namespace) -> None:
    program = build(Path(args.out or ROOT / "build/simulate"))
    first, sets = (args.set, 1) if args.set is not None else (0, args.sets)
    status = subprocess.run(command(program, sets, args.seed, first, args.cores, args.kind, args.extra,
                                    "-" if args.overhead is None else str(args.overhead)), check=False).returncode
    if status == 1:
        print("the same set again: the same options with --set N; --set takes the number above")
    if status != 0:
        raise SystemExit(1)


def options(sub: argparse.ArgumentParser) -> None:
    def count(low: int, high: int) -> Callable[[str], int]:
        def parse(text: str) -> int:
            if not low <= int(text) <= high:
                raise argparse.ArgumentTypeError(f"{text} is not in {low} .. {high}")
            return int(text)
        return parse

    sub.add_argument("--sets", type=count(0, 10**12), default=20000, metavar="N", help="so many random sets (default 20000)")
    sub.add_argument("--seed", type=count(0, 2**63), default=1, metavar="S", help="other random sets (default 1)")
    sub.add_argument("--set", type=count(1, 10**12), default=None, metavar="N", help="only set N of the seed, without the named cases")
    sub.add_argument("--cores", type=count(1, 16), default=4, metavar="C", help="pools of 1 to C cores (default 4)")
    kind = sub.add_mutually_exclusive_group()
    kind.add_argument("--global", dest="kind", action="store_const", const="global", default="all", help="only global EDF")
    kind.add_argument("--partitioned", dest="kind", action="store_const", const="partitioned", help="only partitioned EDF")
    kind.add_argument("--windows", dest="kind", action="store_const", const="windows", help="only windows of ARINC 653")
    sub.add_argument("--extra", action="store_true", help="idle time is given to every server")
    sub.add_argument("--overhead", type=count(0, 10**6), default=None, metavar="NS",
                     help="decisions are late by up to NS (default: some sets by up to 2000)")
    sub.add_argument("-O", "--out", default="", help="where the simulator is built (default: build/simulate)")
