# SPDX-License-Identifier: Apache-2.0
"""system.yaml texts that several tests use."""
from __future__ import annotations

BOARD = "qemu-virt-arm64"


def hello(cpus: str = "[0]", interrupts: str = "virtual", on_fault: str = "restart", name: str = "hello",
          memory: str = "64 MiB", more: str = "") -> str:
    """One partition entry with the hello guest."""
    return f"""
  {name}:
    cpus: {cpus}
    memory: {memory}
    image: {{raw: guests/hello.bin, offset: 0x80000}}
    console: vuart
    interrupts: {interrupts}
    on-fault: {on_fault}
{more}"""


def guest(name: str, image: str, cpus: str, interrupts: str = "virtual", memory: str = "32 MiB",
          on_fault: str = "stop", more: str = "") -> str:
    """One partition entry with another bare-metal guest of the tree."""
    return f"""
  {name}:
    cpus: {cpus}
    memory: {memory}
    image: {{raw: guests/{image}.bin, offset: 0x80000}}
    console: vuart
    interrupts: {interrupts}
    on-fault: {on_fault}
{more}"""


def linux(cpus: str = "[0, 1]", bootargs: str = "", memory: str = "512 MiB", interrupts: str = "virtual",
          on_fault: str = "stop", name: str = "linux", more: str = "") -> str:
    """One partition entry with Debian's Linux."""
    return f"""
  {name}:
    cpus: {cpus}
    memory: {memory}
    linux: {{kernel: "${{LINUX_KERNEL}}", initrd: "${{LINUX_INITRD}}", bootargs: "console=ttyAMA0 quiet {bootargs}"}}
    console: vuart
    interrupts: {interrupts}
    on-fault: {on_fault}
{more}"""


def system(*partitions: str, board: str = BOARD) -> str:
    return f"# SPDX-License-Identifier: Apache-2.0\nboard: {board}\n\npartitions:" + "".join(partitions)
