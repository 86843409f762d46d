# SPDX-License-Identifier: Apache-2.0
"""system.yaml texts, machines and boot media of the tests on x86."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from machine import board_arguments

BOARD = "qemu-q35"
BOCHS = "bochs"
SVM = "CONFIG_X86=y\n"
VMX = "CONFIG_X86=y\nCONFIG_VMX=y\n"

# Bochs' CPU models and whose virtualisation they have; boards/bochs/bochsrc says what bx_generic is.
MODELS = {"tigerlake": VMX, "corei7_haswell_4770": VMX, "corei7_skylake_x": VMX, "corei7_icelake_u": VMX, "bx_generic": SVM}

NAMES = {SVM: "svm", VMX: "vmx"}

NO_PANIC = r"^bulkhead\| .*(?:panic|not the board|halt)"


def entry(name: str, image: str, cpus: str, memory: str, on_fault: str, more: str = "", console: str = "vuart") -> str:
    return f"""
  {name}:
    cpus: {cpus}
    memory: {memory}
    {image}
    console: {console}
    on-fault: {on_fault}
{more}"""


def guest(name: str, image: str, cpus: str, memory: str = "32 MiB", on_fault: str = "stop", more: str = "") -> str:
    """One partition entry with a bare-metal guest of the tree."""
    return entry(name, f"image: {{elf: guests/{image}.elf}}", cpus, memory, on_fault, more)


def hello(cpus: str = "[0]", name: str = "hello", memory: str = "64 MiB", on_fault: str = "restart", more: str = "") -> str:
    return guest(name, "hello", cpus, memory, on_fault, more)


def linux(cpus: str = "[0, 1]", bootargs: str = "", memory: str = "512 MiB", on_fault: str = "stop", name: str = "linux",
          more: str = "", quiet: str = "quiet") -> str:
    """One partition entry with Debian's Linux."""
    image = f'linux: {{kernel: "${{LINUX_KERNEL}}", initrd: "${{LINUX_INITRD}}", bootargs: "console=ttyS0 {quiet} {bootargs}"}}'
    return entry(name, image, cpus, memory, on_fault, more)


def system(*partitions: str, board: str = BOARD) -> str:
    return f"# SPDX-License-Identifier: Apache-2.0\nboard: {board}\n\npartitions:" + "".join(partitions)


def image_of(build: Any, name: str, *partitions: str, board: str = BOARD, vendor: str = SVM) -> Any:
    """An image out of partition entries; names of x86 images begin with pc-."""
    return build.text(f"pc-{name}", system(*partitions, board=board), defconfig=vendor)


def qemu(image: Any, board: str = BOARD, **change: str) -> list[str]:
    return board_arguments(board, **change) + ["-kernel", str(image.elf)]


def firmware(bios: str, disk: Path) -> list[str]:
    """With a FAT disk on AHCI, as a PC has it."""
    return board_arguments(BOARD) + ["-bios", bios, "-drive", f"if=none,id=boot,format=raw,file={disk}",
                                     "-device", "ide-hd,drive=boot,bus=ide.0"]
