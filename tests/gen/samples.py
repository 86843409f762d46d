# SPDX-License-Identifier: Apache-2.0
"""Plans made by hand for the tests of what comes after planning; they need no files of the project."""
from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Optional, Sequence

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from hvgen import interrupts  # noqa: E402
from hvgen.addresses import regs  # noqa: E402
from hvgen.fdt import parse  # noqa: E402
from hvgen.place import pages  # noqa: E402
from hvgen.model import (Blob, Cpu, Device, DeviceSpec, Gic, Hardware, ImageSpec,  # noqa: E402
                         Mapping, MemorySpec, Partition, Plan, PlanCpu, PlanPartition, Region, Span, System, Timer,
                         Uart, Vuart)

GIB, MIB, KIB = 1 << 30, 1 << 20, 1 << 10

BOARD_DTS = """
/dts-v1/;
/ {
    compatible = "test,board"; model = "A board for tests";
    #address-cells = <2>; #size-cells = <2>; interrupt-parent = <&gic>;
    aliases { serial0 = &uart0; serial1 = &uart1; rtc0 = &rtc; };
    chosen { stdout-path = "/soc/uart@9000000"; };
    memory@40000000 { device_type = "memory"; reg = <0 0x40000000 4 0>; };
    cpus {
        #address-cells = <1>; #size-cells = <0>;
        cpu@0 { device_type = "cpu"; compatible = "arm,cortex-a57"; reg = <0>; enable-method = "psci";
                next-level-cache = <&l2>; clocks = <&cru 1>; };
        cpu@1 { device_type = "cpu"; compatible = "arm,cortex-a57"; reg = <1>; enable-method = "psci";
                next-level-cache = <&l2>; };
        cpu@100 { device_type = "cpu"; compatible = "arm,cortex-a57"; reg = <0x100>; enable-method = "psci"; };
        cpu@101 { device_type = "cpu"; compatible = "arm,cortex-a57"; reg = <0x101>; enable-method = "psci"; };
        l2: l2-cache { compatible = "cache"; cache-level = <2>; cache-unified; };
    };
    psci { compatible = "arm,psci-1.0", "arm,psci-0.2"; method = "smc"; };
    timer { compatible = "arm,armv8-timer"; always-on;
            interrupts = <1 13 4>, <1 14 4>, <1 11 4>, <1 10 4>; };
    pmu { compatible = "arm,armv8-pmuv3"; interrupts = <1 7 4>; };
    xtal: xtal { compatible = "fixed-clock"; #clock-cells = <0>; clock-frequency = <24000000>; };
    half: half { compatible = "fixed-factor-clock"; #clock-cells = <0>; clocks = <&xtal>; clock-div = <2>;
                 clock-mult = <1>; };
    v33: regulator { compatible = "regulator-fixed"; regulator-name = "3v3"; gpio = <&gpio0 4 0>; };
    v18: regulator-v18 { compatible = "regulator-fixed"; regulator-name = "1v8"; vin-supply = <&v33>; };
    soc {
        compatible = "simple-bus"; #address-cells = <1>; #size-cells = <1>; ranges = <0 0 0 0x10000000>;
        gic: interrupt-controller@8000000 {
            compatible = "arm,gic-v3"; #interrupt-cells = <3>; interrupt-controller; #address-cells = <1>;
            #size-cells = <1>; ranges; reg = <0x8000000 0x10000>, <0x80a0000 0xf60000>; interrupts = <1 9 4>;
            its: msi-controller@8080000 { compatible = "arm,gic-v3-its"; msi-controller; #msi-cells = <1>;
                                          reg = <0x8080000 0x20000>; };
        };
        cru: clock-controller@9100000 { compatible = "test,cru"; reg = <0x9100000 0x1000>; #clock-cells = <1>;
                                        #reset-cells = <1>; };
        uart0: uart@9000000 { compatible = "arm,pl011", "arm,primecell"; reg = <0x9000000 0x1000>;
                              interrupts = <0 1 4>; clocks = <&xtal>, <&half>; clock-names = "uartclk", "apb_pclk"; };
        uart1: uart@9040000 { compatible = "arm,pl011", "arm,primecell"; reg = <0x9040000 0x1000>;
                              interrupts = <0 8 4>; clocks = <&half>, <&half>; clock-names = "uartclk", "apb_pclk"; };
        rtc: rtc@9010000 { compatible = "arm,pl031", "arm,primecell"; reg = <0x9010000 0x1000>; interrupts = <0 2 4>;
                           clocks = <&xtal>; clock-names = "apb_pclk"; vcc-supply = <&v18>; };
        gpio0: gpio@9030000 { compatible = "arm,pl061", "arm,primecell"; reg = <0x9030000 0x1000>; gpio-controller;
                              #gpio-cells = <2>; interrupts = <0 7 4>; interrupt-controller; #interrupt-cells = <2>;
                              clocks = <&xtal>; clock-names = "apb_pclk"; };
        i2c: i2c@9200000 { compatible = "test,i2c"; reg = <0x9200000 0x1000>; #address-cells = <1>; #size-cells = <0>;
                           interrupts = <0 20 4>; clocks = <&cru 3>, <&xtal>; clock-names = "bus", "ref";
                           resets = <&cru 7>; reset-names = "i2c"; iommus = <&smmu 5>; pinctrl-names = "default";
                           pinctrl-0 = <&i2c_pins>;
                           sensor@48 { compatible = "test,sensor"; reg = <0x48>; interrupts = <3 8>;
                                       interrupt-parent = <&gpio0>; vdd-supply = <&v18>; }; };
        pinctrl@9300000 { compatible = "test,pinctrl"; reg = <0x9300000 0x1000>;
                          i2c_pins: i2c-pins { pins = "a", "b"; }; };
        smmu: iommu@9400000 { compatible = "arm,smmu-v3"; reg = <0x9400000 0x20000>; #iommu-cells = <1>; };
        target@9500000 { compatible = "test,sysc"; reg = <0x9500000 0x100>; #address-cells = <1>; #size-cells = <1>;
                         ranges = <0 0x9510000 0x10000>; clocks = <&cru 9>;
                         timer@1000 { compatible = "test,timer"; reg = <0x1000 0x1000>; interrupts = <0 30 4>; }; };
        gpc: interrupt-controller@9600000 { compatible = "fsl,imx8mp-gpc"; reg = <0x9600000 0x1000>; #interrupt-cells = <3>;
                                            interrupt-controller; interrupt-parent = <&gic>; };
        plain@9610000 { compatible = "test,plain"; reg = <0x9610000 0x1000>; interrupt-parent = <&gpc>;
                        interrupts = <0 40 4>, <0 41 1>; interrupt-names = "one", "two"; };
        mixed@9620000 { compatible = "test,mixed"; reg = <0x9620000 0x1000>; interrupt-names = "a", "b", "c";
                        interrupts-extended = <&gpc 0 42 4>, <&gpio0 2 1>, <&gic 0 43 1>; };
        motherboard { compatible = "simple-bus"; #address-cells = <1>; #size-cells = <1>; ranges; #interrupt-cells = <1>;
                      interrupt-map-mask = <0 63>; interrupt-map = <0 5 &gic 0 0 44 4>, <0 6 &gic 0 0 45 4>;
                      eth@9630000 { compatible = "test,eth"; reg = <0x9630000 0x1000>; interrupts = <5>; }; };
    };
};
"""


def compile_dts(text: str) -> bytes:
    done = subprocess.run(["dtc", "-q", "-@", "-I", "dts", "-O", "dtb", "-"], input=text.encode(), check=True,
                          capture_output=True)
    return done.stdout


def hardware(dts: str = BOARD_DTS, memory: Optional[tuple[Region, ...]] = None, name: str = "test-board") -> Hardware:
    """A Hardware read from the devicetree by simpler means than hvgen.hardware."""
    blob = compile_dts(dts)
    tree = parse(blob)
    devices = []
    for path, node in sorted(tree.nodes.items()):
        if path == "/" or path.startswith(("/cpus", "/memory")):
            continue
        found = regs(node)
        irqs = interrupts.of_node(tree, tree.nodes["/soc/interrupt-controller@8000000"], node)
        if found or irqs:
            devices.append(Device(path, (), node.compatible, found, irqs, False))
    cpus = tuple(Cpu(n.path, n.cell("reg", 0), n.compatible, "psci") for n in tree.nodes.values()
                 if n.path.startswith("/cpus/cpu@"))
    gic = Gic(3, "/soc/interrupt-controller@8000000", Region(0x8000000, 0x10000), (Region(0x80a0000, 0xf60000),),
              0x20000, None, None, None, 25, (Region(0x8000000, 0x1000000),))
    uart = Uart("/soc/uart@9000000", "pl011", Region(0x9000000, 0x1000), 33, 4, 0, 0x18, 0x20, 0, 0, 0x18, 0x10, 0,
                init=((0x30, 0x301),), rx_on=((0x38, 0x50),), rx_ack=(0x44, 0x50))
    return Hardware(name=name, folder="", dtb_file="board.dtb", dtb=blob, model="test",
                    memory=memory or (Region(0x40000000, 16 * GIB),), reserved=(), cpus=cpus, gic=gic,
                    timer=Timer("/timer", 27, 30, 26), psci="smc", uart=uart, devices=tuple(devices),
                    by_name={}, iommus=())


def device_mappings(devices: Sequence[Device]) -> list[Mapping]:
    return [Mapping(r.base, r.base, r.size, "device", d.path, Span("s.yaml", 9)) for d in devices
            for r in map(pages, d.regs)]


def ram_mapping(ipa: int, pa: int, size: int) -> Mapping:
    return Mapping(ipa, pa, size, "ram", "ram", Span("s.yaml", 5))


def partition(hw: Hardware, index: int, name: str, cpus: Sequence[int], ram: Sequence[Mapping], direct: bool = False,
              devices: Sequence[str] = (), vuart: bool = False, blobs: Sequence[Blob] = (), bits: int = 0,
              bootargs: str = "") -> PlanPartition:
    owned = [d for d in hw.devices if d.path in devices]
    mappings = sorted([*ram, *device_mappings(owned)], key=lambda m: m.ipa)
    top = max(m.ipa + m.size for m in mappings)
    spec = Partition(name, tuple((c, Span("s.yaml", 4)) for c in cpus), MemorySpec(sum(m.size for m in ram)),
                     ImageSpec("raw", "guest.bin", bootargs=bootargs), "direct" if direct else "virtual",
                     tuple(DeviceSpec(p, span=Span("s.yaml", 9)) for p in devices), "vuart" if vuart else "",
                     span=Span("s.yaml", 3 + 10 * index))
    spis = tuple(sorted(i.intid for d in owned for i in d.interrupts if i.intid >= 32))
    base = ram[0].ipa
    return PlanPartition(index, name, index + 1, spec, tuple(cpus), direct, tuple(ram), tuple(mappings),
                         tuple((d, DeviceSpec(d.path, span=Span("s.yaml", 9))) for d in owned), tuple(blobs),
                         base + 0x80000, base, 0x10000, None, spis, (27, 30, 23),
                         Vuart(0x9000000, 33) if vuart else None, False, bits or max(31, (top - 1).bit_length()))


def plan(hw: Hardware, parts: Sequence[PlanPartition], hv: Optional[Region] = None, pa_bits: int = 40) -> Plan:
    hv = hv or Region(hw.memory[0].base + 2 * MIB, 2 * MIB)
    owner = {c: (p.index, v) for p in parts for v, c in enumerate(p.cpus)}
    cpus = tuple(PlanCpu(c, hw.cpus[c].mpidr if c < len(hw.cpus) else c, 0x80a0000 + c * 0x20000, *owner[c])
                 for c in sorted(owner))
    numbers = {c: i for i, c in enumerate(sorted(owner))}
    parts = [replace(p, cpus=tuple(numbers[c] for c in p.cpus)) for p in parts]
    system = System("s.yaml", "sample", "test-board", Span("s.yaml", 1), tuple(p.spec for p in parts))
    console = next((i for i, c in enumerate(cpus) if not parts[c.partition].direct), None)
    return Plan(hw, system, hv, hv.base - hw.memory[0].base, cpus, tuple(parts), console, (), pa_bits)


def two_partitions(hw: Optional[Hardware] = None, blobs: Sequence[Blob] = ()) -> Plan:
    hw = hw or hardware()
    one = partition(hw, 0, "flight", [3], [ram_mapping(0x40000000, 0x50000000, 64 * MIB)], direct=True,
                    devices=["/soc/rtc@9010000", "/soc/gpio@9030000"])
    two = partition(hw, 1, "companion", [0, 1], [ram_mapping(0x40000000, 0x80000000, GIB)], vuart=True,
                    devices=["/soc/i2c@9200000", "/soc/target@9500000/timer@1000"], blobs=blobs,
                    bootargs="console=ttyAMA0")
    return plan(hw, [one, two])


CORE_C = """
#include <stdint.h>
extern char counter[4096];
char counter[4096];
uint64_t seen = 7;
extern const uint64_t x; const uint64_t x = 5;
int f(void); int f(void) { return (int)seen + counter[3]; }
"""


def stub_core(folder: Path) -> str:
    """A core.o with a little of everything."""
    source, out = folder / "core.c", folder / "core.o"
    source.write_text(CORE_C)
    subprocess.run(["aarch64-linux-gnu-gcc", "-O1", "-ffreestanding", "-c", "-o", str(out), str(source)], check=True)
    return str(out)
