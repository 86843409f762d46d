# SPDX-License-Identifier: Apache-2.0
"""The drone of configs/drone: what README shows of it is what it prints, and its shared core keeps what it promises."""
from __future__ import annotations

import re
import subprocess

import drone
from machine import REPO, board_arguments, glued_search
from tracing import rows, start, traced


def shape(line: str) -> "re.Pattern[str]":
    """A line with any figures."""
    parts = re.split(r"-?\b(?:0x[0-9a-f]+|\d+)\b", line)
    return re.compile("^" + r"-?(?:0x[0-9a-f]+|\d+)".join(map(re.escape, parts)) + "$", re.M)


def tour() -> list[str]:
    """The lines of the drone's tour in README that partitions print."""
    text = (REPO / "README.md").read_text(encoding="utf-8")
    part = text[text.index("make run CONFIG=configs/drone"):]
    part = part[:part.index("\n## ")]
    return [line for line in part.splitlines() if re.match(r"(bulkhead|flight|companion|camera|radio|mapper)\| ", line)]


def test_tour(build, machine):
    image = build.folder("configs/drone")
    one = machine(board_arguments("qemu-virt-arm64") + ["-kernel", str(image.bin)])
    drone.fly(one)
    wanted = [line for line in tour() if not line.startswith("companion| linux#")]
    assert len(wanted) > 15
    missing = [line for line in wanted if not shape(line).search(one.text) and not glued_search(shape(line), one.text)]
    assert not missing, missing


def test_guarantees_of_the_payloads(build, machine, tmp_path):
    """While Linux boots beside them, and the flight controller falls and comes back. Cores take turns, see tracing.py."""
    image = build.folder("configs/drone")
    one, qemu = start(image, machine, tmp_path)
    with qemu:
        one.expect(r"Linux is up: 2 CPUs", 120)
        one.send("\x011", pause=0.01)
        one.expect("input goes to flight", 20)
        one.send("stray\r", pause=0.02)
        one.expect(r"flight restarts", 30)
        one.expect(r"flight: life \d+", 30)
        done = traced(image, qemu, tmp_path, "--late", "10000", "--svg", str(tmp_path / "t.svg"))
    assert done.returncode == 0, done.stdout + done.stderr
    found = rows(done.stdout)
    assert found["camera"][0] > 20 and found["radio"][0] > 40 and found["mapper"][1] > 10, done.stdout


def test_smoke(build):
    build.folder("configs/drone")
    done = subprocess.run(["make", "-C", str(REPO), "CONFIG=configs/drone", f"O={REPO}/build/test-system/drone", "smoke",
                           f"HOST_O={REPO / 'build/host'}"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          timeout=400)
    assert done.returncode == 0 and drone.DONE in done.stdout, done.stdout[-4000:] + done.stderr
