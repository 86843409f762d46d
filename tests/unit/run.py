#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Host unit tests: each test_*.c names on its first lines what it tests (`tests: core/print.c ...`).

A test program is linked with those sources, with cmocka, the address and undefined-behaviour
sanitizers and gcov; gcovr prints the coverage of what was tested.
"""
from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
OUT = REPO / "build/unit"
FLAGS = ("-std=gnu11 -O1 -g -Wall -Wextra -Wconversion -Wshadow -Wvla -Wmissing-prototypes -Werror --coverage "
         "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -no-pie").split()


def sources_of(test: Path) -> list[str]:
    found = re.search(r"tests:\s*([^*]*)", test.read_text(encoding="utf-8"))
    return found.group(1).split() if found else []


def build(test: Path) -> Path:
    program = OUT / test.stem
    folder = OUT / f"{test.stem}.d"
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.gcda"):
        stale.unlink()
    objects = []
    for source in [str(test.relative_to(REPO))] + [f"src/{name}" for name in sources_of(test)]:
        target = folder / (source.replace("/", "_") + ".o")
        command = ["gcc", *FLAGS, "-Isrc/include", "-Isrc", "-Itests/unit", "-DUNIT_TEST", "-c", "-o", str(target), source]
        done = subprocess.run(command, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stdout)
        objects.append(str(target))
    done = subprocess.run(["gcc", *FLAGS, "-o", str(program), *objects, "-lcmocka", "-lm"], cwd=REPO,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stdout)
    return program


def run(test: Path) -> bool:
    try:
        program = build(test)
    except RuntimeError as error:
        print(f"{error}\nFAILED {test.stem}: does not build")
        return False
    environment = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="STDOUT", ASAN_OPTIONS="detect_leaks=0")
    done = subprocess.run([str(program)], cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=120, check=False, env=environment)
    passed = re.findall(r"^\[\s+OK\s+\] (\S+)", done.stdout, re.M)
    failed = sorted(set(re.findall(r"^\[\s+FAILED\s+\] (\S+)", done.stdout, re.M)) - {""})
    failed = [name for name in failed if re.match(r"[a-z_]\w*$", name)]
    if failed or done.returncode != 0:
        print(done.stdout)
    for name in passed:
        print(f"ok {test.stem} {name}")
    for name in failed or (["ended early"] if done.returncode != 0 else []):
        print(f"FAILED {test.stem} {name}")
    return done.returncode == 0 and not failed


def main() -> int:
    wanted = sys.argv[1:]
    tests = [test for test in sorted(HERE.glob("test_*.c")) if not wanted or test.stem in wanted]
    good = all([run(test) for test in tests])
    if tests:
        subprocess.run(["gcovr", "--root", ".", "--filter", "src/", "--exclude-unreachable-branches", "build/unit"], cwd=REPO, check=False)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
