# SPDX-License-Identifier: Apache-2.0
"""A trace of shared cores, out of the memory of a machine that runs: every guarantee holds, and pictures are made of it."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from configs import hello, system
from machine import REPO
from tracing import rows, run_for, start, traced


def burn(one, number, name):
    one.send(f"\x01{number}", pause=0.01)
    one.expect(f"input goes to {name}", 20)
    one.send("burn 60\r", pause=0.02)
    one.expect(r"busy for 60 s", 20)


@pytest.mark.parametrize("config", ["rtds", "rtds-x86"])
def test_guarantees_of_two_guests_and_linux(build, machine, tmp_path, config):
    image = build.folder(f"configs/{config}")
    one, qemu = start(image, machine, tmp_path)
    with qemu:
        one.expect(r"^linux\| .*Linux is up: 1 CPUs", 120, never=r"^bulkhead\| .*(?:PANIC|panic|halt)")
        one.expect(r"linux# ", 60)
        one.send("\x013", pause=0.01)
        one.expect("input goes to linux", 20)
        one.send("while :; do :; done &\n", pause=0.01)
        burn(one, 1, "control")
        burn(one, 2, "payload")
        run_for(image, qemu, tmp_path, 0.3)
        done = traced(image, qemu, tmp_path, "--json", str(tmp_path / "t.json"), "--svg", str(tmp_path / "t.svg"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every guarantee was kept" in done.stdout
    busy = rows(done.stdout)
    assert busy["control"][1] > 50 and busy["payload"][1] > 10 and busy["linux"][1] > 10, done.stdout
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    assert {"control", "payload", "linux"} <= {event["name"] for event in events if event["ph"] == "X"}
    assert any(event["name"] == "budget spent" for event in events)
    text = "".join(ElementTree.parse(tmp_path / "t.svg").getroot().itertext())
    assert "pool shared: rtds, partitioned" in text and "control" in text


def test_guarantees_on_several_cores(build, machine, tmp_path):
    """Global EDF on two cores, and windows on a third. The cores take turns when instructions are counted, so that one is
    late for what another does."""
    share = "{pool: wide, budget: 20 ms, period: 50 ms, extra-time: false}"
    pools = """
pools:
  wide: {cpus: [0, 1], placement: global}
  fixed:
    cpus: [2]
    scheduler: arinc653
    frame: 100 ms
    windows:
      2: [{partition: four, start: 0 ms, length: 25 ms}, {partition: five, start: 40 ms, length: 50 ms}]
"""
    parts = [hello(share, name=name) for name in ("one", "two", "three")]
    parts += [hello("{pool: fixed}", name=name) for name in ("four", "five")]
    image = build.text("traced", system(*parts) + pools, "CONFIG_POOLS=y\nCONFIG_ARINC653=y\nCONFIG_TRACE=y\nCONFIG_TRACE_KIB=16\n")
    one, qemu = start(image, machine, tmp_path)
    with qemu:
        for number, name in enumerate(("one", "two", "three", "four", "five"), 1):
            one.ports[0].position = 0
            one.expect(rf"^{name}\| hello: Bulkhead guest", 60)
            burn(one, number, name)
        run_for(image, qemu, tmp_path, 0.5)
        done = traced(image, qemu, tmp_path, "--late", "10000")
    assert done.returncode == 0, done.stdout + done.stderr
    busy = rows(done.stdout)
    assert all(busy[name][1] > 1 for name in ("one", "two", "three", "four", "five")), done.stdout


def test_make_trace(build):
    """As a person does it."""
    build.folder("configs/rtds")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    done = subprocess.run(["make", "-C", str(REPO), "CONFIG=configs/rtds", f"O={REPO}/build/test-system/rtds", "trace", "SECONDS=3",
                           f"HOST_O={REPO / 'build/host'}"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          timeout=300, env=environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "every guarantee was kept" in done.stdout
    assert (REPO / "build/test-system/rtds/trace.svg").is_file()


def test_without_a_trace(build, tmp_path):
    image = build.folder("configs/hello")
    done = subprocess.run([sys.executable, str(REPO / "scripts/run"), str(image.config), str(image.out), "--trace",
                           str(tmp_path / "t.bin")], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1 and "was built without CONFIG_TRACE" in done.stderr
