# SPDX-License-Identifier: Apache-2.0
"""The devicetree that a partition sees: the board's own nodes, less all that is not the partition's.

Kept are the partition's devices with what hangs below them, the buses above them, and the nodes
that they refer to by phandle as long as those have no registers or are the partition's as well.  A
property that refers to anything else is left out, and said to be (GuestTree.dropped).  CPUs, memory,
timer, interrupt controller, PSCI and the virtual UART are written anew.
"""
from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Optional

import libfdt

from . import interrupts
from .channels import end_of
from .diag import Failed
from .fdt import Node, Tree, parse
from .model import Interrupt, Plan, PlanPartition, Region
from .place import PAGE

# Properties that hold phandles, with the property of the target that counts the cells after each
# (devicetree specification 0.4 and the generic bindings of Linux, Documentation/devicetree/bindings).
PHANDLE_LISTS = {
    "clocks": "#clock-cells", "assigned-clocks": "#clock-cells", "assigned-clock-parents": "#clock-cells",
    "resets": "#reset-cells", "power-domains": "#power-domain-cells", "phys": "#phy-cells",
    "dmas": "#dma-cells", "pwms": "#pwm-cells", "mboxes": "#mbox-cells", "hwlocks": "#hwlock-cells",
    "interconnects": "#interconnect-cells", "io-channels": "#io-channel-cells",
    "io-backends": "#io-backend-cells", "thermal-sensors": "#thermal-sensor-cells",
    "sound-dai": "#sound-dai-cells", "cooling-device": "#cooling-cells", "mux-controls": "#mux-control-cells",
    "mux-states": "#mux-state-cells", "nvmem-cells": "#nvmem-cell-cells",
    "trigger-sources": "#trigger-source-cells", "access-controllers": "#access-controller-cells",
    "iommus": "#iommu-cells", "msi-parent": "#msi-cells", "gpios": "#gpio-cells", "gpio": "#gpio-cells",
    "phy-handle": "", "memory-region": "", "backlight": "", "panel": "", "leds": "", "extcon": "",
    "remote-endpoint": "", "wakeup-parent": "", "power-supplies": "", "syscon": "", "regmap": "",
    "operating-points-v2": "", "next-level-cache": "", "cpu-idle-states": "", "interrupt-affinity": "",
    "nvmem": "", "mmc-pwrseq": "", "ddc-i2c-bus": "", "i2c-bus": "", "i2c-parent": "", "fsl,gpr": "",
}
PHANDLE_SUFFIXES = {"-supply": "", "-gpios": "#gpio-cells", "-gpio": "#gpio-cells", "-gpio-list": "#gpio-cells"}
NAMES = {"clocks": "clock-names", "resets": "reset-names", "power-domains": "power-domain-names",
         "phys": "phy-names", "dmas": "dma-names", "pwms": "pwm-names", "mboxes": "mbox-names",
         "interconnects": "interconnect-names", "io-channels": "io-channel-names",
         "nvmem-cells": "nvmem-cell-names", "memory-region": "memory-region-names",
         "assigned-clocks": "assigned-clock-rates"}
# Never the guest's: translation and message interrupts stay with the hypervisor.
NEVER = ("iommus", "iommu-map", "iommu-map-mask", "msi-parent", "msi-map", "msi-map-mask", "interrupt-affinity")
# What a bus node says about the addresses below it.
BUS = ("#address-cells", "#size-cells", "ranges", "dma-ranges", "dma-coherent", "dma-noncoherent")
CPU = ("compatible", "device_type", "i-cache-size", "i-cache-line-size", "i-cache-sets", "d-cache-size",
       "d-cache-line-size", "d-cache-sets", "next-level-cache", "capacity-dmips-mhz")
VUART_CLOCK_HZ = 24_000_000
KEY_PROG1 = 148                        # of Linux's input-event-codes.h


# ---------------------------------------------------------------- trees

@dataclass
class New:
    """A node of the guest's tree."""
    name: str
    path: str
    props: dict[str, bytes] = field(default_factory=dict)
    children: dict[str, "New"] = field(default_factory=dict)

    def child(self, name: str) -> "New":
        if name not in self.children:
            self.children[name] = New(name, f"{self.path.rstrip('/')}/{name}")
        return self.children[name]

    def at(self, path: str) -> Optional["New"]:
        node: Optional[New] = self
        for part in path.strip("/").split("/"):
            if part and node is not None:
                node = node.children.get(part)
        return node


def buses(node: Node) -> list[Node]:
    """The nodes above this one, the nearest first, without the root."""
    return [n for n in node.ancestors if n.parent is not None]


def write_tree(root: New) -> bytes:
    writer = libfdt.FdtSw()
    writer.INC_SIZE = 65536
    writer.finish_reservemap()

    def put(node: New) -> None:
        with writer.add_node(node.name):
            for name, value in node.props.items():
                writer.property(name, value)
            for child in node.children.values():
                put(child)

    put(root)
    tree = writer.as_fdt()
    tree.pack()
    return bytes(tree.as_bytearray())


def cells(*values: int) -> bytes:
    return b"".join(struct.pack(">I", v) for v in values)


def number(value: int, count: int) -> bytes:
    if value >= 1 << 32 * count:
        raise Failed(f"{value:#x} does not fit into the {count} cell{'s' * (count != 1)} that the board's devicetree has "
                     "for it: choose a lower guest address")
    return value.to_bytes(count * 4, "big")


def string(*values: str) -> bytes:
    return b"".join(v.encode() + b"\0" for v in values)


def split_cells(value: bytes) -> list[int]:
    return list(struct.unpack(f">{len(value) // 4}I", value[:len(value) // 4 * 4]))


# ---------------------------------------------------------------- a partition's tree

@dataclass(frozen=True)
class GuestTree:
    data: bytes
    dropped: tuple[str, ...]           # "path: property (refers to path)": what the guest has to do without


def guest_dtb(plan: Plan, part: PlanPartition, tree: Optional[Tree] = None) -> GuestTree:
    """tree: the board's, where it has been parsed already."""
    return _Maker(plan, part, tree or parse(plan.hardware.dtb)).make()


class _Maker:
    def __init__(self, plan: Plan, part: PlanPartition, tree: Tree) -> None:
        self.plan, self.part, self.tree, self.board = plan, part, tree, tree.root
        self.by_phandle = tree.by_phandle
        self.mapped = {d.path: d.regs for d in plan.hardware.devices if d.regs}
        self.owned = {d.path for d, _ in part.devices}
        self.lines = {d.path: {i.intid for i in d.interrupts} for d in plan.hardware.devices}
        self.own_lines = {*part.spis, *part.ppis}
        self.windows = [Region(m.ipa, m.size) for m in part.mappings if m.kind == "device"]
        gic = plan.hardware.gic
        assert gic is not None
        self.gic = tree.nodes[gic.path]
        self.fresh = max(self.by_phandle, default=0) + 1
        self.gic_phandle = self.gic.phandle or self._new_phandle()
        self.irq_cells = self.gic.cell("#interrupt-cells", 3)
        self.addr = tree.root.address_cells
        self.size = tree.root.size_cells
        self.root = New("", "/")
        self.done: set[str] = set()
        self.dropped: list[str] = []

    def _new_phandle(self) -> int:
        self.fresh += 1
        return self.fresh - 1

    # What may be kept

    def mine(self, node: Node) -> bool:
        """A device of the partition, or registers inside the pages that it has."""
        if node.path in self.owned:
            return True
        regs = self.mapped.get(node.path, ())
        return bool(regs) and any(p.path in self.owned for p in buses(node)) and all(
            any(w.base <= r.base and r.end <= w.end for w in self.windows) for r in regs)

    def available(self, node: Node) -> bool:
        """Whether a kept node may refer to this one."""
        if node is self.gic:
            return True
        if node.parent is None:
            return False
        top = [node, *buses(node)][-1]
        if top.name in ("firmware", "reserved-memory", "cpus", "chosen", "memory") or "device_type" in node.props \
                and node.props["device_type"] in (b"cpu\0", b"memory\0"):
            return False
        for n in [node, *buses(node)]:
            if n.path in self.mapped and not self.mine(n):
                return False
            if not n.usable:
                return False
        return self.mine(node) or not any(s.startswith(("arm,psci", "arm,armv8-timer", "arm,smmu"))
                                          for s in node.strings("compatible"))

    # Copying

    def keep(self, node: Node) -> New:
        """Copies a node (once), its parents, and what it refers to."""
        if node.parent is None:
            return self.root
        if node is self.gic:
            return self.put_gic()
        above = self.parent(node.parent)
        copy = above.child(node.name)
        if node.path not in self.done:
            self.done.add(node.path)
            self.copy_props(node, copy)
        return copy

    def parent(self, node: Node) -> New:
        """A bus above a kept node: itself if it may be kept, else only how it translates addresses."""
        if node.parent is None:
            return self.root
        if self.available(node):
            return self.keep(node)
        copy = self.parent(node.parent).child(node.name)
        if node.path not in self.done:
            self.done.add(node.path)
            copy.props.update({k: v for k, v in node.props.items() if k in BUS})
            if "ranges" in copy.props:
                copy.props["compatible"] = string("simple-bus")
        return copy

    def copy_props(self, node: Node, copy: New) -> None:
        lost: set[str] = {"interrupt-parent", "interrupts", "interrupts-extended"}
        for name, value in node.props.items():
            if name in lost:
                continue
            targets = self.targets(node, name, value)
            missing = [t for t in targets if t is None or not self.available(t)]
            foreign = name == "interrupt-map" and not self.lines.get(node.path, set()) <= self.own_lines
            if name in NEVER or missing or foreign:
                lost.add(name)
                where = ", ".join(sorted({t.path if t else "nothing" for t in missing})) or "not the partition's"
                self.dropped.append(f"{node.path}: {name} ({where})")
        if any(n.startswith("pinctrl-") for n in lost):
            lost |= {n for n in node.props if n.startswith("pinctrl-")}
        if "assigned-clocks" in lost:
            lost.add("assigned-clock-parents")
        raised = self.raised(node)
        if not raised:
            lost.add("interrupt-names")
        lost |= {NAMES[n] for n in lost if n in NAMES}
        for name, value in node.props.items():
            if name not in lost:
                copy.props[name] = value
        copy.props.update(raised)
        for name, value in copy.props.items():
            for target in self.targets(node, name, value):
                if target is not None:
                    self.keep(target)

    def raised(self, node: Node) -> dict[str, bytes]:
        """Its interrupts, at the GIC wherever they end there.

        A controller that only hands GIC interrupts on (to wake the chip up) is nobody's: what stands behind it
        is described as if it stood before the GIC itself.
        """
        found: list[tuple[int, ...]] = []
        lost: list[str] = []
        both = zip(interrupts.specs(self.tree, node), interrupts.slots(self.tree, self.gic, node))
        for (controller, spec), line in both:
            if line is not None and line.intid in self.own_lines:
                found.append((self.gic_phandle, *(spec if controller is self.gic else self.gic_spec(line))))
            elif line is None and controller is not self.gic and self.available(controller):
                found.append((controller.phandle, *spec))
                self.keep(controller)
            else:
                found.append((0,))                          # Linux takes it as an empty place
                lost.append("not the partition's" if line is not None else controller.path)
        if lost:
            self.dropped.append(f"{node.path}: interrupts ({', '.join(dict.fromkeys(lost))})")
        parents = {f[0] for f in found}
        if parents <= {0}:
            return {}
        if len(parents) > 1:
            return {"interrupts-extended": cells(*[c for f in found for c in f])}
        return {"interrupt-parent": cells(*parents), "interrupts": cells(*[c for f in found for c in f[1:]])}

    def gic_spec(self, line: Interrupt) -> tuple[int, ...]:
        kind, number = (0, line.intid - 32) if line.intid >= 32 else (1, line.intid - 16)
        return (kind, number, line.flags) + (0,) * (self.irq_cells - 3)

    def targets(self, node: Node, name: str, value: bytes) -> list[Optional[Node]]:
        """The nodes that a property refers to; None for a phandle that does not exist."""
        if name == "interrupt-map":
            return self.map_parents(node, value)
        if name.startswith("pinctrl-") and name[8:].isdigit():
            return [self.by_phandle.get(c) for c in split_cells(value)]
        counter = PHANDLE_LISTS.get(name)
        if counter is None:
            counter = next((c for suffix, c in PHANDLE_SUFFIXES.items() if name.endswith(suffix)), None)
        if counter is None or len(value) % 4 or not value:
            return []
        out: list[Optional[Node]] = []
        words = split_cells(value)
        at = 0
        while at < len(words):
            target = self.by_phandle.get(words[at])
            if words[at] == 0:                              # an empty place in the list
                at += 1
                continue
            out.append(target)
            at += 1 + (target.cell(counter, 0) if target is not None and counter else 0)
        return out

    def map_parents(self, node: Node, value: bytes) -> list[Optional[Node]]:
        words = split_cells(value)
        own = node.cell("#address-cells", 0) + node.cell("#interrupt-cells", 1)
        out: list[Optional[Node]] = []
        at = 0
        while at + own < len(words):
            target = self.by_phandle.get(words[at + own])
            out.append(target)
            if target is None:
                break
            at += own + 1 + target.cell("#address-cells", 0) + target.cell("#interrupt-cells", 1)
        return out

    def keep_device(self, node: Node) -> None:
        """A device with all below it that is not somebody else's."""
        self.keep(node)
        for child in node.children:
            if child.path in self.owned or self.child_follows(child):
                self.keep_device(child)

    def child_follows(self, child: Node) -> bool:
        if child.path in self.mapped:
            return self.mine(child)
        return True

    # Written anew

    def make(self) -> GuestTree:
        board, part = self.board, self.part
        for name in ("model", "compatible", "#address-cells", "#size-cells", "dma-coherent", "dma-noncoherent"):
            if name in board.props:
                self.root.props[name] = board.props[name]
        self.root.props["interrupt-parent"] = cells(self.gic_phandle)
        self.root.child("chosen")
        self.root.child("aliases")
        self.put_memory()
        self.put_cpus()
        self.put_psci()
        self.put_timer()
        self.put_gic()
        self.put_pmu()
        for device, _ in part.devices:
            node = self.tree.nodes.get(device.path)
            if node is not None:
                self.keep_device(node)
        self.put_watchdog()
        self.put_channels()
        stdout = self.put_vuart() or self.own_uart()
        self.put_chosen(stdout)
        self.put_aliases(stdout)
        info = self.root.child("hypervisor")
        info.props["compatible"] = string("bulkhead,partition")
        info.props["partition"] = string(part.name)
        return GuestTree(write_tree(self.root), tuple(self.dropped))

    def put_memory(self) -> None:
        pieces: list[Region] = []
        for m in sorted(self.part.ram, key=lambda m: m.ipa):
            if pieces and pieces[-1].end == m.ipa:
                pieces[-1] = Region(pieces[-1].base, pieces[-1].size + m.size)
            else:
                pieces.append(Region(m.ipa, m.size))
        limit = 1 << 32 * self.size
        reg = b""
        for piece in pieces:
            base, left = piece.base, piece.size
            while left:
                size = min(left, limit - 0x200000) if left >= limit else left
                reg += number(base, self.addr) + number(size, self.size)
                base, left = base + size, left - size
        first = pieces[0].base if pieces else 0
        memory = self.root.child(f"memory@{first:x}")
        memory.props["device_type"] = string("memory")
        memory.props["reg"] = reg

    def put_cpus(self) -> None:
        board = self.tree.nodes.get("/cpus")
        count = board.cell("#address-cells", 1) if board else 1
        cpus = self.root.child("cpus")
        cpus.props["#address-cells"] = cells(count)
        cpus.props["#size-cells"] = cells(0)
        for i, c in enumerate(self.part.cpus):
            affinity = (i // 16) << 8 | i % 16
            cpu = cpus.child(f"cpu@{affinity:x}")
            source = self.tree.nodes.get(self.plan.hardware.cpus[self.plan.entries[c].board_index].path)
            if source is not None:
                cpu.props.update({k: source.props[k] for k in CPU if k in source.props})
                self.put_cache(source, cpus, cpu)
            cpu.props["device_type"] = string("cpu")
            cpu.props["reg"] = number(affinity, count)
            cpu.props["enable-method"] = string("psci")

    def put_cache(self, source: Node, cpus: New, cpu: New) -> None:
        """The caches that a core names, as nodes of /cpus."""
        seen = 0
        user = cpu
        node = self.by_phandle.get(source.cell("next-level-cache", 0))
        while node is not None and "cache" in node.strings("compatible") and seen < 4:
            copy = cpus.child(node.name)
            copy.props.update({k: v for k, v in node.props.items()
                               if k.startswith("cache-") or k in ("compatible", "phandle", "next-level-cache")})
            user, seen = copy, seen + 1
            node = self.by_phandle.get(node.cell("next-level-cache", 0))
        user.props.pop("next-level-cache", None)

    def put_psci(self) -> None:
        psci = self.root.child("psci")
        psci.props["compatible"] = string("arm,psci-1.0", "arm,psci-0.2")
        psci.props["method"] = string("smc" if self.plan.hardware.psci == "smc" else "hvc")

    def put_timer(self) -> None:
        info = self.plan.hardware.timer
        source = self.tree.nodes.get(info.path) if info else None
        if info is None or source is None:
            return
        timer = self.root.child("timer")
        for name in ("compatible", "always-on", "clock-frequency", "arm,no-tick-in-suspend"):
            if name in source.props:
                timer.props[name] = source.props[name]
        timer.props["interrupt-parent"] = cells(self.gic_phandle)
        step = self.irq_cells
        words = split_cells(source.props.get("interrupts", b""))
        if "interrupts-extended" in source.props:
            words = split_cells(source.props["interrupts-extended"])
            words = [w for i, w in enumerate(words) if i % (step + 1)]
        names = source.strings("interrupt-names")
        entries = [words[i:i + step] for i in range(0, len(words), step)]
        kept = [(e, names[i] if i < len(names) else "") for i, e in enumerate(entries)
                if (names or i < 3) and not (e[0] == 1 and e[1] + 16 == info.hyp)]
        if names:
            kept = [(e, n) for e, n in kept if n not in ("hyp-phys", "hyp-virt")]
            timer.props["interrupt-names"] = string(*[n for _, n in kept])
        timer.props["interrupts"] = cells(*[w for e, _ in kept for w in e])

    def put_gic(self) -> New:
        source, gic = self.gic, self.plan.hardware.gic
        assert gic is not None and source.parent is not None
        above = self.parent(source.parent)
        node = above.child(source.name)
        if source.path in self.done:
            return node
        self.done.add(source.path)
        for name in ("compatible", "#interrupt-cells", "interrupt-controller", "#address-cells", "#size-cells",
                     "ranges", "redistributor-stride"):
            if name in source.props:
                node.props[name] = source.props[name]
        addr, size = source.parent.address_cells, source.parent.size_cells
        step = 4 * (addr + size)
        reg = source.props["reg"]
        if gic.version == 3:
            frames = number(len(self.part.cpus) * gic.redist_stride, size)
            node.props["reg"] = reg[:step] + reg[step:step + 4 * addr] + frames
        else:
            shown = sum(m.size for m in self.part.mappings if m.what == gic.path)   # GICV, in GICC's place
            node.props["reg"] = reg[:step + 4 * addr] + number(shown, size)
        node.props["phandle"] = cells(self.gic_phandle)
        return node

    def put_pmu(self) -> None:
        """The PMU where the plan gives its PPI away."""
        for node in self.board.children:
            words = split_cells(node.props.get("interrupts", b""))
            if (any("pmu" in s for s in node.strings("compatible")) and len(words) >= 2 and words[0] == 1
                    and words[1] + 16 in self.part.ppis):
                copy = self.root.child(node.name)
                copy.props["compatible"] = node.props["compatible"]
                copy.props["interrupts"] = cells(*words[:self.irq_cells])
                copy.props["interrupt-parent"] = cells(self.gic_phandle)

    def put_vuart(self) -> str:
        vuart = self.part.vuart
        if vuart is None:
            return ""
        clock = self.root.child("vuart-clock")
        clock.props["compatible"] = string("fixed-clock")
        clock.props["#clock-cells"] = cells(0)
        clock.props["clock-frequency"] = cells(VUART_CLOCK_HZ)
        clock.props["clock-output-names"] = string("vuart-clock")
        phandle = self._new_phandle()
        clock.props["phandle"] = cells(phandle)
        uart = self.root.child(f"serial@{vuart.ipa:x}")
        uart.props["compatible"] = string("arm,pl011", "arm,primecell")
        uart.props["reg"] = number(vuart.ipa, self.addr) + number(0x1000, self.size)
        uart.props["interrupt-parent"] = cells(self.gic_phandle)
        uart.props["interrupts"] = cells(*self.gic_spec(Interrupt(vuart.intid, 4)))
        uart.props["clocks"] = cells(phandle, phandle)
        uart.props["clock-names"] = string("uartclk", "apb_pclk")
        return uart.path

    def put_watchdog(self) -> None:
        """Binding watchdog/arm,sbsa-gwdt: control frame first. The time-out is the longest that there is."""
        dog, limit = self.part.watchdog, self.part.spec.watchdog_ns
        if dog is None or limit is None:
            return
        node = self.root.child(f"watchdog@{dog.ipa:x}")
        node.props["compatible"] = string("arm,sbsa-gwdt")
        frames = (dog.ipa + 0x1000, dog.ipa)
        node.props["reg"] = b"".join(number(frame, self.addr) + number(0x1000, self.size) for frame in frames)
        node.props["interrupt-parent"] = cells(self.gic_phandle)
        node.props["interrupts"] = cells(*self.gic_spec(Interrupt(dog.intid, 1)))
        if limit >= 10**9:
            node.props["timeout-sec"] = cells(limit // 10**9)

    def put_channels(self) -> None:
        """A node for each; with a doorbell, another by which Linux takes its interrupt for a key (docs/guest-abi.md)."""
        for channel in self.plan.channels:
            end = end_of(channel, self.part.index)
            if end is None:
                continue
            node = self.root.child(f"channel@{channel.ipa:x}")
            node.props["compatible"] = string("bulkhead,channel")
            node.props["bulkhead,channel"] = string(channel.name)
            node.props["bulkhead,role"] = string(end.role)
            regions = [(channel.ipa, channel.size)] + ([(channel.doorbell, PAGE)] if channel.doorbell else [])
            node.props["reg"] = b"".join(number(base, self.addr) + number(size, self.size) for base, size in regions)
            node.props["reg-names"] = string("memory", "doorbell") if channel.doorbell else string("memory")
            if end.intid:
                self.put_bell(node, channel.name, end.intid)

    def put_bell(self, node: New, name: str, intid: int) -> None:
        raised = {"interrupt-parent": cells(self.gic_phandle), "interrupts": cells(*self.gic_spec(Interrupt(intid, 1)))}
        node.props.update(raised)
        keys = self.root.child(f"doorbell-{name}")
        keys.props["compatible"] = string("gpio-keys")
        keys.props["label"] = string(f"channel {name}")
        key = keys.child("ring")
        key.props["label"] = string(name)
        key.props["linux,code"] = cells(KEY_PROG1)
        key.props["debounce-interval"] = cells(0)
        key.props.update(raised)

    def own_uart(self) -> str:
        for device, _ in self.part.devices:
            name = device.path.rsplit("/", 1)[-1]
            if name.startswith(("serial", "uart", "pl011")) or "arm,pl011" in device.compatible:
                if self.root.at(device.path) is not None:
                    return device.path
        return ""

    def put_chosen(self, stdout: str) -> None:
        chosen = self.root.child("chosen")
        if self.part.spec.image.bootargs:
            chosen.props["bootargs"] = string(self.part.spec.image.bootargs)
        if stdout:
            chosen.props["stdout-path"] = string(stdout)
        if self.part.initrd is not None:
            chosen.props["linux,initrd-start"] = number(self.part.initrd.base, 2)
            chosen.props["linux,initrd-end"] = number(self.part.initrd.end, 2)

    def put_aliases(self, stdout: str) -> None:
        source = self.tree.nodes.get("/aliases")
        aliases = self.root.child("aliases")
        if source is not None:
            for name, value in source.props.items():
                path = value.split(b"\0")[0].decode("utf-8", "replace")
                if self.root.at(path) is not None and path.startswith("/"):
                    aliases.props[name] = string(path)
        if stdout and string(stdout) not in aliases.props.values():
            aliases.props["serial0"] = string(stdout)
