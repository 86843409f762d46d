# SPDX-License-Identifier: Apache-2.0
"""Channels on x86: the same guests and commands, under SVM, under VMX, and with a receiver that shares its core."""
from __future__ import annotations

import pytest

import pc
from configs import guest
from machine import board_arguments
from talking import LINUX_CHANNELS, NO_PANIC, answers, queues, type_to

CHANNELS = """
channels:
  telemetry: {size: 64 KiB, writer: flight, readers: [near, pooled], doorbell: true}
  orders: {size: 8 KiB, peers: [near, flight], doorbell: true}
  queue: {size: 4 KiB, peers: [flight, pooled], doorbell: true}
"""


def talker(name, cpus):
    return (guest(name, "talk", cpus, on_fault="restart").replace("    interrupts: virtual\n", "")
            .replace("{raw: guests/talk.bin, offset: 0x80000}", "{elf: guests/talk.elf}"))


def image_of(build, name, board, vendor, pooled):
    share = "{pool: shared, budget: 2 ms, period: 10 ms}" if pooled else "[2]"
    text = (f"# SPDX-License-Identifier: Apache-2.0\nboard: {board}\n\npartitions:" + talker("flight", "[0]") + talker("near", "[1]")
            + talker("pooled", share) + talker("stranger", "[3]") + ("\npools:\n  shared: {cpus: [2]}\n" if pooled else "") + CHANNELS)
    return build.text(name, text, f"CONFIG_X86=y\nCONFIG_CHANNELS=y\n{vendor}" + ("CONFIG_POOLS=y\n" if pooled else ""))


def ready(one, slow=1):
    for name in ("flight", "near", "pooled", "stranger"):
        one.ports[0].position = 0
        one.expect(rf"^{name}\| talk: ready", 30 * slow, never=NO_PANIC)


def talk(one, slow=1):
    """Both ways, with a writer that readers cannot disturb."""
    type_to(one, 1, "clean telemetry")
    one.expect(r"^flight\| talk: telemetry is all zeros", 20 * slow)
    type_to(one, 1, "say telemetry all is well")
    here = one.ports[0].position
    for name in ("near", "pooled"):
        one.ports[0].position = here
        one.expect(rf"^{name}\| talk: telemetry rang, 1 so far: all is well", 20 * slow, never=NO_PANIC)
    type_to(one, 3, "ring telemetry")
    one.expect(r"^flight\| talk: telemetry rang, 1 so far", 20 * slow)
    type_to(one, 2, "say orders climb")
    one.expect(r"^flight\| talk: orders rang, 1 so far: climb", 20 * slow)
    type_to(one, 2, "bell telemetry", "write telemetry over")
    one.expect(r"talk: the doorbell reads 0x0", 20 * slow)
    at = int(one.expect(r"FAULT near, vcpu 0: write to 0x([0-9a-f]+)", 20 * slow).group(1), 16)
    one.expect(r"there lies channel telemetry, which system.yaml:\d+ gives to flight", 10 * slow)
    one.expect(r"^near\| talk: ready", 30 * slow)
    type_to(one, 2, "read telemetry")
    one.expect(r"^near\| talk: telemetry holds: all is well", 20 * slow)
    type_to(one, 4, f"poke {at + 0x10000:#x}")
    one.expect(rf"FAULT stranger, vcpu 0: write to {at + 0x10000:#x}", 20 * slow)


@pytest.mark.parametrize("pooled", [False, True])
def test_svm(build, machine, pooled):
    image = image_of(build, f"channels-svm-{'pooled' if pooled else 'pinned'}", "qemu-q35", "", pooled)
    one = machine(board_arguments("qemu-q35") + ["-kernel", str(image.elf)])
    ready(one)
    queues(one, 1, 3)
    talk(one)


@pytest.mark.parametrize("number, name", [(2, "near"), (3, "pooled")])
def test_rings_wait_for_the_deaf_but_not_for_the_restarted(build, machine, number, name):
    image = image_of(build, "channels-svm-pooled", "qemu-q35", "", True)
    one = machine(board_arguments("qemu-q35") + ["-kernel", str(image.elf)])
    ready(one)
    type_to(one, number, "deaf telemetry")
    type_to(one, 1, "say telemetry one", "say telemetry two")
    type_to(one, number, "listen telemetry")
    one.expect(rf"^{name}\| talk: telemetry rang, 1 so far: two", 20)
    type_to(one, number, "deaf telemetry")
    type_to(one, 1, "say telemetry three")
    type_to(one, number, "reboot")
    one.expect(rf"^{name}\| talk: ready", 30)
    one.absent(rf"^{name}\| talk: telemetry rang", 1.0)
    type_to(one, 1, "ring telemetry")
    one.expect(rf"^{name}\| talk: telemetry rang, 1 so far: three", 20)


def test_vmx(build, machine):
    image = image_of(build, "channels-vmx", "bochs", "CONFIG_VMX=y\n", False)
    one = machine.bochs(image.elf, limit=400, model="tigerlake")
    ready(one, 6)
    talk(one, 4)


def test_linux_on_channels(build, machine):
    """Debian's kernel as it is: a ring comes to the process as an event of a power supply."""
    image = pc.image_of(build, "channel-linux", pc.guest("flight", "talk", "[0]"),
                        pc.linux("[1]", "bulkhead.test=channel", memory="256 MiB"), LINUX_CHANNELS,
                        vendor=pc.SVM + "CONFIG_CHANNELS=y\n")
    answers(machine(pc.qemu(image)))
