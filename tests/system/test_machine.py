# SPDX-License-Identifier: Apache-2.0
"""What the other tests read the console with: lines that another's line broke apart count as whole."""
from __future__ import annotations

import re

import pytest

from machine import glued_search

HELLO = r"^one\| hello: Bulkhead guest"


@pytest.mark.parametrize("text, left", [
    ("one| h\ntwo| tick 18\none| ello: Bulkhead guest, 1 vCPU\n", ""),
    ("two| tick 17\none| h\ntwo| tick 18\none| ello: Bul\ntwo| tick 19\none| khead guest, 1 vCPU\none| tick 1\n", "one| tick 1\n"),
    # What stands before is whole, although another's line follows it.
    ("one| hello: rebooting\nbulkhead| one restarts\none| h\ntwo| tick 18\none| ello: Bulkhead guest, 1 vCPU\n", ""),
])
def test_a_broken_line_is_found(text, left):
    found = glued_search(re.compile(HELLO, re.MULTILINE), text)
    assert found is not None and text[found[1]:].lstrip("\n") == left


@pytest.mark.parametrize("text", [
    "",
    "one| h\none| ello: Bulkhead guest\n",
    "one| h\ntwo| ello: Bulkhead guest\n",
    "one| h\ntwo| tick 18\none| x\none| ello: Bulkhead guest\n",
    "one| hello: rebooting\nbulkhead| one restarts\none| Bulkhead guest\n",
])
def test_other_lines_are_not_joined(text):
    assert glued_search(re.compile(HELLO, re.MULTILINE), text) is None
