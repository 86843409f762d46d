# SPDX-License-Identifier: Apache-2.0
"""A guest that tries to break out, beside one that watches itself: refused, reported, nobody harmed."""
from __future__ import annotations

import re

import pytest

from configs import guest, hello, system
from machine import board_arguments

# What ends the attacker if the hypervisor does its work, and what the report must name.
FATAL = {
    "beyond": r"0x42000000",
    "below": r"0x3ffffffc",
    "top": r"0xffffffffffc",
    "read 0x9010000": r"/pl031@9010000",
    "write 0x9010000": r"/pl031@9010000",
    "read 0xa000000": r"/virtio_mmio@a000000",
    "write 0x10000000": r"0x10000000",
    "execute 0x50000000": r"0x50000000",
}
ALARM = r"BREACH|CORRUPT|STRAY"


def image_of(build, interrupts):
    return build.text(f"attack-{interrupts}", system(
        guest("bad", "attacker", "[0, 1]", interrupts, on_fault="restart"),
        guest("victim", "victim", "[2]"), hello("[3]")))


def begin(build, machine, interrupts, **change):
    one = machine(board_arguments("qemu-virt-arm64", **change) + ["-kernel", str(image_of(build, interrupts).bin)])
    one.expect(r"^bad\| attacker: ready, 2 vCPUs", 30)
    one.ports[0].position = 0
    one.expect(r"^victim\| victim: ok \d+", 30, never=ALARM)
    return one


def victim_is_well(one):
    one.expect(r"^victim\| victim: ok \d+", 20, never=ALARM)
    one.expect(r"^victim\| victim: ok \d+", 20, never=ALARM)


@pytest.mark.parametrize("cpu", ("cortex-a57", "max"))
@pytest.mark.parametrize("interrupts", ("virtual", "direct"))
def test_all_attacks_that_survive(build, machine, interrupts, cpu):
    """`max` has what newer cores have: branch target identification checks the hypervisor's own jumps."""
    one = begin(build, machine, interrupts, cpu=cpu)
    one.send("all\r", pause=0.02)
    found = one.expect(r"^bad\| attacker: (\d+) held, (\d+) breaches", 90, never=ALARM)
    assert int(found.group(1)) >= 12 and found.group(2) == "0"
    victim_is_well(one)
    assert "hello| tick" in one.text


@pytest.mark.parametrize("interrupts", ("virtual", "direct"))
def test_fatal_attacks(build, machine, interrupts):
    """Each is reported with what lies at the address; the attacker starts again, the others do not notice."""
    one = begin(build, machine, interrupts)
    for attack, named in FATAL.items():
        one.send(f"{attack}\r", pause=0.02)
        one.expect(r"^bulkhead\| FAULT bad", 20, never=ALARM)
        rest = one.ports[0]
        start = rest.position - 200
        one.expect(r"on-fault: it is restarted", 10)
        report = one.text[max(0, start):rest.position]
        assert re.search(named, report), f"{attack}: the report does not name {named}:\n{report}"
        one.expect(r"^bad\| attacker: ready", 20, never=ALARM)
    victim_is_well(one)


@pytest.mark.parametrize("attack", ("redist-other", "pair", "pair-store", "post-index", "unaligned", "exclusive",
                                    "psci-entry"))
def test_odd_accesses(build, machine, attack):
    """Accesses that carry no syndrome, or that no guest should make: held or reported, never a breach."""
    one = begin(build, machine, "virtual")
    one.send(f"{attack}\r", pause=0.02)
    one.expect(r"^bulkhead\| FAULT bad|: held", 20, never=ALARM)
    victim_is_well(one)


@pytest.mark.parametrize("attack", ("spin", "sleep", "flood"))
def test_hogs(build, machine, attack):
    """A partition that spins, sleeps for ever or floods the console costs its neighbours nothing but lines."""
    one = begin(build, machine, "virtual")
    one.send(f"{attack}\r", pause=0.02)
    one.expect(rf"attack {attack}: going", 10)
    victim_is_well(one)
    assert re.search(r"^hello\| tick", one.text[-20000:], re.M)
