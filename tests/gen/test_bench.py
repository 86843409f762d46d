# SPDX-License-Identifier: Apache-2.0
"""The parts of bench/ that need no machine: counting lines, comparing, the table, reading the probe and the trace."""
from __future__ import annotations

import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "bench"))

import bench  # noqa: E402


def figures(**change: int) -> dict[str, int]:
    found = {row.key: 10 for row in bench.ROWS}
    found.update({key.replace("__", ".").replace("_", "-"): value for key, value in change.items()})
    return found


@pytest.mark.parametrize("text, lines", (
    ("int a;\n", 1),
    ("\n  \n/* one */\n// two\n", 0),
    ("/* a\n b\n c */ int x;\n", 1),
    ("int a; /* and\n more */\nint b;\n", 2),
    ('char *s = "/* no comment */";\nint b;\n', 2),
    ("    stp x0, x1, [sp]   /* saved */\n", 1),
))
def test_code_lines(tmp_path: Path, text: str, lines: int) -> None:
    path = tmp_path / "x.c"
    path.write_text(text, encoding="utf-8")
    assert bench.code_lines(path) == lines


def test_compare_says_what_grew_and_what_shrank() -> None:
    said, failed = bench.compare(figures(virtual__hvc=11, virtual__smc=9), figures())
    assert said == ["GREW: HVC PSCI_VERSION, round trip: 10 before, 11 now",
                    "shrank: SMC PSCI_VERSION, round trip: 10 before, 9 now"]
    assert failed


def test_sizes_may_grow_up_to_their_goal() -> None:
    assert bench.compare(figures(size__lines=6000), figures()) == (
        ["grew: source lines compiled (no blanks, no comments): 10 before, 6,000 now"], False)
    assert bench.compare(figures(size__lines=6001), figures())[1]
    assert not bench.compare(figures(size__lines=7001), figures(size__lines=7000))[1]
    assert bench.compare(figures(size__growth=11), figures())[1]


def test_compare_leaves_out_what_the_baseline_lacks() -> None:
    assert bench.compare(figures(), {}) == ([], False)


def test_growth_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(bench, "BASELINE", tmp_path / "baseline.json")
    tools = {"qemu": "a", "compiler": "b"}
    assert bench.judge(figures(), tools) == 0
    bench.write_json(bench.BASELINE, {"tools": tools, "figures": figures()})
    assert bench.judge(figures(), tools) == 0
    assert bench.judge(figures(virtual__hvc=9), tools) == 0
    assert bench.judge(figures(virtual__hvc=11), {"qemu": "c", "compiler": "b"}) == 1
    said = capsys.readouterr().out
    assert "GREW: HVC PSCI_VERSION, round trip: 10 before, 11 now" in said
    assert "recorded with a, this is c" in said


def test_table_names_goals() -> None:
    text = bench.table(bench.TABLES[0], figures(virtual__hvc=60, bare__hvc=3), markdown=True)
    assert "| HVC PSCI_VERSION, round trip | 193 | 124 | 419 | 3 | 60 | 48 | missed by 12 |" in text
    assert len({line.count("|") for line in text.splitlines()}) == 1


def test_the_table_of_x86_leaves_the_firmware_out() -> None:
    text = bench.table(bench.TABLES[1], figures(bare_x86__boot=16000000, svm__boot=50000, bare_x86__cpuid=1), markdown=True)
    assert "| CPUID | 125 | 769 | 1,278 | 1 | 10 | 60 | reached |" in text
    assert "| firmware's end to the guest's first instruction, 1 GiB | - | 300 M | 2,240 M | - | 50,000 | 1,000,000 | reached |" in text


def test_lines_by_who_compiles_them(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("core.c", "arm.c", "pc.c", "svm.c", "vmx.c")]
    for count, path in enumerate(paths, 1):
        path.write_text("int a;\n" * count, encoding="utf-8")
    core, arm, pc, svm, vmx = paths
    assert bench.line_counts({core, arm}, {core, pc, svm}, {core, pc, vmx}) == {
        "size-lines.shared": 1, "size-lines.arm64": 2, "size-lines.x86": 3, "size-lines.svm": 4, "size-lines.vmx": 5}


@pytest.mark.parametrize("arch", (bench.ARM64, bench.X86), ids=lambda arch: arch.name)
def test_a_qemu_that_does_not_count_is_refused(arch: bench.Arch) -> None:
    bench.check_bare(arch, dict(arch.bare))
    name = next(iter(arch.bare))
    with pytest.raises(bench.BenchError, match=f"does not count exactly: {name}"):
        bench.check_bare(arch, {**arch.bare, name: 250})


def test_every_recorded_figure_has_a_row() -> None:
    if bench.BASELINE.is_file():
        recorded = bench.json.loads(bench.BASELINE.read_text(encoding="utf-8"))
        assert set(recorded["figures"]) == {row.key for row in bench.ROWS}
