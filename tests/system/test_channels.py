# SPDX-License-Identifier: Apache-2.0
"""Channels: what one writes others read and nobody else, doorbells reach every kind of core."""
from __future__ import annotations

import json
import time

import pytest

from configs import guest, linux, system
from machine import board_arguments
from talking import LINUX_CHANNELS, NO_PANIC, answers, queues, type_to

CODE = "CONFIG_CHANNELS=y\nCONFIG_POOLS=y\n"
CHANNELS = """
channels:
  telemetry: {size: 64 KiB, writer: flight, readers: [direct, pooled], doorbell: true}
  orders: {size: 8 KiB, peers: [direct, flight], doorbell: true}
  silent: {size: 4 KiB, writer: pooled, readers: [flight]}
  queue: {size: 4 KiB, peers: [flight, direct], doorbell: true}
"""


def qemu(image):
    return board_arguments("qemu-virt-arm64", cpu="cortex-a57", smp="8", m="4G") + ["-kernel", str(image.bin)]


def talkers(build, name, *more, channels=CHANNELS):
    share = "{pool: shared, budget: 2 ms, period: 10 ms}"
    text = system(guest("flight", "talk", "[0]", on_fault="restart"),
                  guest("direct", "talk", "[1]", interrupts="direct", on_fault="restart"),
                  guest("pooled", "talk", share, on_fault="restart").replace("    interrupts: virtual\n", ""),
                  guest("stranger", "talk", "[3]", on_fault="restart"), *more)
    return build.text(name, f"{text}\npools:\n  shared: {{cpus: [2]}}\n{channels}", CODE)


def ready(one, *names):
    for name in names:
        one.ports[0].position = 0
        one.expect(rf"^{name}\| talk: ready", 30, never=NO_PANIC)


@pytest.fixture
def four(build, machine):
    one = machine(qemu(talkers(build, "channels")))
    ready(one, "flight", "direct", "pooled", "stranger")
    return one


def test_memory_is_zero_at_first(build, machine):
    """What an earlier boot left there is gone."""
    image = talkers(build, "channels")
    places = [int(channel["physical"], 16) for channel in json.loads(image.plan.read_text())["channels"]]
    left = [word for place in places for word in ("-device", f"loader,addr={place + 0x800:#x},data=0x5ec2e7,data-len=4")]
    four = machine(qemu(image) + left)
    ready(four, "flight")
    type_to(four, 1, "clean telemetry", "clean silent")
    four.expect(r"^flight\| talk: telemetry is all zeros", 10, never="holds")
    four.expect(r"^flight\| talk: silent is all zeros", 10, never="holds")


def test_a_writer_reaches_readers_on_every_kind_of_core(four):
    type_to(four, 1, "say telemetry all is well")
    here = four.ports[0].position
    for name in ("direct", "pooled"):
        four.ports[0].position = here
        four.expect(rf"^{name}\| talk: telemetry rang, 1 so far: all is well", 10, never=NO_PANIC)
    type_to(four, 2, "ring telemetry")
    four.expect(r"^flight\| talk: telemetry rang, 1 so far", 10)
    type_to(four, 3, "ring telemetry")
    four.expect(r"^flight\| talk: telemetry rang, 2 so far", 10)
    assert "telemetry rang, 2" not in four.ports[0].of("direct")        # readers do not ring each other


def test_peers_answer_each_other(four):
    type_to(four, 1, "say orders climb")
    four.expect(r"^direct\| talk: orders rang, 1 so far: climb", 10)
    type_to(four, 2, "say orders aye")
    four.expect(r"^flight\| talk: orders rang, 1 so far: aye", 10)


def test_a_reader_cannot_write(four):
    type_to(four, 1, "say telemetry before")
    for number, name in ((2, "direct"), (3, "pooled")):
        type_to(four, number, "write telemetry over")
        four.expect(rf"FAULT {name}, vcpu 0: write to 0x140000000 \(1 bytes\), value 0x6f", 10)
        four.expect(r"there lies channel telemetry, which system.yaml:\d+ gives to flight", 5)
        four.expect(rf"^{name}\| talk: ready", 20)
        type_to(four, number, "read telemetry")                     # its restart has not cleared it
        four.expect(rf"^{name}\| talk: telemetry holds: before", 10)


def test_nobody_else_sees_it(four):
    type_to(four, 1, "say telemetry secret")
    type_to(four, 4, "list")
    for what in ("peek 0x140000000", "poke 0x140000000", "poke 0x140010000"):
        type_to(four, 4, what)
        four.expect(rf"FAULT stranger, vcpu 0: {'read of' if what.startswith('peek') else 'write to'} {what[5:]}", 10)
        four.expect(r"there lies channel telemetry", 5)
        four.expect(r"^stranger\| talk: ready", 20)
    assert "channel telemetry:" not in four.ports[0].of("stranger")
    assert "rang, 2" not in four.ports[0].of("direct")


def test_a_channel_without_doorbell(four):
    type_to(four, 3, "write silent quiet")
    four.expect(r"talk: written", 10)
    type_to(four, 1, "read silent")
    four.expect(r"^flight\| talk: silent holds: quiet", 10)


def test_doorbell_reads_zero_and_harms_nobody(four):
    type_to(four, 2, "bell telemetry", "list")
    four.expect(r"^direct\| talk: the doorbell reads 0x0", 10)
    four.expect(r"^direct\| talk: channel telemetry: 0x140000000, 64 KiB, to read", 10)


@pytest.mark.parametrize("number, name", [(2, "direct"), (3, "pooled")])
def test_rings_wait_for_the_deaf_but_not_for_the_restarted(four, number, name):
    type_to(four, number, "deaf telemetry")
    type_to(four, 1, "say telemetry one", "say telemetry two")
    type_to(four, number, "listen telemetry")
    four.expect(rf"^{name}\| talk: telemetry rang, 1 so far: two", 10)
    type_to(four, number, "deaf telemetry")
    type_to(four, 1, "say telemetry three")
    type_to(four, number, "reboot")
    four.expect(rf"^{name}\| talk: ready", 20)
    type_to(four, number, "read telemetry")
    four.expect(rf"^{name}\| talk: telemetry holds: three", 10)
    four.absent(rf"^{name}\| talk: telemetry rang", 1.0)
    type_to(four, 1, "ring telemetry")
    four.expect(rf"^{name}\| talk: telemetry rang, 1 so far: three", 10)


def test_a_ring_that_waits_in_a_list_register_outlives_its_interrupt_being_disabled(four):
    """talk never says whether the interrupt is level- or edge-triggered: that it is edge-triggered comes from the hypervisor."""
    type_to(four, 1, "doze orders")
    four.expect(r"^flight\| talk: dozes", 10)
    type_to(four, 2, "say orders awake")
    four.expect(r"^flight\| talk: orders rang, 1 so far: awake", 10)


def test_the_stopped_and_the_off_are_rung_in_vain(four):
    type_to(four, 2, "off")
    four.expect(r"direct is off", 10)
    type_to(four, 1, "say telemetry still here", "say orders nobody")
    four.expect(r"^pooled\| talk: telemetry rang, 1 so far: still here", 10)
    type_to(four, 1, "read telemetry")
    four.expect(r"^flight\| talk: telemetry holds: still here", 10)


@pytest.mark.parametrize("reader", ["direct", "pooled"])
def test_a_storm_of_doorbells_hurts_no_victim(build, machine, reader):
    """On a core of its own, and in the pool of a receiver."""
    use = "[4]" if reader == "direct" else "{pool: shared, budget: 4 ms, period: 10 ms}"
    victim = guest("victim", "victim", use, memory="16 MiB").replace("    interrupts: virtual\n", "")
    one = machine(qemu(talkers(build, f"storm-{reader}", victim,
                               channels=f"channels:\n  storm: {{size: 4 KiB, writer: flight, readers: [{reader}], doorbell: true}}\n")))
    ready(one, "flight", reader)
    one.expect(r"^victim\| victim: ok 2 ", 60)
    type_to(one, 1, "storm storm")
    one.expect(r"^flight\| talk: storm on storm", 10)
    one.expect(r"^victim\| victim: ok 8 ", 60, never=NO_PANIC + r"|FAULT|victim: [^o\n]")
    one.expect(rf"^{reader}\| talk: storm rang, \d\d+ so far", 10)


def test_queuing_port_between_two_cores(four):
    queues(four, 1, 2)


def test_linux_on_channels(build, machine):
    """Debian's kernel as it is. It is started a second time, so that its own clock is far behind the board's."""
    text = system(guest("flight", "talk", "[0]", more="    monitor: true\n"),
                  linux("[1, 2]", "bulkhead.test=channel", memory="256 MiB"))
    one = machine(qemu(build.text("channel-linux", text + LINUX_CHANNELS, CODE + "CONFIG_MONITOR=y\n")))
    ready(one, "flight")
    time.sleep(3.0)                                                 # samples are valid for 2
    type_to(one, 1, "restart 1")
    one.expect(r"^flight\| talk: restart: 0", 10)
    answers(one)
