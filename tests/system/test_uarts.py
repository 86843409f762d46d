# SPDX-License-Identifier: Apache-2.0
"""The table of serial ports (scripts/hvgen/uarts.py) on every kind of port that QEMU models on an arm64 machine.

Each board folder is made by board-from-dtb out of the vendor's devicetree; then the hypervisor's own driver sends,
receives and raises its interrupt with the numbers that came out.
"""
from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import pytest
from machine import QEMU, REPO, Machine, qemu_version

sys.path.insert(0, str(REPO / "scripts"))
sys.path.insert(0, str(REPO / "tests/gen"))

import corpus  # noqa: E402
from hvgen import hardware, newboard  # noqa: E402
from hvgen.model import Hardware  # noqa: E402

FLAGS = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fno-pie", "-no-pie", "-mgeneral-regs-only", "-mstrict-align",
         "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-nostdlib", "-static",
         "-Wl,--build-id=none", "-Wl,-z,max-page-size=4096", "-Wl,--no-warn-rwx-segments"]
SCRIPT = """SECTIONS {
    . = 0;
    .all : { *(.head) *(.text*) *(.rodata*) *(.data*) *(.bss*) }
    /DISCARD/ : { *(.note* .comment .interp .dyn* .gnu* .hash .eh_frame*) }
}
"""


@dataclass(frozen=True)
class Port:
    """machine: QEMU's arguments. dtb: in Debian's package, or "" for QEMU's own. console: empty for the devicetree's choice."""
    name: str
    kind: str
    machine: tuple[str, ...]
    dtb: str
    console: str = ""
    position: int = 0                      # which of QEMU's serial ports it is
    version: tuple[int, int] = (7, 2)


PORTS = (
    Port("virt", "pl011", ("-M", "virt,virtualization=on,gic-version=3", "-cpu", "cortex-a57"), ""),
    Port("virt-gicv2", "pl011", ("-M", "virt,virtualization=on,gic-version=2", "-cpu", "cortex-a57"), ""),
    Port("zcu102", "cadence", ("-M", "xlnx-zcu102,virtualization=on", "-m", "2G", "-audio", "none"), "zynqmp-zcu102-rev1.0.dtb"),
    Port("imx8mp-evk", "imx", ("-M", "imx8mp-evk", "-m", "2G"), "imx8mp-evk.dtb", position=1, version=(10, 0)),
    Port("rpi4-mini", "ns16550", ("-M", "raspi4b", "-m", "2G"), "bcm2711-rpi-4-b.dtb", "serial1", position=1, version=(9, 0)),
    Port("rpi4-pl011", "pl011", ("-M", "raspi4b", "-m", "2G"), "bcm2711-rpi-4-b.dtb", "serial0", version=(9, 0)),
)


def board_of(port: Port, work: Path) -> Hardware:
    if port.dtb:
        folder = corpus.folder()
        if folder is None:
            pytest.skip("scripts/fetch has not run: there are no devicetrees")
        dtb = next(folder.rglob(port.dtb))
    else:
        dtb = work / "qemu.dtb"
        machine = [*port.machine]
        machine[1] += f",dumpdtb={dtb}"
        subprocess.run([QEMU, *machine, "-nic", "none", "-display", "none", "-monitor", "none", "-serial", "null"], check=True,
                       capture_output=True, timeout=30)
    made = newboard.board_from_dtb(str(dtb), str(work / "board"))
    if port.console:
        file = Path(made.folder, "board.yaml")
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("console:")]
        file.write_text("\n".join([*lines, f"console: {port.console}", ""]), encoding="utf-8")
    return hardware.load_board(made.folder, str(REPO))


def layout_c(board: Hardware) -> str:
    uart, gic = board.uart, board.gic
    assert uart is not None and gic is not None
    fields = [f".base = {{ {uart.region.base:#x} }}", f".width = {uart.width}", f".intid = {uart.intid}"]
    fields += [f".{name} = {getattr(uart, name):#x}" for name in (
        "tx", "tx_status", "tx_mask", "tx_ready", "rx", "rx_status", "rx_mask", "rx_ready")]
    for name, writes in (("init", uart.init), ("rx_on", uart.rx_on), ("tx_pre", uart.tx_pre)):
        values = ", ".join(f"{{ {at:#x}, {value:#x} }}" for at, value in writes)
        fields += [f".{name}_count = {len(writes)}", f".{name} = {{ {values or '{ 0, 0 }'} }}"]
    if uart.rx_ack:
        fields += [f".rx_ack = {{ {uart.rx_ack[0]:#x}, {uart.rx_ack[1]:#x} }}", ".rx_ack_used = 1"]
    return ("#include <hv/layout.h>\nconst struct layout layout = { .gic = { .dist = { "
            f"{gic.dist.base:#x} }} }}, .uart = {{ {', '.join(fields)} }} }};\n")


def build(board: Hardware, work: Path) -> Path:
    (work / "layout.c").write_text(layout_c(board), encoding="utf-8")
    (work / "probe.ld").write_text(SCRIPT, encoding="utf-8")
    sources = [REPO / "tests/system/uart/probe.c", REPO / "src/drivers/serial/mmio.c", work / "layout.c"]
    subprocess.run(["aarch64-linux-gnu-gcc", *FLAGS, f"-I{REPO / 'src/include'}", "-T", str(work / "probe.ld"),
                    "-o", str(work / "probe.elf"), *map(str, sources)], check=True)
    subprocess.run(["aarch64-linux-gnu-objcopy", "-O", "binary", str(work / "probe.elf"), str(work / "probe.bin")], check=True)
    return work / "probe.bin"


@pytest.mark.parametrize("port", PORTS, ids=lambda port: port.name)
def test_serial_port(port: Port, tmp_path: Path, machine: Callable[..., Machine]) -> None:
    if qemu_version() < port.version:
        pytest.skip(f"QEMU {'.'.join(map(str, port.version))} or newer models this machine")
    board = board_of(port, tmp_path)
    assert board.uart is not None and board.uart.kind == port.kind
    started = machine([*port.machine, "-nic", "none", "-kernel", str(build(board, tmp_path))], ports=port.position + 1, limit=60)
    console = started.ports[port.position]
    console.expect(r"uart probe: (?:0123456789 [a-z]{26} ){2}ends", 30)
    console.expect(r"^pending: no", 10)
    for character in "xyz":
        console.send(character)
        console.expect(f"^got {character}", 10)
        console.expect(r"^still pending: no", 10)
