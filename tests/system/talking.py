# SPDX-License-Identifier: Apache-2.0
"""What tests of channels do on both architectures: with guests/talk, and with guests/linux/answer.c."""
from __future__ import annotations

from typing import Any

NO_PANIC = r"^bulkhead\| .*(?:PANIC|panic|halt)"

# What `answers` needs.
LINUX_CHANNELS = """
channels:
  telemetry: {size: 64 KiB, writer: flight, readers: [linux], doorbell: true}
  orders: {size: 4 KiB, peers: [linux, flight], doorbell: true}
  samples: {size: 4 KiB, writer: flight, readers: [linux]}
"""


def type_to(one: Any, number: int, *lines: str) -> None:
    """Each line to the partition of that number."""
    one.send(f"\x01{number}", pause=0.02)
    one.expect("input goes to", 20)
    for line in lines:
        one.send(line + "\r", pause=0.02)


def queues(one: Any, source: int, sink: int, slow: int = 1) -> None:
    """A queuing port between two partitions: messages of all sizes in their order, loss told once, rings that keep it going."""
    def typed(number: int, line: str, answer: str) -> Any:
        type_to(one, number, line)
        return one.expect(rf"talk: queue: {answer}$", 20 * slow, never=NO_PANIC)

    typed(sink, "take queue", "took 0, .*")
    typed(source, "send queue 1 11", "sent 8, lost 3")
    typed(sink, "take queue", "took 8, 1 to 8, 0 wrong, 1 overflows, 0 rings")
    typed(source, "send queue 12 14", "sent 3, lost 0")
    typed(sink, "take queue", "took 3, 12 to 14, 0 wrong, 0 overflows, 0 rings")
    typed(sink, "receive queue", "receives")
    typed(source, "stream queue 15 214", "sent 200, left 0")
    rings = typed(sink, "take queue", r"took 200, 15 to 214, 0 wrong, 0 overflows, (\d+) rings").group(1)
    assert int(rings) > 10                                          # the queue holds 8


def answers(one: Any, slow: int = 1) -> None:
    """Linux' user space hears a bare-metal writer's ring, reads, answers by another channel, and knows how old a sample is."""
    one.expect(r"^linux\| channel: telemetry has 65536 bytes", 90 * slow, never=NO_PANIC + "|FAILED")
    one.expect(r"^flight\| talk: telemetry rang, 1 so far", 20 * slow)      # it listens
    for number, word in enumerate(("climb", "turn left"), 1):
        type_to(one, 1, f"say telemetry {word}")
        one.expect(rf"^linux\| channel: heard {word}", 20 * slow, never="FAULT")
        one.expect(rf"^flight\| talk: orders rang, {number} so far: aye {word}", 20 * slow)
    for age, word, state in ((0, "fresh", "valid"), (3000, "old", "stale")):
        type_to(one, 1, f"sample samples {age} {word}", "say telemetry sample")
        one.expect(rf"^linux\| channel: sample {word} is {state}", 20 * slow, never="FAULT")
    type_to(one, 1, "say telemetry end")
    one.expect(r"self-test channel: passed", 20 * slow, never="FAILED")
