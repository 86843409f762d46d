# SPDX-License-Identifier: Apache-2.0
"""Every ARM64 devicetree of Debian's kernel: two partitions planned, linked and checked, or a reason with a name."""
from __future__ import annotations

from pathlib import Path

import corpus
import pytest

# Why a devicetree may end early, and of how many of the 577 that is true.
REASONS = {
    ("board", "BOARD-NO-GIC"): 24,     # 5 BCM2837; 19 GICv2 whose node names no GICH and GICV
    ("plan", "CPU-NO-PSCI"): 10,       # spin tables, or no word on how to start the second core
    ("plan", "CPU-UNKNOWN"): 7,        # one core only
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[corpus.Outcome]:
    folder = corpus.folder()
    if folder is None:
        pytest.skip("scripts/fetch has not run: there are no devicetrees")
    work = tmp_path_factory.mktemp("corpus")
    found = corpus.run_all(folder, work, corpus.build_tools(work))
    print("\n" + corpus.summary(found))
    return found


def test_the_corpus_is_there(outcomes: list[corpus.Outcome]) -> None:
    assert len(outcomes) >= 570


def test_nothing_crashes(outcomes: list[corpus.Outcome]) -> None:
    assert not [f"{o.name}: {o.text}" for o in outcomes if "CRASH" in o.reasons]


def test_what_is_planned_is_linked_and_passes_the_checker(outcomes: list[corpus.Outcome]) -> None:
    assert not [f"{o.name}: {o.text}" for o in outcomes if o.stage in ("generate", "check")]


def test_every_other_one_has_a_known_reason(outcomes: list[corpus.Outcome]) -> None:
    ended = [(o.stage, *o.reasons) for o in outcomes if o.stage in ("board", "plan")]
    assert set(ended) <= set(REASONS)
    for reason, count in REASONS.items():
        assert ended.count(reason) <= count, reason


def test_each_takes_a_moment_only(outcomes: list[corpus.Outcome]) -> None:
    """Seconds at most, also while other programs run."""
    assert max(o.seconds for o in outcomes) < 10


def test_reading_a_devicetree_takes_milliseconds(tmp_path: Path) -> None:
    """The largest one of all, alone."""
    import time
    from hvgen import boardfile, hardware
    folder = corpus.folder()
    if folder is None:
        pytest.skip("scripts/fetch has not run: there are no devicetrees")
    largest = max(folder.rglob("*.dtb"), key=lambda f: f.stat().st_size)
    board = boardfile.BoardFile("board.yaml", str(largest), memory=(corpus.Region(0x80000000, 1 << 30),))
    start = time.process_time()
    hardware.from_devicetree(largest.read_bytes(), "largest", str(tmp_path), board)
    assert time.process_time() - start < 0.5
