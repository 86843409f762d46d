#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Host unit tests: builds every test_*.c (unit.mk), runs them, prints cmocka's closing lines and the coverage.

    tests/unit/run.py [--built] [TEST...]        for example: tests/unit/run.py test_console
"""
from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parents[1]
FOLDER = os.environ.get("UNIT_O", "build/unit")     # as make is told it, so that it finds what objects depend on
OUT = REPO / FOLDER
TIME_LIMIT = 120


def build(tests: list[str]) -> set[str]:
    """The tests that do not build; what the compiler said is printed."""
    command = ["make", "-s", "-k", f"-j{os.cpu_count() or 1}", "-f", "tests/unit/unit.mk",
               *(f"{FOLDER}/{test}" for test in tests), f"UNIT_O={FOLDER}"]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    done = subprocess.run(command, cwd=REPO, env=kept, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    if done.returncode == 0:
        return set()
    print(done.stdout)
    return {test for test in tests if subprocess.run([*command[:4], "-q", *command[4:6], f"{FOLDER}/{test}", command[-1]],
                                                     cwd=REPO, env=kept, check=False).returncode != 0}


def run(test: str) -> bool:
    environment = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="STDOUT", ASAN_OPTIONS="detect_leaks=0")
    try:
        done = subprocess.run([str(OUT / test)], cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=TIME_LIMIT, check=False, env=environment)
        output, status = done.stdout, done.returncode
    except subprocess.TimeoutExpired as expired:
        output, status = str(expired.stdout or ""), -1
    failed = re.findall(r"^\[\s+FAILED\s+\] ([a-z_]\w*)$", output, re.M)
    if status != 0:
        print(output)
    for name in re.findall(r"^\[\s+OK\s+\] (\S+)", output, re.M):
        print(f"ok {test} {name}")
    for name in sorted(set(failed)) or (["ended early"] if status != 0 else []):
        print(f"FAILED {test} {name}")
    for line in output.splitlines():
        if re.match(r"\[(==========| {2}PASSED {2})\] \d+ test\(s\)", line):
            print(f"{test}: {line}")
    return status == 0


def coverage() -> None:
    filters = [word for folder in ("core", "arch", "drivers") for word in ("--filter", f"src/{folder}/")]
    done = subprocess.run(["gcovr", "--root", ".", *filters, str(OUT)], cwd=REPO, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    print(done.stdout, end="")


def main() -> int:
    arguments = [name for name in sys.argv[1:] if name != "--built"]
    tests = [path.stem for path in sorted(HERE.glob("test_*.c")) if not arguments or path.stem in arguments]
    begin = time.monotonic()
    broken = build(tests) if "--built" not in sys.argv else set()
    for stale in OUT.glob("**/*.gcda"):
        stale.unlink()
    good = not broken
    for test in tests:
        if test in broken:
            print(f"FAILED {test}: does not build")
        else:
            good = run(test) and good
    coverage()
    print(f"unit tests: {time.monotonic() - begin:.0f} s")
    return 0 if good and tests else 1


if __name__ == "__main__":
    sys.exit(main())
