# SPDX-License-Identifier: Apache-2.0
"""Faults in watchdogs and resets of devices on a PC: I/O ports, and the table by which the guest finds them."""
from __future__ import annotations

import struct
from typing import Any, Callable

import pytest

from conftest import Checker, run
from planter import Faults
from planter_x86 import PcImage
from test_faults_health import Write

Plant = Callable[[PcImage], None]
fault = FAULTS = Faults()

BODY, ENTRIES, ENTRY = 36, 36 + 32, 24
PORTS = 1 << 63


def word(image: PcImage, offset: int, value: int) -> None:
    image.edit_table("alpha", b"WDAT", offset, struct.pack("<I", value))


@fault("watchdogs-given", "acpi-watchdog", says="a watchdog of 4000000000 ns")
def a_longer_time(image: PcImage) -> None:
    image.part("alpha").watchdog_ns = 4 * 10**9


@fault("watchdogs-given", "acpi-watchdog", says="partition alpha has no watchdog, but a WDAT")
def no_watchdog(image: PcImage) -> None:
    image.part("alpha").watchdog_ns = 0


@fault("watchdogs-given", "acpi-watchdog", "watchdog-ports", says="partition beta has a watchdog, but no WDAT")
def a_watchdog_more(image: PcImage) -> None:
    image.part("beta").watchdog_ns = 10**9


@fault("watchdogs-given", says="on x86 it has none")
def an_interrupt(image: PcImage) -> None:
    image.part("alpha").watchdog_intid = 5


@fault("watchdog-ports", "acpi-watchdog", says="0x3f0..0x3ff of its watchdog meet /serial@3f8")
def ports_of_the_console(image: PcImage) -> None:
    image.part("alpha").watchdog = 0x3f0


@fault("watchdog-ports", "acpi-watchdog", says="of its watchdog meet PCI configuration")
def ports_of_no_node(image: PcImage) -> None:
    image.part("alpha").watchdog = 0xcf0


@fault("watchdog-ports", "acpi-watchdog", says="I/O port 0x600 of its watchdog is something else, too")
def ports_of_the_sleep_register(image: PcImage) -> None:
    image.part("alpha").watchdog = 0x5f1


@fault("watchdog-ports", "acpi-watchdog", says="0xfff8 of its watchdog is no I/O port")
def ports_beyond_the_last(image: PcImage) -> None:
    image.part("alpha").watchdog = 0xfff8


@fault("ports-own", "watchdog-ports", "acpi-watchdog", says="I/O port 0x612 of its watchdog does not exit")
def a_port_passes(image: PcImage) -> None:
    image.port("alpha", 0x612, True)


@fault("watchdog-watched", says="CPU 1 cannot look at its watchdog: the 8254 reaches CPU 0")
def a_core_without_an_alarm_looks(image: PcImage) -> None:
    image.part("alpha").watchdog_cpu = 1


@fault("watchdog-watched", "facts-ioapic", says="nobody can look at its watchdog")
def no_alarm(image: PcImage) -> None:
    image.layout.pc.pit_line = 0xff


@fault("acpi-watchdog", says="entry 0 is not how to refresh at port 0x610")
def refreshed_elsewhere(image: PcImage) -> None:
    word(image, ENTRIES + 8, 0x614)


@fault("acpi-watchdog", says="entry 3 is not how to set the time")
def set_in_memory(image: PcImage) -> None:
    image.edit_table("alpha", b"WDAT", ENTRIES + 3 * ENTRY + 4, b"\0")


@fault("acpi-watchdog", says="entry 3 is not how to set the time")
def set_by_bytes(image: PcImage) -> None:
    image.edit_table("alpha", b"WDAT", ENTRIES + 3 * ENTRY + 7, b"\1")


@fault("acpi-watchdog", says="entry 1 is not how to read what is left")
def a_written_count(image: PcImage) -> None:
    image.edit_table("alpha", b"WDAT", ENTRIES + ENTRY + 1, b"\3")


@fault("acpi-watchdog", says="entry 10 is not how to read why the last life ended")
def another_bit(image: PcImage) -> None:
    word(image, ENTRIES + 10 * ENTRY + 20, 2)


@fault("acpi-watchdog", says="has 11 entries")
def an_action_less(image: PcImage) -> None:
    word(image, BODY + 28, 11)


@fault("acpi-watchdog", says="its flags 0x0")
def switched_off(image: PcImage) -> None:
    image.edit_table("alpha", b"WDAT", BODY + 24, b"\0")


@fault("acpi-watchdog", says="is of a PCI function")
def of_a_function(image: PcImage) -> None:
    image.edit_table("alpha", b"WDAT", BODY + 6, b"\0\0\0")


@fault("acpi-watchdog", says="1 to 30000 counts of 1 ms; its watchdog has 1 to 2000")
def a_promise_too_long(image: PcImage) -> None:
    word(image, BODY + 16, 30000)


@fault("acpi-watchdog", says="counts of 10 ms")
def other_counts(image: PcImage) -> None:
    word(image, BODY + 12, 10)


@fault("acpi-readable", says="the checksum of WDAT")
def a_wrong_sum(image: PcImage) -> None:
    image.put(image.table("alpha", b"WDAT") + 9, b"\x55")


def reset(image: PcImage, part: str, index: int) -> Any:
    return image.view(Write, image.part(part).resets, index)


@fault("device-resets", says="write 1 that resets its devices is not board.yaml")
def another_value(image: PcImage) -> None:
    reset(image, "beta", 1).value = 0x10


@fault("device-resets", says="write 0 that resets its devices is not board.yaml")
def anothers_port(image: PcImage) -> None:
    reset(image, "beta", 0).address = PORTS + 0x3f9


@fault("device-resets", "loader-bounded", says="write 0 that resets its devices is not board.yaml")
def a_port_as_memory(image: PcImage) -> None:
    reset(image, "beta", 0).address = 0x2f9


@fault("device-resets", "loader-bounded", says="write 0 that resets its devices is not board.yaml")
def anothers_register(image: PcImage) -> None:
    reset(image, "alpha", 0).address = 0xfe080010


@fault("device-resets", says="1 writes reset its devices, board.yaml has 0")
def a_write_of_nobody(image: PcImage) -> None:
    gamma = image.part("gamma")
    gamma.resets, gamma.reset_count = image.part("beta").resets, 1


@pytest.mark.parametrize("name, plant, broken, says", FAULTS, ids=[f[0] for f in FAULTS])
def test_fault(pc: Checker, name: str, plant: Plant, broken: set[str], says: str) -> None:
    pc.finds(plant, broken, says)


def test_every_property_has_a_fault(pc: Checker) -> None:
    """Limits of restarts and monitors are those of ARM64, and so are their faults (test_faults_health.py)."""
    manual = run(pc.program, "--manual").stdout
    known = {line.split("**")[1] for line in manual.splitlines() if line.startswith("- **") and "watchdog" in line.split("**")[1]
             and "** (ARM64)" not in line}
    assert "acpi-watchdog" in known
    assert known | {"device-resets"} <= set().union(*(broken for _, _, broken, _ in FAULTS))
