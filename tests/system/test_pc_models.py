# SPDX-License-Identifier: Apache-2.0
"""x86: Debian's kernel on CPUs of many families finds every register that it reads or writes without asking.

Intel's CPUs as QEMU models them have no VMX, but take SVM as an addition: the guest's kernel then goes the ways
that it has for Intel.
"""
from __future__ import annotations

import re

import pytest

from conftest import long
from pc import NO_PANIC, image_of, linux, qemu

MORE = "+svm,+npt,+x2apic,+pdpe1gb,-la57"
MODELS = ("Skylake-Server", "EPYC-Genoa",
          *(long(name) for name in ("Nehalem", "Haswell", "SapphireRapids", "phenom", "Opteron_G3", "EPYC", "EPYC-Rome")))


@pytest.mark.parametrize("model", MODELS)
def test_no_register_is_missing(build, machine, model):
    image = image_of(build, "linux-models", linux("[0, 1]", "loglevel=7", quiet=""))
    one = machine(qemu(image, cpu=f"{model},{MORE}"))
    one.expect(r"^linux\| .*smpboot: CPU0: (?:AMD|Intel) ", 60, never=NO_PANIC)
    one.expect(r"^linux\| Linux is up: 2 CPUs", 90, never=r"FAULT")
    words = r"unchecked MSR access|WARNING: CPU|BUG:|FW_BUG|Firmware Bug|TSC doesn't count|fast string|inconsistent"
    assert not re.findall(rf".*(?:{words}).*", one.of("linux"))
