# SPDX-License-Identifier: Apache-2.0
"""A board's devicetree and board.yaml -> model.Hardware."""
from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import replace
from typing import Iterable, Literal, Optional

from . import addresses, boardfile, hardware_x86, interrupts, nodma, pci, uarts
from .boardfile import BoardFile
from .diag import Diagnostic, Refused, did_you_mean, hex_range
from .fdt import FdtError, Node, Tree, parse
from .model import PORTS, Cpu, Device, Gic, Hardware, Interrupt, Region, Span, Timer, Uart, Write

GICV3 = ("arm,gic-v3",)
GICV2 = ("arm,gic-400", "arm,cortex-a15-gic", "arm,cortex-a7-gic", "arm,gic-v2", "qcom,msm-qgic2", "arm,tc11mp-gic", "arm,cortex-a9-gic")
TIMERS = ("arm,armv8-timer", "arm,armv7-timer")
PSCI = ("arm,psci-1.0", "arm,psci-0.2", "arm,psci")
REDIST_STRIDE = 0x20000                            # two frames of 64 KiB; GICv4 has four (IHI 0069 12.10)
GICC_SIZE = 0x2000                                 # GICC_DIR is in the second page (IHI 0048 4.1.2)
AFFINITY = 0xff00ffffff                            # Aff3 and Aff2..Aff0 (DDI 0487, MPIDR_EL1)

# Nodes that hold no device although they may have a `reg`.
NO_DEVICES = ("/cpus", "/reserved-memory", "/memory", "/chosen", "/aliases", "/__symbols__", "/__fixups__", "/__local_fixups__")


# ---------------------------------------------------------------- finding and reading a board

def load_board(name_or_path: str, repo_root: str, span: Span = Span("")) -> Hardware:
    """The board of that name under <repo_root>/boards, or the board folder at that path.

    `span` is where the name was written; what is wrong inside the board's own files is reported there.
    """
    folder = find_folder(name_or_path, repo_root, span)
    board = boardfile.read(folder)
    blob, sources = read_devicetree(board)
    name = os.path.basename(os.path.abspath(folder))
    return replace(from_devicetree(blob, name, folder, board), inputs=(board.file, *sources))


def board_names(repo_root: str) -> tuple[str, ...]:
    boards = os.path.join(repo_root, "boards")
    if not os.path.isdir(boards):
        return ()
    return tuple(sorted(n for n in os.listdir(boards) if os.path.isfile(os.path.join(boards, n, "board.yaml"))))


def find_folder(name_or_path: str, repo_root: str, span: Span) -> str:
    for folder in (os.path.join(repo_root, "boards", name_or_path), name_or_path):
        if os.path.isfile(os.path.join(folder, "board.yaml")):
            return os.path.normpath(folder)
    names = board_names(repo_root)
    known = f"the boards are {', '.join(names)}" if names else "boards/ has none"
    if os.path.isdir(name_or_path):
        known = f"the folder {name_or_path} has no board.yaml; 'bulkhead board-from-dtb' makes one"
    raise Refused([Diagnostic("BOARD-UNKNOWN", span, f"there is no board '{name_or_path}'", ((None, known),),
                              did_you_mean(name_or_path, names))])


def read_devicetree(board: BoardFile) -> tuple[bytes, tuple[str, ...]]:
    """The flattened devicetree, and the files that it was made of."""
    if board.devicetree.endswith(".dts"):
        return _compile(board)
    try:
        with open(board.devicetree, "rb") as file:
            return file.read(), (board.devicetree,)
    except OSError as error:
        raise Refused([Diagnostic("BOARD-DEVICETREE", board.devicetree_span,
                                  f"{board.devicetree} cannot be read: {error.strerror}")]) from error


def _compile(board: BoardFile) -> tuple[bytes, tuple[str, ...]]:
    """By dtc, with labels kept (-@); dtc also says what was included (-d)."""
    with tempfile.NamedTemporaryFile("r") as depfile:
        command = ["dtc", "-q", "-@", "-I", "dts", "-O", "dtb", "-d", depfile.name, board.devicetree]
        try:
            done = subprocess.run(command, capture_output=True, check=False)
        except FileNotFoundError as error:
            raise Refused([Diagnostic("BOARD-DEVICETREE", board.devicetree_span,
                                      "dtc is needed to read a .dts", fix="install device-tree-compiler")]) from error
        read = depfile.read().partition(":")[2].split()
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise Refused([Diagnostic("BOARD-DEVICETREE", Span(board.devicetree), "dtc refuses it", tuple((None, line) for line in lines[:8]))])
    return done.stdout, tuple(dict.fromkeys(os.path.normpath(file) for file in read))


# ---------------------------------------------------------------- devicetree -> Hardware

def from_devicetree(blob: bytes, name: str, folder: str, board: BoardFile) -> Hardware:
    """Pure: everything that the devicetree and board.yaml say about the board."""
    place = Span(board.devicetree)
    try:
        tree = parse(blob)
    except FdtError as error:
        raise Refused([Diagnostic("BOARD-DEVICETREE", place, f"this is not a devicetree: {error}")]) from error
    wrong: list[Diagnostic] = []
    pc_board = hardware_x86.is_pc(tree)
    controller = hardware_x86.find_ioapic(tree) if pc_board else find_gic(tree)
    labels = _labels(tree)
    cpus = _cpus(tree)
    memory = merge(board.memory or tree_memory(tree))
    if not cpus:
        wrong.append(Diagnostic("BOARD-NO-CPU", place, "/cpus describes no CPU that is enabled"))
    if not memory:
        wrong.append(Diagnostic("BOARD-NO-MEMORY", Span(board.file), "neither the devicetree nor board.yaml says where the RAM is",
                                ((place, "boot loaders fill it in on this board"),),
                                "add 'memory: [{base: ..., size: ...}]' to board.yaml"))
    gic = timer = pc = None
    if pc_board:
        pc = hardware_x86.describe(tree, board, memory, wrong)
    elif controller is None:
        wrong.append(Diagnostic("BOARD-NO-GIC", place, "the board has no GICv2 or GICv3", ((None, _controllers(tree)),)))
    else:
        gic = _gic(tree, controller, board, place, wrong)
        timer = _timer(tree, controller, place, wrong)
    if not pc_board:
        wrong += [Diagnostic("BOARD-FILE", board.keys[key], f"'{key}' is for x86 boards: on this one it is PSCI's", fix="remove it")
                  for key in ("poweroff", "reset") if key in board.keys]
    uart = _uart(tree, controller, board, wrong)
    devices = _with_resets(_devices(tree, controller, labels, pc_board), board, wrong)
    if wrong:
        raise Refused(wrong)
    return Hardware(
        name=name, folder=folder, dtb_file=board.devicetree, dtb=blob,
        model=tree.root.string("model") or tree.root.string("compatible"),
        memory=memory, reserved=_reserved(tree, board), cpus=cpus, gic=gic, timer=timer, pc=pc,
        psci="none" if pc else board.psci or tree_psci(tree), uart=uart, switch_ns=board.switch_ns,
        devices=devices, by_name={n: path for path, names in labels.items() for n in names},
        iommus=tuple(sorted(n.path for n in tree.nodes.values() if "#iommu-cells" in n and n.enabled)))


def merge(regions: Iterable[Region]) -> tuple[Region, ...]:
    """Sorted; what touches or overlaps becomes one."""
    merged: list[Region] = []
    for region in sorted(regions):
        if merged and region.base <= merged[-1].end:
            merged[-1] = Region(merged[-1].base, max(merged[-1].end, region.end) - merged[-1].base)
        else:
            merged.append(region)
    return tuple(merged)


def memory_nodes(tree: Tree) -> tuple[Node, ...]:
    return tuple(n for n in tree.nodes.values() if n.string("device_type") == "memory" and n.enabled)


def tree_memory(tree: Tree) -> tuple[Region, ...]:
    return tuple(region for node in memory_nodes(tree) for region in addresses.regs(node))


def _reserved(tree: Tree, board: BoardFile) -> tuple[tuple[Region, str], ...]:
    """In whole pages: nobody may have the rest of a page that is reserved in part."""
    found = [(region, "/memreserve/") for region in tree.memreserve]
    parent = tree.nodes.get("/reserved-memory")
    for node in parent.children if parent else ():
        if node.usable:
            found += [(region, node.path) for region in addresses.regs(node)]
    found += board.firmware
    return tuple(sorted((pages(region), why) for region, why in found))


def pages(region: Region) -> Region:
    base = region.base & ~0xfff
    return Region(base, (region.end + 0xfff & ~0xfff) - base)


def _labels(tree: Tree) -> dict[str, tuple[str, ...]]:
    """path -> its labels and aliases."""
    found: dict[str, list[str]] = {}
    for holder in ("/__symbols__", "/aliases"):
        node = tree.nodes.get(holder)
        for name in node.props if node else ():
            target = tree.find(node.string(name)) if node else None
            if target is not None and name not in found.setdefault(target.path, []):
                found[target.path].append(name)
    return {path: tuple(names) for path, names in found.items()}


def _cpus(tree: Tree) -> tuple[Cpu, ...]:
    parent = tree.nodes.get("/cpus")
    found = []
    for node in parent.children if parent else ():
        if node.string("device_type") == "cpu" and node.usable and "reg" in node:
            number = next(addresses.split(node.cells("reg"), (parent.address_cells if parent else 1,)), (0,))[0]
            mask = 0xffffffff if node.is_a(*hardware_x86.CPUS) else AFFINITY
            found.append(Cpu(node.path, number & mask, node.compatible, node.string("enable-method")))
    return tuple(found)


def tree_psci(tree: Tree) -> Literal["smc", "hvc", "none"]:
    for node in tree.nodes.values():
        if node.is_a(*PSCI) and node.usable:
            method = node.string("method")
            return "smc" if method == "smc" else "hvc" if method == "hvc" else "none"
    return "none"


# ---------------------------------------------------------------- GIC and timer

def find_gic(tree: Tree) -> Optional[Node]:
    """The GIC that the CPUs are wired to: the one with no other controller above it."""
    found = [n for n in tree.nodes.values() if n.is_a(*GICV3, *GICV2) and "interrupt-controller" in n and n.enabled]
    roots = [n for n in found if interrupts.parent_of(tree, n) in (None, n)]
    return next(iter(roots or found), None)


def _controllers(tree: Tree) -> str:
    found = [f"{n.path} ({', '.join(n.compatible)})" for n in tree.nodes.values() if "interrupt-controller" in n and n.enabled]
    return "its interrupt controllers are " + ", ".join(found[:3]) if found else "it has no interrupt controller at all"


def _gic(tree: Tree, node: Node, board: BoardFile, place: Span, wrong: list[Diagnostic]) -> Optional[Gic]:
    regs = addresses.regs(node)
    frames = tuple(region for child in node.children for region in addresses.regs(child))
    own = tuple(i for i in (interrupts.decode(node.cells("interrupts")),) if i)
    maintenance = own[0].intid if own else 0
    if node.is_a(*GICV3):
        count = node.cell("#redistributor-regions", 1)
        redists = regs[1:1 + count]
        if len(redists) < count or not redists:
            wrong.append(Diagnostic("BOARD-NO-GIC", place, f"{node.path} names {len(redists)} of {count} redistributor regions"))
            return None
        stride = board.redist_stride or node.number("redistributor-stride", REDIST_STRIDE)
        return Gic(3, node.path, regs[0], redists, stride, None, None, None, maintenance, regs + frames)
    if len(regs) < 4:
        wrong.append(Diagnostic("BOARD-NO-GIC", place, f"{node.path} is a GICv2 that names {len(regs)} of 4 register ranges: "
                                "distributor, CPU interface, and for guests GICH and GICV",
                                fix="complete its 'reg' in a board.dts of your own, from the SoC's manual"))
        return None
    cpu, vcpu = (Region(r.base, max(r.size, GICC_SIZE)) for r in (regs[1], regs[3]))   # some trees name the first page only
    return Gic(2, node.path, regs[0], (), 0, cpu, regs[2], vcpu, maintenance, (regs[0], cpu, regs[2], vcpu, *regs[4:], *frames))


def _timer(tree: Tree, gic: Node, place: Span, wrong: list[Diagnostic]) -> Optional[Timer]:
    """Order of the interrupts, where they have no names: secure, physical, virtual, hypervisor (binding arm,arch_timer)."""
    for node in tree.nodes.values():
        if not (node.is_a(*TIMERS) and node.enabled):
            continue
        found = interrupts.slots(tree, gic, node)
        names = node.strings("interrupt-names") or ("sec-phys", "phys", "virt", "hyp-phys")
        by_name = {n: i.intid for n, i in zip(names, found) if i is not None}
        if "virt" in by_name and "phys" in by_name:
            return Timer(node.path, by_name["virt"], by_name["phys"], by_name.get("hyp-phys", 0))
    wrong.append(Diagnostic("BOARD-NO-TIMER", place, "the board describes no generic timer (arm,armv8-timer) with its interrupts"))
    return None


# ---------------------------------------------------------------- console

def _uart(tree: Tree, gic: Optional[Node], board: BoardFile, wrong: list[Diagnostic]) -> Optional[Uart]:
    if board.console:
        node = find(tree, board.console)
        uart = _describe_uart(tree, gic, node) if node else None
        if node is None:
            wrong.append(Diagnostic("BOARD-NO-UART", board.console_span, f"there is no device '{board.console}' on the board"))
        elif uart is None:
            wrong.append(Diagnostic("BOARD-NO-UART", board.console_span, f"{node.path} is no serial port that Bulkhead knows",
                                    ((Span(board.devicetree), f"compatible: {', '.join(node.compatible) or 'none'}"),),
                                    "the serial ports are listed in scripts/hvgen/uarts.py"))
        return uart
    return console_of(tree, gic)


def console_of(tree: Tree, gic: Optional[Node]) -> Optional[Uart]:
    """stdout-path; else the serial aliases in their order; else the first port that is enabled and known."""
    chosen = tree.nodes.get("/chosen")
    aliases = tree.nodes.get("/aliases")
    names = [chosen.string("stdout-path") or chosen.string("linux,stdout-path")] if chosen else []
    if aliases:
        names += sorted((n for n in aliases.props if n.startswith("serial")), key=lambda n: (len(n), n))
    named = [tree.find(n) for n in names if n]
    for node in [*named, *(n for n in tree.nodes.values() if n.enabled)]:
        uart = _describe_uart(tree, gic, node) if node is not None and (node.enabled or node in named[:1]) else None
        if uart is not None:
            return uart
    return None


def _describe_uart(tree: Tree, gic: Optional[Node], node: Node) -> Optional[Uart]:
    regs = addresses.regs(node) or addresses.ports(node)
    if not regs:
        return None
    raised = interrupts.of_node(tree, gic, node) if gic else ()
    return uarts.describe(node, regs[0], raised[0].intid if raised else 0)


def find(tree: Tree, name: str) -> Optional[Node]:
    """By path, label or alias."""
    symbols = tree.nodes.get("/__symbols__")
    if symbols and name in symbols:
        return tree.nodes.get(symbols.string(name))
    return tree.find(name)


# ---------------------------------------------------------------- devices

def streams(tree: Tree, node: Node) -> tuple[int, ...]:
    """Stream IDs: the first cell of each IOMMU specifier (bindings iommu/arm,smmu and arm,smmu-v3)."""
    return tuple(spec[0] for _, spec in interrupts.references(tree, node.cells("iommus"), "#iommu-cells") if spec)


def _devices(tree: Tree, gic: Optional[Node], labels: dict[str, tuple[str, ...]], pc_board: bool) -> tuple[Device, ...]:
    """Also what has no registers in memory, if something raises or names it; on a PC, PCI functions in any case."""
    found = []
    for node in tree.nodes.values():
        if node.parent is None or _no_device(node):
            continue
        function = pci.function(node) if pc_board else None
        regs = addresses.regs(node) + pci.regions(function, False)
        raised = _raised(tree, gic, node)
        ports = addresses.ports(node) + pci.regions(function, True)
        if regs or ports or raised or node.path in labels or pc_board and "reg" in node:
            found.append(Device(
                path=node.path, labels=labels.get(node.path, ()), compatible=node.compatible, regs=regs, interrupts=raised,
                dma=nodma.does_dma(node), streams=streams(tree, node), enabled=node.enabled, ports=ports,
                function=function))
    return tuple(sorted(found, key=lambda device: device.path))


def _with_resets(devices: tuple[Device, ...], board: BoardFile, wrong: list[Diagnostic]) -> tuple[Device, ...]:
    """board.yaml's `device-reset`, as physical addresses; of a device with I/O ports only, as those."""
    found = {device.path: device for device in devices}
    names = {name: device.path for device in devices for name in (device.path, *device.labels)}
    for entry in board.device_reset:
        device = found.get(names.get(entry.name, ""))
        first = next(iter((*device.regs, *device.ports)), Region(0, 0)) if device else Region(0, 0)
        space = PORTS if device and not device.regs else 0
        beyond = next((w for w in entry.writes if w.address + w.width > first.size), None)
        if device is None:
            wrong.append(Diagnostic("BOARD-FILE", entry.span, f"there is no device '{entry.name}' on the board",
                                    fix=did_you_mean(entry.name, names)))
        elif beyond is not None:
            wrong.append(Diagnostic("BOARD-FILE", entry.span, f"offset {beyond.address:#x} is outside the first registers of "
                                    f"{device.path}, {hex_range(first.base, first.size)}"))
        else:
            writes = tuple(Write(space + first.base + w.address, w.width, w.value) for w in entry.writes)
            found[device.path] = replace(device, reset=writes)
    return tuple(found.values())


def _raised(tree: Tree, gic: Optional[Node], node: Node) -> tuple[Interrupt, ...]:
    if gic is None:
        return ()
    own = interrupts.of_node(tree, gic, node)
    behind = interrupts.of_map(tree, gic, node) if "interrupt-map" in node else ()
    return tuple(dict.fromkeys(own + behind))


def _no_device(node: Node) -> bool:
    top = node.path.split("/")[1].split("@")[0]
    return f"/{top}" in NO_DEVICES or node.string("device_type") in ("memory", "cpu")
