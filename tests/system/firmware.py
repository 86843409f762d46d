# SPDX-License-Identifier: Apache-2.0
"""Ways to start an image other than QEMU's -kernel: Debian's U-Boot and UEFI firmware, from a FAT disk."""
from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

from machine import Machine

UBOOT = "/usr/lib/u-boot/qemu_arm64/u-boot.bin"
UEFI = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"
PROMPT = r"^=> "


def fat_disk(target: Path, files: dict[str, Path]) -> Path:
    """A FAT file system (no partition table) with these files in it: {"EFI/BOOT/X.EFI": file}."""
    total = sum(path.stat().st_size for path in files.values())
    target.unlink(missing_ok=True)
    with open(target, "wb") as disk:
        disk.truncate(max(40 << 20, (total * 9 // 8 + (8 << 20)) & ~0xfffff))
    run("/usr/sbin/mkfs.vfat", "-F", "32", str(target))
    folders: set[str] = set()
    for name, path in files.items():
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            if folder not in folders:
                run("mmd", "-i", str(target), f"::{folder}")
                folders.add(folder)
        run("mcopy", "-i", str(target), str(path), f"::{name}")
    return target


def run(*argv: str) -> None:
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stdout}"


def disk_arguments(disk: Path) -> list[str]:
    return ["-drive", f"if=none,id=boot,format=raw,file={disk}", "-device", "virtio-blk-device,drive=boot"]


def uboot_prompt(machine: Machine) -> None:
    """Stop U-Boot's own boot (its 2 s may pass before we are heard, so ask early and often), wait for its prompt."""
    machine.expect(r"U-Boot 20\d\d", 60)
    for _ in range(300):
        machine.send(" ")
        if re.search(PROMPT, machine.text, re.M):
            break
        time.sleep(0.2)
    machine.send("\x03echo rea''dy\n")
    machine.expect(r"^ready", 20)
    machine.expect(PROMPT, 20)
    machine.send("virtio scan\n")
    machine.expect(PROMPT, 20)


def uboot_load(machine: Machine, name: str, address: str) -> None:
    machine.send(f"load virtio 0 {address} {name}\n")
    machine.expect(r"\d+ bytes read in", 60, never=r"\*\* |Failed")
    machine.expect(PROMPT, 20)
