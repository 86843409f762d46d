# SPDX-License-Identifier: Apache-2.0
"""A million random sets of servers in the simulator; `make test` runs 20,000 of them (tests/gen)."""
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from machine import REPO


@pytest.mark.long
@pytest.mark.parametrize("seed, cores", [(1, 4), (2, 16)])
def test_half_a_million_sets_have_their_budgets(seed: int, cores: int, tmp_path: Path) -> None:
    done = subprocess.run([str(REPO / "scripts/bulkhead"), "simulate", "--sets", "500000", "--seed", str(seed), "--cores", str(cores),
                           "-O", str(tmp_path)], stdout=subprocess.PIPE, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stdout
    assert "500000 sets, no miss" in done.stdout
