# SPDX-License-Identifier: Apache-2.0
"""`bulkhead board-from-dtb`: a first board folder from a devicetree, with what is known and what is to be confirmed."""
from __future__ import annotations

import argparse
import os
import shutil
from dataclasses import dataclass, replace
from typing import Optional

from . import hardware_x86, uarts
from .addresses import split
from .boardfile import BoardFile
from .diag import Diagnostic, Refused, hex_range, size_text
from .fdt import FdtError, Tree, parse
from .hardware import from_devicetree, memory_nodes, merge, tree_memory, tree_psci
from .model import Hardware, Region, Span

MIB = 1 << 20
ASSUMED = 512 * MIB                                # where nobody says how much RAM there is


@dataclass(frozen=True)
class Soc:
    """Where a family's RAM starts, for devicetrees that leave that to the boot loader."""
    compatible: str                                # of the root node; the beginning of it
    base: int
    source: str
    firmware: tuple[tuple[Region, str], ...] = ()
    psci: bool = False                             # its firmware has PSCI by SMC and adds the node itself


SOCS = (
    Soc("rockchip,", 0x200000, "Rockchip TRMs: DRAM at 0; its first 2 MiB are kept by TF-A and not handed to an OS by U-Boot"),
    Soc("allwinner,sun50i-h616", 0x40000000, "Allwinner H616 manual; TF-A runs in the first 512 KiB",
        ((Region(0x40000000, 0x80000), "TF-A BL31"),)),
    Soc("allwinner,", 0x40000000, "Allwinner A64, H5, H6 manuals, memory mapping"),
    Soc("fsl,imx8m", 0x40000000, "NXP i.MX 8M reference manuals, chapter 2"),
    Soc("fsl,imx8q", 0x80000000, "NXP i.MX 8 reference manuals, chapter 2"),
    Soc("fsl,imx8", 0x80000000, "NXP i.MX 8 reference manuals, chapter 2"),
    Soc("fsl,imx9", 0x80000000, "NXP i.MX 93 reference manual, chapter 2"),
    Soc("fsl,ls", 0x80000000, "NXP Layerscape reference manuals, DRAM region 1; TF-A for Layerscape", psci=True),
    Soc("fsl,lx", 0x80000000, "NXP Layerscape reference manuals, DRAM region 1; TF-A for Layerscape", psci=True),
    Soc("brcm,bcm2711", 0x0, "BCM2711 ARM peripherals, address map; the firmware's stub lies in the first 512 KiB",
        ((Region(0x0, 0x80000), "firmware stub"),)),
    Soc("amd,seattle", 0x8000000000, "AMD Seattle devicetrees with memory in the Linux kernel"),
    Soc("qcom,ipq6018", 0x40000000, "Qualcomm IPQ6018 devicetrees of OpenWrt and U-Boot"),
    Soc("qcom,sm6125", 0x40000000, "memory node of its devicetrees"),
    Soc("qcom,", 0x80000000, "Qualcomm devicetrees: memory@80000000"),
    Soc("hisilicon,hi36", 0x0, "HiSilicon Kirin 960/970, memory node of their devicetrees"),
    Soc("marvell,armada", 0x0, "Marvell Armada 7K/8K/37xx functional specifications, address map"),
    Soc("nvidia,tegra", 0x80000000, "NVIDIA Tegra TRMs, address map"),
    Soc("amlogic,", 0x0, "Amlogic data sheets, memory map"),
    Soc("xlnx,", 0x0, "Xilinx UG1085, address map"),
    Soc("ti,", 0x80000000, "TI K3 TRMs, memory map"),
)


@dataclass(frozen=True)
class NewBoard:
    """What was made: the files, and what the user should look at."""
    folder: str
    files: tuple[str, ...]
    notes: tuple[str, ...]
    hardware: Hardware                 # as it has been read, before a person has filled in what is missing


def add_parser(sub: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command line of `bulkhead board-from-dtb`."""
    parser = sub.add_parser("board-from-dtb", help="make a first board folder from a devicetree blob")
    parser.add_argument("dtb", help="the .dtb, as the kernel or the board's vendor provides it")
    parser.add_argument("-o", "--output", metavar="DIR", help="the new folder (default: boards/<name of the dtb>)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    folder = args.output or os.path.join("boards", os.path.splitext(os.path.basename(args.dtb))[0])
    made = board_from_dtb(args.dtb, folder)
    print(f"{made.folder}: {', '.join(os.path.basename(file) for file in made.files)}")
    for note in made.notes:
        print(f"  to confirm: {note}")
    return 0


@dataclass(frozen=True)
class _Memory:
    regions: tuple[Region, ...]
    firmware: tuple[tuple[Region, str], ...] = ()
    why: str = ""                                  # empty: the devicetree says it


def board_from_dtb(dtb_file: str, folder: str) -> NewBoard:
    """Write a first board folder; refuses what can never be a board, and to overwrite a board that is there."""
    span = Span(dtb_file)
    if os.path.exists(os.path.join(folder, "board.yaml")):
        raise Refused([Diagnostic("BOARD-EXISTS", Span(os.path.join(folder, "board.yaml")), "there is a board in this folder already",
                                  fix="choose another folder with -o, or remove it first")])
    try:
        with open(dtb_file, "rb") as file:
            blob = file.read()
        tree = parse(blob)
    except OSError as error:
        raise Refused([Diagnostic("BOARD-DEVICETREE", span, f"it cannot be read: {error.strerror}")]) from error
    except FdtError as error:
        raise Refused([Diagnostic("BOARD-DEVICETREE", span, f"this is not a devicetree: {error}")]) from error
    memory = find_memory(tree)
    if hardware_x86.is_pc(tree):
        memory = replace(memory, firmware=((hardware_x86.LEGACY, "BIOS"), *memory.firmware))
    hardware = examine(blob, tree, memory, os.path.basename(os.path.abspath(folder)), dtb_file)
    notes = tuple(remarks(hardware, tree, memory))
    os.makedirs(folder, exist_ok=True)
    written = []
    for name, text in (("board.yaml", yaml_text(hardware, tree, memory)), ("README.md", readme_text(hardware, notes))):
        written.append(os.path.join(folder, name))
        with open(written[-1], "w", encoding="utf-8") as out:
            out.write(text)
    written.append(os.path.join(folder, "board.dtb"))
    shutil.copyfile(dtb_file, written[-1])
    return NewBoard(folder, tuple(written), notes, hardware)


def find_memory(tree: Tree) -> _Memory:
    """The devicetree's word; else its empty memory node and what is known of the SoC."""
    given = merge(tree_memory(tree))
    if given:
        return _Memory(given)
    base = _empty_node(tree)
    soc = soc_of(tree)
    if base is not None and not (base == 0 and soc):
        return _Memory((Region(base, ASSUMED),), soc.firmware if soc else (), "the devicetree gives the place, but no size")
    if soc:
        return _Memory((Region(soc.base, ASSUMED),), soc.firmware, f"the devicetree says nothing; place from: {soc.source}")
    return _Memory(())


def soc_of(tree: Tree) -> Optional[Soc]:
    """The first family that one of the root's compatibles begins with, from general ones to special."""
    return next((soc for soc in SOCS for name in reversed(tree.root.compatible) if name.startswith(soc.compatible)), None)


def _empty_node(tree: Tree) -> Optional[int]:
    for node in memory_nodes(tree):
        for base, size in split(node.cells("reg"), (tree.root.address_cells, tree.root.size_cells)):
            if size == 0:
                return base
    return None


def examine(blob: bytes, tree: Tree, memory: _Memory, name: str, dtb_file: str) -> Hardware:
    """The board as it would be loaded; with some RAM in the place of what is not known."""
    board = BoardFile(file="board.yaml", devicetree=dtb_file, memory=memory.regions or (Region(0, ASSUMED),), firmware=memory.firmware,
                      psci="smc" if assume_psci(tree) else "")
    hardware = from_devicetree(blob, name, os.path.dirname(dtb_file), board)
    return hardware if memory.regions else replace(hardware, memory=())


def assume_psci(tree: Tree) -> bool:
    """No psci node, but the CPUs or the SoC's firmware want it: the boot loader adds the node."""
    soc = soc_of(tree)
    if tree_psci(tree) != "none" or "/psci" in tree.nodes:
        return False
    if hardware_x86.is_pc(tree):
        return False
    methods = {node.string("enable-method") for node in tree.nodes.values() if node.string("device_type") == "cpu"}
    return "psci" in methods or (methods == {""} and soc is not None and soc.psci)


def remarks(hardware: Hardware, tree: Tree, memory: _Memory) -> list[str]:
    """What a person has to look at before this board can be trusted."""
    notes = []
    if not memory.regions:
        notes.append("memory: nobody says where the RAM is; fill in 'memory:' in board.yaml")
    elif memory.why:
        notes.append(f"memory: {memory.why}; {size_text(memory.regions[0].size)} is assumed, put in what the board has. "
                     "Bulkhead compares with the firmware's devicetree at boot and refuses what is not there")
    if hardware.uart is None:
        notes.append("console: no serial port that Bulkhead knows (scripts/hvgen/uarts.py); the hypervisor will be silent")
    elif not hardware.uart.rx_mask:
        notes.append(f"console: {hardware.uart.kind} is used for output only; guests get no input from it")
    if assume_psci(tree):
        notes.append("CPUs: the devicetree has no psci node although the firmware should have PSCI; SMC is assumed")
    elif hardware.psci == "none" and not hardware.pc:
        notes.append("CPUs: there is no PSCI, so only the CPU that the firmware boots on can be used")
    if hardware.pc:
        notes.append("power: writes to I/O ports that switch the board off or reset it belong under 'poweroff:' and 'reset:'")
    gic = hardware.gic
    if gic and gic.maintenance == 0:
        notes.append("interrupts: the GIC names no maintenance interrupt")
    if not hardware.iommus and not hardware.pc:
        notes.append("DMA: there is no IOMMU; devices that do DMA can only be given away with 'dma: unprotected'")
    if hardware.pc:
        notes.append("firmware: RAM that ACPI tables and UEFI's services keep (Linux: dmesg | grep -i e820) belongs under 'firmware:'")
    else:
        notes.append("firmware: RAM that secure firmware keeps and that no /reserved-memory node names belongs under 'firmware:'")
    return notes


def yaml_text(hardware: Hardware, tree: Tree, memory: _Memory) -> str:
    """board.yaml, with every key that exists, and a word on each."""
    lines = ["# SPDX-License-Identifier: Apache-2.0",
             f"# Made from {os.path.basename(hardware.dtb_file)} by 'bulkhead board-from-dtb'. "
             "The devicetree is the source of all that is not here.",
             f"description: {_quoted(hardware.model)}",
             "devicetree: board.dtb", ""]
    if memory.regions and not memory.why:
        lines += ["# RAM, from the devicetree: " + ", ".join(f"{r.base:#x} + {size_text(r.size)}" for r in hardware.memory),
                  "#memory: [{base: 0x80000000, size: 1 GiB}]   # would replace it"]
    elif memory.regions:
        lines += [f"# RAM: {memory.why}.", f"# CONFIRM: {size_text(ASSUMED)} is an assumption; put in what the board has.", "memory:"]
        lines += [f"  - {{base: {r.base:#x}, size: {size_text(r.size)}}}" for r in memory.regions]
    else:
        lines += ["# RAM: FILL IN. The devicetree says nothing about it, and the SoC is not known.",
                  "#memory: [{base: 0x80000000, size: 1 GiB}]"]
    lines += ["", "# RAM that the firmware keeps for itself, beside these of the devicetree:"]
    lines += [f"#   {hex_range(r.base, r.size)} {why}" for r, why in hardware.reserved if (r, why) not in memory.firmware] or ["#   (none)"]
    if memory.firmware:
        lines += ["firmware:"] + [f"  - {{base: {r.base:#x}, size: {size_text(r.size)}, what: {why}}}" for r, why in memory.firmware]
    else:
        lines += ["#firmware: [{base: 0x80000000, size: 2 MiB, what: secure firmware}]"]
    if assume_psci(tree):
        lines += ["", "# CONFIRM: the devicetree has no psci node; the firmware should have PSCI.", "psci: smc"]
    lines += ["", "# The hypervisor's serial port; without this line the devicetree's stdout-path."]
    if hardware.uart:
        source = uarts.kind_of(tree.nodes[hardware.uart.path])
        lines += [f"# Registers as in: {source.source}." if source else "", f"console: {hardware.uart.path}"]
    else:
        lines += ["#console: /soc/serial@0"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def readme_text(hardware: Hardware, notes: tuple[str, ...]) -> str:
    gic, uart, pc = hardware.gic, hardware.uart, hardware.pc
    devices = [d for d in hardware.devices if (d.regs or d.ports) and d.enabled]
    facts = [
        ("CPUs", f"{len(hardware.cpus)} ({', '.join(sorted({c.compatible[0] for c in hardware.cpus if c.compatible}))})" +
                 ("" if pc else f", PSCI by {hardware.psci}")),
        ("RAM", ", ".join(f"{r.base:#x} + {size_text(r.size)}" for r in hardware.memory) or "not known"),
        ("reserved", ", ".join(f"{hex_range(r.base, r.size)}" for r, _ in hardware.reserved[:6]) +
                     (f" and {len(hardware.reserved) - 6} more" if len(hardware.reserved) > 6 else "") or "nothing"),
        ("interrupts", f"GICv{gic.version}, {gic.path}" if gic else
                       f"I/O APIC with {pc.ioapic.lines} lines, {pc.ioapic.path}" if pc and pc.ioapic else "none"),
        ("console", f"{uart.kind} at {'I/O port ' if uart.width == 0 else ''}{uart.region.base:#x}, {uart.path}" if uart else "none"),
        ("devices", f"{len(devices)} with registers, {sum(not d.dma for d in devices)} of them known to do no DMA"),
        ("IOMMUs", ", ".join(hardware.iommus) or "none"),
    ]
    lines = ["<!-- SPDX-License-Identifier: Apache-2.0 -->", f"# {hardware.model}", "", "| what | from the devicetree |", "|---|---|"]
    lines += [f"| {what} | {text} |" for what, text in facts]
    lines += ["", "To be confirmed before the board is relied on:", ""] + [f"- {note}" for note in notes]
    return "\n".join(lines) + "\n"
