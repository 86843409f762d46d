# SPDX-License-Identifier: Apache-2.0
"""The emulator of a board, out of its folder.

  qemu.args   QEMU's arguments. The first word names the program if it begins with no '-'.
  bochsrc     Bochs' configuration, in which @ISO@ stands for the disc that is booted, and @COM1@ and @COM2@
              for what is connected to the serial ports (as `com1: enabled=1, @COM1@`).

A board that has both is started under QEMU.
"""
from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Mapping, Optional, Sequence

REPO = Path(__file__).resolve().parent.parent.parent
DEFAULT = "qemu-system-aarch64"

# Another build of an emulator than the one that is installed.
REPLACED = {DEFAULT: "QEMU", "qemu-system-x86_64": "QEMU_X86", "bochs": "BOCHS"}


class EmulatorError(Exception):
    """The board cannot be started; the text says why."""


def board_folder(config: Path) -> Path:
    """The board that system.yaml names: a folder under boards/, or a path."""
    found = re.search(r"^board:\s*['\"]?([^'\"#\s]+)", (config / "system.yaml").read_text(encoding="utf-8"), re.M)
    name = found.group(1) if found else "?"
    for folder in (REPO / "boards" / name, config / name, Path(name)):
        if folder.is_dir():
            return folder
    raise EmulatorError(f"no board folder for '{name}'")


def program(name: str) -> str:
    return os.environ.get(REPLACED.get(name, ""), name)


def uses_bochs(board: Path) -> bool:
    return (board / "bochsrc").is_file() and not (board / "qemu.args").is_file()


def qemu_words(board: Path) -> list[str]:
    """The board's qemu.args, the program first."""
    file = board / "qemu.args"
    if not file.is_file():
        raise EmulatorError(f"{board} has no qemu.args: no emulator models this board, or nobody wrote how to start it "
                            "there")
    words = shlex.split(file.read_text(encoding="utf-8"), comments=True)
    return words if words and not words[0].startswith("-") else [DEFAULT, *words]


def kernel(out: Path) -> Path:
    """What -kernel takes: the flat Image on ARM64; on x86 the ELF, whose note QEMU knows, while there is no FIT."""
    return out / ("bulkhead.bin" if (out / "bulkhead.itb").is_file() else "bulkhead.elf")


# ---------------------------------------------------------------- a disc that boots

GRUB_MENU = """set timeout=0
set default=0
menuentry Bulkhead {
    multiboot2 /boot/bulkhead.elf
    boot
}
"""
GRUB_MODULES = "multiboot2 normal iso9660 biosdisk"


def make_disc(elf: Path, target: Path) -> Path:
    """A CD on which GRUB starts the image by multiboot2."""
    if not shutil.which("grub-mkrescue"):
        raise EmulatorError("there is no grub-mkrescue: install grub-common, grub-pc-bin, xorriso and mtools")
    with tempfile.TemporaryDirectory(prefix="bulkhead-disc-") as folder:
        boot = Path(folder, "boot/grub")
        boot.mkdir(parents=True)
        shutil.copyfile(elf, Path(folder, "boot/bulkhead.elf"))
        (boot / "grub.cfg").write_text(GRUB_MENU, encoding="utf-8")
        done = subprocess.run(["grub-mkrescue", "-o", str(target), f"--install-modules={GRUB_MODULES}", "--fonts=",
                               "--locales=", "--themes=", folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
    if done.returncode != 0 or not target.is_file():
        raise EmulatorError(f"grub-mkrescue failed:\n{done.stdout}")
    return target


# ---------------------------------------------------------------- Bochs

# Bochs copies each variable into a buffer of fixed size, and ends where one is too long.
BOCHS_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}


def socket_line(port: int) -> str:
    """A serial port as a TCP connection, which Bochs opens."""
    return f"mode=socket-client, dev=localhost:{port}"


def bochs_command(board: Path, disc: Path, serial: Sequence[str], work: Path,
                  change: Optional[Mapping[str, str]] = None) -> list[str]:
    """Bochs with its configuration written into `work`. change: model, count (cores), guest (MiB of RAM)."""
    text = (board / "bochsrc").read_text(encoding="utf-8")
    for name, value in (change or {}).items():
        text, count = re.subn(rf"\b{name}=[^,\s]+", f"{name}={value}", text)
        if count != 1:
            raise EmulatorError(f"{board}/bochsrc says {count} times what '{name}' is")
    text = text.replace("@ISO@", str(disc))
    for index in (1, 2):
        line = serial[index - 1] if index <= len(serial) else "mode=null"
        text = text.replace(f"@COM{index}@", line)
    (work / "bochsrc").write_text(f"{text}\nlog: {work / 'bochs.log'}\n", encoding="utf-8")
    (work / "commands").write_text("continue\n", encoding="utf-8")      # for Bochs with a debugger built in
    return [program("bochs"), "-q", "-unlock", "-f", str(work / "bochsrc"), "-rc", str(work / "commands")]
