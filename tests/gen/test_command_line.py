# SPDX-License-Identifier: Apache-2.0
"""scripts/bulkhead from outside: speed, files, exit status.  Refusals are in tests/reject."""
from __future__ import annotations

import gzip
import json
import os
import platform
import re
import resource
import subprocess
from pathlib import Path

import pytest
import test_images_x86
from test_images import elf, kernel, part

from hvgen import images

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = """\
board: {board}
partitions:
  first:
    cpus: [0, 1]
    memory: 512 MiB
    linux: {{kernel: Image.gz, bootargs: "quiet"}}
    console: vuart
  second:
    cpus: [2]
    memory: 64 MiB
    image: {{raw: guest.bin, offset: 0x80000}}
    interrupts: direct
    devices: [rtc]
    console: vuart
"""


def bulkhead(*args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(ROOT / "scripts/bulkhead"), *map(str, args)], cwd=ROOT, capture_output=True, text=True,
                          check=False, timeout=60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "drone"
    made.mkdir()
    (made / "system.yaml").write_text(SYSTEM.format(board="qemu-virt-arm64"))
    (made / "Image.gz").write_bytes(gzip.compress(kernel()))
    (made / "guest.bin").write_bytes(bytes(5000))
    return made


@pytest.fixture
def core(tmp_path: Path) -> Path:
    source = tmp_path / "core.c"
    source.write_text("int text(void) { return 0; } int data = 1; int bss;\n")
    subprocess.run(["aarch64-linux-gnu-gcc", "-c", "-o", str(tmp_path / "core.o"), str(source)], check=True)
    return tmp_path / "core.o"


def test_check_takes_less_than_a_second(folder: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = bulkhead("check", folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{folder}: accepted: 2 partitions on board qemu-virt-arm64, 3519.4 MiB of RAM left\n"
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


def test_generate_writes_everything(folder: Path, core: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = bulkhead("generate", folder, "--core", core, "-O", out)
    assert done.returncode == 0, done.stderr
    assert {p.name for p in out.iterdir()} >= {"layout.c", "tables.c", "images.S", "sizes.ld", "plan.json", "first.dtb",
                                               "second.dtb", "first.kernel"}
    assert (out / "first.kernel").read_bytes() == kernel()
    assert str(out / "first.kernel") in (out / "images.S").read_text()


def test_generate_is_the_same_each_time_and_leaves_the_same_alone(folder: Path, core: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    bulkhead("generate", folder, "--core", core, "-O", out)
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in out.iterdir() if p.is_file()}
    bulkhead("generate", folder, "--core", core, "-O", out)
    assert before == {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in out.iterdir() if p.is_file()}


def test_a_refusal_leaves_the_output_as_it_was(folder: Path, core: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    bulkhead("generate", folder, "--core", core, "-O", out)
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in out.iterdir() if p.is_file()}
    text = (folder / "system.yaml").read_text()
    (folder / "system.yaml").write_text(text.replace("cpus: [2]", "cpus: [1]"))
    done = bulkhead("generate", folder, "--core", core, "-O", out)
    assert done.returncode == 1 and "error[CPU-TWICE]" in done.stderr
    assert before == {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in out.iterdir() if p.is_file()}


def test_gicv2_is_planned_but_not_built(folder: Path, core: Path, tmp_path: Path) -> None:
    (folder / "system.yaml").write_text(f"board: {ROOT}/tests/reject/boards/v2\npartitions:\n"
                                        "  a: {cpus: [0], memory: 4 MiB, image: {raw: guest.bin}}\n")
    assert bulkhead("check", folder).returncode == 0
    done = bulkhead("generate", folder, "--core", core, "-O", tmp_path / "out")
    assert done.returncode == 1 and "error[NOT-YET]" in done.stderr and not (tmp_path / "out").exists()


def test_plan_json(folder: Path, core: Path, tmp_path: Path) -> None:
    bulkhead("generate", folder, "--core", core, "-O", tmp_path / "out")
    plan = json.loads((tmp_path / "out/plan.json").read_text())
    assert plan["image"] == "drone" and plan["board"]["name"] == "qemu-virt-arm64"
    first, second = plan["partitions"]
    assert (first["cpus"], second["cpus"]) == ([0, 1], [2])
    assert first["memory"][0]["guest"] == "0x40000000" and first["memory"][0]["size"] == 512 << 20
    assert second["vuart"] == {"guest": "0x9000000", "interrupt": 32}
    assert second["devices"] == [{"path": "/pl031@9010000", "line": 13, "interrupts": [34], "dma": "none"}]
    assert plan["console_cpu"] == 0 and sum(r["size"] for r in plan["free"]) > 3 << 30


def test_colours_only_on_a_terminal(folder: Path) -> None:
    (folder / "system.yaml").write_text("board: nowhere\n")
    plain = bulkhead("check", folder)
    assert plain.returncode == 1 and "\033" not in plain.stderr
    coloured = subprocess.run(["script", "-qec", f"{ROOT}/scripts/bulkhead check {folder}", os.devnull], cwd=ROOT,
                              capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL)
    assert "\033[1m\033[31merror[BOARD-UNKNOWN]:\033[0m" in coloured.stdout


def test_elf_guest_goes_into_the_output(folder: Path, core: Path, tmp_path: Path) -> None:
    (folder / "x.elf").write_bytes(elf((0, 0x40080000, b"code", 64), entry=0))
    (folder / "system.yaml").write_text("board: qemu-virt-arm64\npartitions:\n"
                                        "  a: {cpus: [0], memory: 4 MiB, image: {elf: x.elf}}\n")
    out = tmp_path / "out"
    assert bulkhead("generate", folder, "--core", core, "-O", out).returncode == 0
    assert (out / "a.0.bin").read_bytes() == b"code" + bytes(60)


@pytest.mark.parametrize("args", [(), ("chekc",), ("check",), ("generate", "x"), ("check", "x", "--what")])
def test_wrong_usage_is_2(args: tuple[str, ...]) -> None:
    assert bulkhead(*args).returncode == 2


def test_generate_for_x86(folder: Path, tmp_path: Path) -> None:
    """Which code is built stands in defconfig, or in the .config that Kconfig made of it."""
    text = SYSTEM.format(board="qemu-q35").replace("Image.gz", "vmlinuz").replace("0x80000", "0x100000")
    (folder / "system.yaml").write_text(text)
    (folder / "vmlinuz").write_bytes(test_images_x86.bzimage(gzip.compress(test_images_x86.kernel())))
    (folder / "defconfig").write_text("")
    source = tmp_path / "core.c"
    source.write_text("int text(void) { return 0; } int data = 1; int bss;\n")
    core, out = tmp_path / "core.o", tmp_path / "out"
    subprocess.run([*x86_cc(), "-c", "-o", str(core), str(source)], check=True)
    done = bulkhead("generate", folder, "--core", core, "-O", out)
    assert done.returncode == 1 and "error[BOARD-ARCH]" in done.stderr and not out.exists()
    (tmp_path / ".config").write_text("CONFIG_X86=y\n# CONFIG_SVM is not set\nCONFIG_VMX=y\n")
    done = bulkhead("generate", folder, "--core", core, "-O", out, "--kconfig", tmp_path / ".config")
    assert done.returncode == 0 and "warning: the code uses VMX (CONFIG_VMX)" in done.stderr, done.stderr
    assert {p.name for p in out.iterdir()} >= {"layout.c", "tables.c", "images.S", "sizes.ld", "plan.json", "first.boot",
                                               "second.boot", "first.kernel", "report.html"}
    assert json.loads((out / "plan.json").read_text())["hypervisor"]["vmm"] == "vmx"
    assert b"".join(p.data or b"" for p in inspected(folder / "vmlinuz").pieces) == (out / "first.kernel").read_bytes()


def inspected(file: Path) -> images.Image:
    return images.inspect(part("linux", file), "out", "x86")


def x86_cc() -> list[str]:
    return ["gcc"] if platform.machine() == "x86_64" else ["x86_64-linux-gnu-gcc"]


@pytest.mark.parametrize("config", sorted(p.parent.name for p in (ROOT / "configs").glob("*/system.yaml")))
def test_the_configurations_of_the_tree_are_accepted(config: str, tmp_path: Path) -> None:
    """With stand-ins for the guests, which `make` would build, and for Linux."""
    folder = ROOT / "configs" / config
    x86 = "CONFIG_X86=y" in (folder / "defconfig").read_text()
    (tmp_path / "guests").mkdir()
    text = (folder / "system.yaml").read_text()
    for name in re.findall(r"guests/[a-z0-9.-]+", text):
        start = 0x100000 if x86 else 0x40080000
        flat = kernel(image_size=8192) if f"kernel: {name}" in text else bytes(4096)
        (tmp_path / name).write_bytes((elf_x86 if x86 else elf_arm64)(start) if name.endswith(".elf") else flat)
    (tmp_path / "kernel").write_bytes(test_images_x86.kernel() if x86 else kernel())
    (tmp_path / "initrd").write_bytes(bytes(99))
    linux = {"LINUX_KERNEL": str(tmp_path / "kernel"), "LINUX_INITRD": str(tmp_path / "initrd")}
    done = subprocess.run([str(ROOT / "scripts/bulkhead"), "check", str(folder), "-O", str(tmp_path)], cwd=ROOT, capture_output=True,
                          text=True, check=False, timeout=60, env={**os.environ, **linux})
    assert done.returncode == 0 and f"{folder}: accepted" in done.stdout, done.stderr


def elf_x86(start: int) -> bytes:
    return test_images_x86.elf((start, bytes(64), 4096), entry=start, notes=test_images_x86.note(start))


def elf_arm64(start: int) -> bytes:
    return elf((start, start, bytes(64), 4096), entry=start)
