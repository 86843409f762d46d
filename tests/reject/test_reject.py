# SPDX-License-Identifier: Apache-2.0
"""Wrong input, and the message.  Each folder <ID>[-variant]/ holds a system.yaml and what `check` must say of it.

After a wanted change of messages: BULKHEAD_RECORD=1 rewrites the expectations; read the difference.
"""
from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import struct
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BULKHEAD = ROOT / "scripts" / "bulkhead"
SPDX = "# SPDX-License-Identifier: Apache-2.0\n"
CASES = sorted(p.parent.name for p in HERE.glob("*/system.yaml"))

sys.path.insert(0, str(ROOT / "scripts"))
from hvgen import explain  # noqa: E402
from hvgen.rules import RULES  # noqa: E402

# Rules that no system.yaml of one folder can show; their tests stand below or in tests/gen.
ELSEWHERE = {"BOARD-EXISTS", "CPU-LIMIT", "FILE-MISSING", "HV-NO-ROOM", "IRQ-NONE-FREE", "PART-LIMIT", "RULE-UNKNOWN"}


def elf(machine: int, address: int) -> bytes:
    """The smallest executable: one segment of 16 bytes."""
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, machine, 1, address, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 120, address, address, 16, 16, 16)
    return header + segment + bytes(16)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with the images that the cases name."""
    folder = tmp_path_factory.mktemp("out")
    files = {"tiny.bin": bytes(64), "big.bin": bytes(1 << 20), "empty.bin": b"", "damaged.gz": b"\x1f\x8b\x08" + bytes(20),
             "x86.elf": elf(62, 0x40080000), "outside.elf": elf(183, 0x10000000), "inside.elf": elf(183, 0x40080000)}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def run(*args: str, out: Path) -> Done:
    """The command line in a process of its own."""
    done = subprocess.run([str(BULKHEAD), *args], cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)
    return Done(done.returncode, done.stdout, done.stderr.replace(str(out), "OUT"))


def run_here(monkeypatch: pytest.MonkeyPatch, out: Path, *args: str) -> Done:
    """The same in this process, which is faster."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["bulkhead", *args])
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        status = int(runpy.run_path(str(BULKHEAD))["main"]())
    return Done(status, stdout.getvalue(), stderr.getvalue().replace(str(out), "OUT"))


@pytest.mark.parametrize("name", CASES)
def test_message(name: str, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sorted(out.iterdir())
    done = run_here(monkeypatch, out, "check", f"tests/reject/{name}", "-O", str(out))
    expected = HERE / name / "expected.txt"
    if os.environ.get("BULKHEAD_RECORD"):
        expected.write_text(SPDX + done.stderr)
    assert done.stderr == expected.read_text().replace(SPDX, "")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"error[{rule_of(name)}]" in done.stderr
    assert sorted(out.iterdir()) == before


def rule_of(name: str) -> str:
    """The folder's name without its variant, which is in small letters."""
    return re.sub(r"(-[a-z0-9]+)+$", "", name)


def test_every_rule_is_shown() -> None:
    assert {rule_of(name) for name in CASES} | ELSEWHERE == set(RULES)


def test_every_rule_is_explained() -> None:
    text = (ROOT / "docs" / "rules.md").read_text()
    assert list(explain.paragraphs(text)) == sorted(RULES)
    assert all(len(paragraph) > 60 for paragraph in explain.paragraphs(text).values())


def test_every_id_in_the_source_is_a_rule() -> None:
    used: set[str] = set()
    for file in (ROOT / "scripts" / "hvgen").glob("*.py"):
        used |= set(re.findall(r"(?:Diagnostic|NoRoom|\berror|refuse)\(\s*\"([A-Z]+-[A-Z-]+)\"", file.read_text()))
    assert used <= set(RULES)


def test_explain(out: Path) -> None:
    for rule in RULES:
        text = explain.explain(str(ROOT / "docs" / "rules.md"), rule)
        assert text.startswith(f"{rule}: {RULES[rule]}\n\n")
    done = run("explain", "error[mem-overlap]".removeprefix("error"), out=out)
    assert done.returncode == 0 and done.stdout.startswith("MEM-OVERLAP: fixed memory of two partitions overlaps\n\n")
    assert run("explain", out=out).stdout.count("\n") == len(RULES)


def test_explain_unknown(out: Path) -> None:
    done = run("explain", "MEM-OVERLAPS", out=out)
    assert done.returncode == 1
    assert done.stderr.startswith("explain: error[RULE-UNKNOWN]: there is no rule 'MEM-OVERLAPS'\n"
                                  "  fix: did you mean 'MEM-OVERLAP'?\n")


def test_file_missing(out: Path) -> None:
    done = run("check", "tests/reject/nowhere", out=out)
    assert done.returncode == 1
    assert done.stderr.startswith("tests/reject/nowhere/system.yaml: error[FILE-MISSING]: cannot be read: "
                                  "No such file or directory\n"
                                  "  fix: a configuration folder holds system.yaml and defconfig\n")


def test_generate_writes_nothing_when_it_refuses(out: Path, tmp_path: Path) -> None:
    core = tmp_path / "core.o"
    core.write_bytes(elf(183, 0))
    target = tmp_path / "made"
    done = run("generate", "tests/reject/MEM-TOO-MUCH", "--core", str(core), "-O", str(target), out=out)
    assert done.returncode == 1 and not target.exists()


def test_usage_is_2(out: Path) -> None:
    assert run("chekc", out=out).returncode == 2
