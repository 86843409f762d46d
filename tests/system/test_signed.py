# SPDX-License-Identifier: Apache-2.0
"""A FIT that is signed: a U-Boot that holds the public key starts it, and nothing else."""
from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from firmware import PROMPT, UBOOT, disk_arguments, fat_disk, uboot_load, uboot_prompt
from machine import QEMU, REPO, board_arguments


@pytest.fixture(scope="module")
def signed(build: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """bulkhead.itb, signed, and board.dtb with the key that U-Boot is to ask for."""
    folder = tmp_path_factory.mktemp("signed")
    image = build.folder("configs/hello")
    subprocess.run(["openssl", "req", "-batch", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test",
                    "-keyout", str(folder / "dev.key"), "-out", str(folder / "dev.crt")], check=True,
                   capture_output=True)
    dump = [a.replace("gic-version=3", f"gic-version=3,dumpdtb={folder}/board.dtb")
            for a in board_arguments("qemu-virt-arm64")]
    subprocess.run([QEMU, "-display", "none", *dump], check=True, capture_output=True)
    subprocess.run([str(REPO / "scripts/bulkhead"), "image", str(image.out / "bulkhead.unchecked.elf"), "-O",
                    str(folder), "--keys", str(folder), "--public", str(folder / "board.dtb")], check=True)
    return folder


def boot(machine: Any, signed: Path, itb: Path, work: Path) -> Any:
    disk = fat_disk(work / "boot.img", {"bulkhead.itb": itb})
    one = machine([*board_arguments("qemu-virt-arm64"), "-bios", UBOOT, "-dtb", str(signed / "board.dtb"),
                   *disk_arguments(disk)])
    uboot_prompt(one)
    uboot_load(one, "bulkhead.itb", "0x50000000")
    one.send("bootm 0x50000000 - $fdt_addr\n")
    return one


def test_signed_fit(machine: Any, signed: Path, tmp_path: Path) -> None:
    one = boot(machine, signed, signed / "bulkhead.itb", tmp_path)
    one.expect(r"Verifying Hash Integrity \.\.\. sha256,rsa2048:dev\+ OK", 30)
    one.expect(r"^hello\| hello: Bulkhead guest", 60)


def test_fit_without_a_signature_is_refused(machine: Any, build: Any, signed: Path, tmp_path: Path) -> None:
    one = boot(machine, signed, build.folder("configs/hello").itb, tmp_path)
    one.expect(r"Failed to verify required signature", 30, never=r"Bulkhead guest")
    one.expect(PROMPT, 10)
