# SPDX-License-Identifier: Apache-2.0
"""What happens in the life of a partition, step by step on a console: the same on both architectures. `one` is a machine
that has been started; test_partition.py and test_pc_partition.py say with which configuration."""
from __future__ import annotations


def start(one, name="hello"):
    one.expect(rf"^{name}\| hello: Bulkhead guest", 30)


def listens(one, name="hello"):
    """It has counted once, so it also reads what is typed."""
    one.expect(rf"^{name}\| tick 1", 30)


def input_to(one, number, name):
    one.send(f"\x01{number}")
    one.expect(f"input goes to {name}", 10)


def reset_starts_afresh(one):
    start(one)
    one.expect(r"^hello\| tick 2", 10)
    one.send("reboot\r", pause=0.01)
    one.expect(r"hello: rebooting", 10)
    start(one)
    one.expect(r"^hello\| tick 1$", 10)


def off_leaves_the_neighbour_alone(one):
    """Of `one` and `two`, the first goes."""
    listens(one, "one")
    one.send("off\r", pause=0.01)
    one.expect(r"one\| hello: off", 10)
    one.expect(r"^two\| tick \d+", 10)
    one.absent(r"^one\| tick", 3)
    one.expect(r"^two\| tick \d+", 10)


def fault_is_reported_and_restarts(one, address):
    """`bad`, the attacker, writes beyond its memory, which ends at the address."""
    one.expect(r"^bad\| attacker: ready", 30)
    input_to(one, 2, "bad")
    one.send("beyond\r", pause=0.01)
    found = one.expect(r"^bulkhead\| FAULT bad, vcpu 0: write to 0x(\w+)", 10)
    assert int(found.group(1), 16) == address
    one.expect(r"system\.yaml:\d+", 5)
    one.expect(r"^bad\| attacker: ready", 20)
    one.expect(r"^other\| tick", 10)


def fault_stops(one):
    listens(one, "bad")
    input_to(one, 2, "bad")
    one.send("fault\r", pause=0.01)
    one.expect(r"^bulkhead\| FAULT bad", 10)
    one.expect(r"it is stopped", 10)
    one.expect(r"^other\| tick", 10)
    one.absent(r"^bad\| tick", 3)


def fault_resets_the_board(one):
    """The machine ends with a reset."""
    listens(one)
    one.send("fault\r", pause=0.01)
    one.expect(r"the board is reset", 10)
    assert one.ended(20) == 0


def fault_on_a_device_names_it(one, address, device):
    listens(one)
    one.send(f"fault {address:#x}\r", pause=0.01)
    one.expect(r"^bulkhead\| FAULT hello", 10)
    one.expect(rf"there lies {device}, which system.yaml gives to nobody", 5)


def console_help_and_switch(one):
    start(one, "one")
    one.ports[0].position = 0
    listens(one, "two")
    one.send("\x01?")
    one.expect(r"1 one.*<- input", 10)
    one.expect(r"2 two", 10)
    input_to(one, 2, "two")
    one.send("who is there\r", pause=0.01)
    one.expect(r"^two\| .*you said: who is there", 10)
    one.send("\x017")
    one.expect(r"no such console", 10)


def every_line_has_its_prefix(one):
    for tick in (2, 4, 6):
        one.expect(rf"tick {tick}", 20)
    complete = one.text.split("\n")[:-1]
    assert [line for line in complete if line and not line.startswith(("one| ", "two| ", "bulkhead| "))] == []


def linux_reboots(one):
    for _ in range(2):
        one.expect(r"^linux\| Linux is up: 2 CPUs", 90)
        one.expect(r"self-test smoke: passed", 60)
    one.expect(r"^hello\| tick", 10)


def linux_powers_off(one):
    one.expect(r"self-test smoke: passed", 120)
    one.expect(r"^hello\| tick", 10)
    one.absent(r"Linux is up", 5)
