# SPDX-License-Identifier: Apache-2.0
"""A guest on x86 that tries to break out, beside one that watches itself: refused, reported, nobody harmed."""
from __future__ import annotations

import re

import pytest

from conftest import long
from pc import BOCHS, MODELS, NAMES, SVM, VMX, guest, hello, image_of, qemu

# What ends the attacker if the hypervisor does its work, and what the report must name.
FATAL = {
    "beyond": r"0x2000000",
    "read 0xfed00000": r"/hpet@fed00000",
    "write 0xb0000000": r"/pcie@b0000000",
    "write 0x10000000": r"0x10000000",
    "execute 0x50000000": r"0x50000000",
    "apic-page": r"0xfee00",
    "top": r"0x[3f]f+c",
    "triple": r"triple fault",
    "icr-foreign": r"a core that is not the partition's",
    "walk": r"0x2000",
}
# Each ends in a fault report, or is answered as the processor would answer it.
ODD = ("icr-foreign 0xc4600", "startup", "low-vectors", "port-strings", "byte", "word", "quad",
       "unaligned", "crossing", "immediate", "extend", "modify", "exchange", "compare", "prefixed", "push", "string",
       "vector", "fetch", "page-walk", "cr4-reserved", "byte 0xfec00010",
       "modify 0xfed00000", "string 0xfed00000", "task-switch")
ALARM = r"BREACH|CORRUPT|STRAY|PANIC"


def image(build, board="qemu-q35", vendor=SVM):
    return image_of(build, f"attack-{board}-{NAMES[vendor]}", guest("bad", "attacker", "[0, 1]", on_fault="restart"),
                    guest("victim", "victim", "[2]"), hello("[3]"), board=board, vendor=vendor)


def ready(one, slow=1):
    one.expect(r"^bad\| attacker: ready, 2 vCPUs", 30 * slow)
    one.ports[0].position = 0
    one.expect(r"^victim\| victim: ok \d+", 30 * slow, never=ALARM)


def begin(build, machine, **change):
    one = machine(qemu(image(build), **change))
    ready(one)
    return one


def victim_is_well(one, slow=1):
    one.expect(r"^victim\| victim: ok \d+", 20 * slow, never=ALARM)
    one.expect(r"^victim\| victim: ok \d+", 20 * slow, never=ALARM)


def survives_all(one, slow=1):
    one.send("all\r", pause=0.02)
    found = one.expect(r"^bad\| attacker: (\d+) held, (\d+) breaches", 120 * slow, never=ALARM)
    assert int(found.group(1)) >= 20 and found.group(2) == "0"
    victim_is_well(one, slow)
    assert "hello| tick" in one.text


@pytest.mark.parametrize("cpu", ("max,+svm,+npt,+x2apic,-la57", "EPYC,+svm,+npt,+x2apic"))
def test_all_attacks_that_survive(build, machine, cpu):
    survives_all(begin(build, machine, cpu=cpu))


@pytest.mark.parametrize("model", [long(model) for model in ("tigerlake", "corei7_haswell_4770", "bx_generic")])
def test_all_attacks_on_bochs(build, machine, model):
    one = machine.bochs(image(build, BOCHS, MODELS[model]).elf, limit=900, model=model)
    ready(one, 6)
    survives_all(one, 6)


def fatal(one, attack, named, slow=1):
    one.send(f"{attack}\r", pause=0.02)
    one.expect(r"^bulkhead\| FAULT bad", 20 * slow, never=ALARM)
    rest = one.ports[0]
    begin_of_report = rest.position - 200
    one.expect(r"on-fault: it is restarted", 10 * slow)
    report = one.text[max(0, begin_of_report):rest.position]
    assert re.search(named, report), f"{attack}: the report does not name {named}:\n{report}"
    one.expect(r"^bad\| attacker: ready", 20 * slow, never=ALARM + "|FAULT")


def test_fatal_attacks(build, machine):
    """Each is reported with what lies at the address; the attacker starts again, the others do not notice."""
    one = begin(build, machine)
    for attack, named in FATAL.items():
        fatal(one, attack, named)
    victim_is_well(one)


@pytest.mark.parametrize("model", ["tigerlake", long("bx_generic")])
def test_fatal_attacks_on_bochs(build, machine, model):
    """The few whose report differs between the vendors: EPT violation, triple fault, interrupt message."""
    one = machine.bochs(image(build, BOCHS, MODELS[model]).elf, limit=400, model=model)
    ready(one, 4)
    for attack in ("beyond", "icr-foreign", *(["triple"] if MODELS[model] == VMX else [])):   # Bochs' SVM panics itself there
        fatal(one, attack, FATAL[attack], 4)
    victim_is_well(one, 4)


def test_odd_attacks(build, machine):
    """Accesses that no guest should make: held or reported, never a breach; the attacker is there again after each."""
    one = begin(build, machine)
    for attack in ODD:
        one.send(f"{attack}\r", pause=0.02)
        found = one.expect(r"^bulkhead\| FAULT bad|^bad\| .*: held", 20, never=ALARM)
        if "FAULT" in found.group(0):
            one.expect(r"^bad\| attacker: ready", 20, never=ALARM)
    victim_is_well(one)


def nothing_is_left(one, slow=1):
    """Interrupts of every vector, a second NMI and marked registers, and then a fault: the next run finds none of them."""
    for _ in range(3):
        fatal(one, "pending", "0x2000000", slow)
        for attack in ("leftovers", "nmi-self", "calls"):     # it hears, and takes interrupts
            one.send(f"{attack}\r", pause=0.02)
            one.expect(rf"^bad\| attack {attack}: .*held", 20 * slow, never=ALARM)
    victim_is_well(one, slow)


def test_a_restart_leaves_nothing_pending(build, machine):
    nothing_is_left(begin(build, machine))


@pytest.mark.parametrize("model", [long("tigerlake"), long("bx_generic")])
def test_a_restart_leaves_nothing_pending_on_bochs(build, machine, model):
    one = machine.bochs(image(build, BOCHS, MODELS[model]).elf, limit=400, model=model)
    ready(one, 4)
    nothing_is_left(one, 4)


@pytest.mark.parametrize("attack", ("spin", "sleep", "flood", "init-self", "alignment-storm"))
def test_hogs(build, machine, attack):
    """A partition that spins, sleeps, waits or takes exceptions for ever, or floods the console: no harm to others.

    The attack debug-storm has no place here: QEMU 10.0 itself ends ("bql_lock_impl: assertion failed") on a watchpoint
    that the delivery of an exception hits."""
    one = begin(build, machine)
    one.send(f"{attack}\r", pause=0.02)
    one.expect(rf"attack {attack}: going", 10)
    victim_is_well(one)
    assert re.search(r"^hello\| tick", one.text[-20000:], re.M)
