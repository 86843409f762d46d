# SPDX-License-Identifier: Apache-2.0
"""Guest devicetrees: what a partition owns is there as the board has it, all else is not."""
from __future__ import annotations

import re
import subprocess
from dataclasses import replace

import pytest
import samples
from hvgen import addresses
from hvgen.diag import Failed
from hvgen.fdt import Tree, parse
from hvgen.guest_dtb import guest_dtb
from hvgen.model import Gic, Mapping, Plan, Region, Span
from samples import GIB, MIB


def trees(plan: Plan) -> list[Tree]:
    return [parse(guest_dtb(plan, part).data) for part in plan.partitions]


def one(devices: list[str], vuart: bool = False, **rest: object) -> tuple[Plan, Tree, tuple[str, ...]]:
    hw = samples.hardware()
    part = samples.partition(hw, 0, "one", [1, 3], [samples.ram_mapping(GIB, 2 * GIB, 64 * MIB)], devices=devices,
                             vuart=vuart)
    plan = samples.plan(hw, [replace(part, **rest)])
    made = guest_dtb(plan, plan.partitions[0])
    return plan, parse(made.data), made.dropped


def warnings(blob: bytes) -> set[str]:
    done = subprocess.run(["dtc", "-I", "dtb", "-O", "dts", "-o", "/dev/null", "-"], input=blob, check=True,
                          capture_output=True)
    assert b"ERROR" not in done.stderr
    return set(re.findall(r"\((\w+)\)", done.stderr.decode()))


def test_dtc_says_nothing_that_it_does_not_say_of_the_board() -> None:
    plan = samples.two_partitions()
    for part in plan.partitions:
        # A bus that lost its registers keeps the name that goes with them.
        assert warnings(guest_dtb(plan, part).data) <= warnings(plan.hardware.dtb) | {"simple_bus_reg"}


def test_only_owned_devices() -> None:
    flight, companion = trees(samples.two_partitions())
    named = {p for p in flight.nodes if "@" in p.rsplit("/", 1)[-1] and p.startswith("/soc")}
    assert named == {"/soc/interrupt-controller@8000000", "/soc/rtc@9010000", "/soc/gpio@9030000"}
    named = {p for p in companion.nodes if "@" in p.rsplit("/", 1)[-1] and p.startswith("/soc")}
    assert named == {"/soc/interrupt-controller@8000000", "/soc/i2c@9200000", "/soc/i2c@9200000/sensor@48",
                     "/soc/target@9500000", "/soc/target@9500000/timer@1000"}


def test_registers_lie_in_the_partition() -> None:
    plan = samples.two_partitions()
    for part, tree in zip(plan.partitions, trees(plan)):
        windows = [Region(m.ipa, m.size) for m in part.mappings]
        if part.vuart:
            windows.append(Region(part.vuart.ipa, 0x1000))
        for node in tree.nodes.values():
            if "interrupt-controller" in node and "gic" in node.string("compatible"):
                continue
            for reg in addresses.regs(node):
                assert any(w.base <= reg.base and reg.end <= w.end for w in windows), node.path


def test_a_device_is_as_the_board_has_it() -> None:
    plan, tree, dropped = one(["/soc/rtc@9010000", "/soc/gpio@9030000"])
    board = parse(plan.hardware.dtb)
    for path in ("/soc/rtc@9010000", "/soc/gpio@9030000"):
        before, after = board.nodes[path].props, dict(tree.nodes[path].props)
        assert after.pop("interrupt-parent") == board.nodes["/soc/interrupt-controller@8000000"].props["phandle"]
        assert after == before
    assert dropped == ()


def test_what_it_refers_to_comes_along() -> None:
    _, tree, _ = one(["/soc/rtc@9010000", "/soc/gpio@9030000"])
    assert {"/xtal", "/regulator-v18", "/regulator"} <= set(tree.nodes)    # vcc-supply, its vin-supply, its gpio
    assert tree.by_phandle[tree.nodes["/regulator-v18"].cell("vin-supply", 0)].path == "/regulator"
    assert tree.by_phandle[tree.nodes["/regulator"].cells("gpio")[0]].path == "/soc/gpio@9030000"
    assert "/half" not in tree.nodes


def test_what_another_has_is_left_out() -> None:
    _, tree, dropped = one(["/soc/rtc@9010000"])
    assert "gpio" not in tree.nodes["/regulator"]
    assert dropped == ("/regulator: gpio (/soc/gpio@9030000)",)
    _, tree, dropped = one(["/soc/i2c@9200000"])
    i2c = tree.nodes["/soc/i2c@9200000"]
    for name in ("clocks", "clock-names", "resets", "reset-names", "iommus", "pinctrl-0", "pinctrl-names"):
        assert name not in i2c
    assert "interrupts" not in tree.nodes["/soc/i2c@9200000/sensor@48"]     # at somebody else's GPIO
    assert "/soc/i2c@9200000: clocks (/soc/clock-controller@9100000)" in dropped
    assert "/soc/i2c@9200000: iommus (/soc/iommu@9400000)" in dropped


def test_a_controller_owned_as_well_stays_the_interrupt_parent() -> None:
    _, tree, _ = one(["/soc/i2c@9200000", "/soc/gpio@9030000"])
    sensor = tree.nodes["/soc/i2c@9200000/sensor@48"]
    assert sensor.cells("interrupts") == (3, 8)
    assert tree.by_phandle[sensor.cell("interrupt-parent", 0)].path == "/soc/gpio@9030000"


def test_what_stands_behind_a_wake_up_controller_is_put_before_the_gic() -> None:
    _, tree, dropped = one(["/soc/plain@9610000"])
    plain = tree.nodes["/soc/plain@9610000"]
    assert plain.cells("interrupts") == (0, 40, 4, 0, 41, 1) and plain.strings("interrupt-names") == ("one", "two")
    assert tree.by_phandle[plain.cell("interrupt-parent", 0)].path == "/soc/interrupt-controller@8000000"
    assert "/soc/interrupt-controller@9600000" not in tree.nodes and dropped == ()


def test_interrupts_of_several_controllers() -> None:
    _, tree, dropped = one(["/soc/mixed@9620000"])
    mixed = tree.nodes["/soc/mixed@9620000"]
    gic = tree.nodes["/soc/interrupt-controller@8000000"].phandle
    assert mixed.cells("interrupts-extended") == (gic, 0, 42, 4, 0, gic, 0, 43, 1)     # none at another's GPIO
    assert mixed.strings("interrupt-names") == ("a", "b", "c")
    assert dropped == ("/soc/mixed@9620000: interrupts (/soc/gpio@9030000)",)
    _, tree, dropped = one(["/soc/mixed@9620000", "/soc/gpio@9030000"])
    gpio = tree.nodes["/soc/gpio@9030000"].phandle
    assert tree.nodes["/soc/mixed@9620000"].cells("interrupts-extended") == (gic, 0, 42, 4, gpio, 2, 1, gic, 0, 43, 1)
    assert dropped == ()


def test_interrupts_through_a_bus() -> None:
    _, tree, dropped = one(["/soc/motherboard/eth@9630000"])
    eth = tree.nodes["/soc/motherboard/eth@9630000"]
    assert eth.cells("interrupts") == (0, 44, 4)
    assert tree.by_phandle[eth.cell("interrupt-parent", 0)].path == "/soc/interrupt-controller@8000000"


def test_a_bus_that_is_not_owned_only_translates() -> None:
    _, tree, _ = one(["/soc/target@9500000/timer@1000"])
    bus = tree.nodes["/soc/target@9500000"]
    assert set(bus.props) == {"#address-cells", "#size-cells", "ranges", "compatible"}
    assert bus.compatible == ("simple-bus",)
    assert addresses.regs(tree.nodes["/soc/target@9500000/timer@1000"]) == (Region(0x9511000, 0x1000),)


def test_no_reference_dangles() -> None:
    for devices in (["/soc/i2c@9200000"], ["/soc/rtc@9010000", "/soc/uart@9040000"], ["/soc/target@9500000"]):
        _, tree, _ = one(devices, vuart=True)
        for node in tree.nodes.values():
            for name in ("clocks", "interrupt-parent", "vin-supply", "vcc-supply", "vdd-supply", "next-level-cache"):
                if name in node:
                    assert node.cell(name, 0) in tree.by_phandle, (node.path, name)


def test_memory() -> None:
    hw = samples.hardware()
    ram = [samples.ram_mapping(GIB, 2 * GIB, 64 * MIB), samples.ram_mapping(GIB + 64 * MIB, 3 * GIB, 64 * MIB),
           samples.ram_mapping(8 * GIB, 4 * GIB, 6 * GIB)]
    plan = samples.plan(hw, [samples.partition(hw, 0, "a", [0], ram)])
    memory = trees(plan)[0].nodes["/memory@40000000"]
    assert addresses.regs(memory) == (Region(GIB, 128 * MIB), Region(8 * GIB, 6 * GIB))
    assert memory.string("device_type") == "memory"


def test_memory_with_one_cell_of_size() -> None:
    text = samples.BOARD_DTS.replace("#address-cells = <2>; #size-cells = <2>; interrupt-parent",
                                     "#address-cells = <2>; #size-cells = <1>; interrupt-parent")
    text = text.replace("<0 0x40000000 4 0>", "<0 0x40000000 0x80000000>")
    hw = samples.hardware(text)
    plan = samples.plan(hw, [samples.partition(hw, 0, "a", [0], [samples.ram_mapping(GIB, 2 * GIB, 9 * GIB)])])
    regs = addresses.regs(trees(plan)[0].nodes["/memory@40000000"])
    assert regs[0].base == GIB and sum(r.size for r in regs) == 9 * GIB
    assert all(a.end == b.base for a, b in zip(regs, regs[1:]))


def test_an_address_that_the_boards_cells_cannot_hold() -> None:
    text = samples.BOARD_DTS.replace("#address-cells = <2>; #size-cells = <2>; interrupt-parent",
                                     "#address-cells = <1>; #size-cells = <1>; interrupt-parent")
    hw = samples.hardware(text.replace("<0 0x40000000 4 0>", "<0x40000000 0x80000000>").replace(
        "ranges = <0 0 0 0x10000000>", "ranges = <0 0 0x10000000>"))
    plan = samples.plan(hw, [samples.partition(hw, 0, "a", [0], [samples.ram_mapping(8 * GIB, 2 * GIB, 2 * MIB)])])
    with pytest.raises(Failed, match="0x200000000 does not fit into the 1 cell that"):
        trees(plan)


def test_cpus_are_renumbered() -> None:
    _, tree, _ = one([])
    cpus = [n for n in tree.nodes["/cpus"].children if n.name.startswith("cpu@")]
    assert [(n.name, n.cells("reg"), n.string("enable-method")) for n in cpus] == [
        ("cpu@0", (0,), "psci"), ("cpu@1", (1,), "psci")]
    assert tree.by_phandle[cpus[0].cell("next-level-cache", 0)].path == "/cpus/l2-cache"     # board's cpu@1 has one
    assert "next-level-cache" not in cpus[1]                                                 # its cpu@101 has none
    assert "clocks" not in cpus[0]


def test_more_than_sixteen_cpus() -> None:
    cpus = "".join(f'cpu@{n:x} {{ device_type = "cpu"; compatible = "arm,cortex-a57"; reg = <{n}>; '
                   'enable-method = "psci"; };' for n in range(0x200, 0x214))
    hw = samples.hardware(samples.BOARD_DTS.replace("l2: l2-cache", cpus + "l2: l2-cache"))
    part = samples.partition(hw, 0, "many", list(range(4, 24)), [samples.ram_mapping(GIB, 2 * GIB, 64 * MIB)])
    tree = trees(samples.plan(hw, [part]))[0]
    regs = [n.cell("reg", -1) for n in tree.nodes["/cpus"].children if n.name.startswith("cpu@")]
    assert regs == [*range(16), 0x100, 0x101, 0x102, 0x103]


def test_timer_without_the_hypervisors_interrupt() -> None:
    _, tree, _ = one([])
    timer = tree.nodes["/timer"]
    assert timer.cells("interrupts") == (1, 13, 4, 1, 14, 4, 1, 11, 4)
    assert "always-on" in timer and timer.is_a("arm,armv8-timer")


def test_timer_with_names() -> None:
    text = samples.BOARD_DTS.replace(
        "interrupts = <1 13 4>, <1 14 4>, <1 11 4>, <1 10 4>;",
        'interrupts = <1 14 4>, <1 11 4>, <1 10 4>, <1 12 4>; interrupt-names = "phys", "virt", "hyp-phys", "hyp-virt";')
    hw = samples.hardware(text)
    plan = samples.plan(hw, [samples.partition(hw, 0, "a", [0], [samples.ram_mapping(GIB, 2 * GIB, 2 * MIB)])])
    timer = trees(plan)[0].nodes["/timer"]
    assert timer.strings("interrupt-names") == ("phys", "virt")
    assert timer.cells("interrupts") == (1, 14, 4, 1, 11, 4)


def test_gicv3() -> None:
    _, tree, _ = one([])
    gic = tree.nodes["/soc/interrupt-controller@8000000"]
    assert addresses.regs(gic) == (Region(0x8000000, 0x10000), Region(0x80a0000, 2 * 0x20000))
    assert "interrupts" not in gic and not gic.children
    assert tree.root.cell("interrupt-parent", 0) == gic.phandle


def test_gicv2() -> None:
    text = samples.BOARD_DTS.replace('"arm,gic-v3"', '"arm,gic-400"').replace(
        "<0x80a0000 0xf60000>", "<0x8010000 0x2000>, <0x8030000 0x2000>, <0x8040000 0x2000>")
    hw = samples.hardware(text)
    hw = replace(hw, gic=Gic(2, "/soc/interrupt-controller@8000000", Region(0x8000000, 0x10000), (), 0x20000,
                             Region(0x8010000, 0x2000), Region(0x8030000, 0x2000), Region(0x8040000, 0x2000), 25, ()))
    part = samples.partition(hw, 0, "a", [0], [samples.ram_mapping(GIB, 2 * GIB, 2 * MIB)])
    gicv = Mapping(0x8010000, 0x8040000, 0x2000, "device", "/soc/interrupt-controller@8000000", Span(""))
    plan = samples.plan(hw, [replace(part, mappings=(gicv, *part.mappings))])
    gic = trees(plan)[0].nodes["/soc/interrupt-controller@8000000"]
    assert addresses.regs(gic) == (Region(0x8000000, 0x10000), Region(0x8010000, 0x2000))


@pytest.mark.parametrize("conduit,method", [("smc", "smc"), ("hvc", "hvc"), ("none", "hvc")])
def test_psci(conduit: str, method: str) -> None:
    plan = samples.two_partitions(replace(samples.hardware(), psci=conduit))
    psci = trees(plan)[0].nodes["/psci"]
    assert psci.string("method") == method
    assert psci.compatible == ("arm,psci-1.0", "arm,psci-0.2")


def test_virtual_uart() -> None:
    _, tree, _ = one([], vuart=True)
    uart = tree.nodes["/serial@9000000"]
    assert uart.compatible == ("arm,pl011", "arm,primecell")
    assert addresses.regs(uart) == (Region(0x9000000, 0x1000),)
    assert uart.cells("interrupts") == (0, 1, 4)
    clock = tree.by_phandle[uart.cells("clocks")[0]]
    assert clock.is_a("fixed-clock") and clock.cell("clock-frequency", 0) == 24_000_000
    assert clock.string("clock-output-names") == "vuart-clock"      # unlike any of the board: names are unique in Linux
    assert tree.nodes["/chosen"].string("stdout-path") == uart.path
    assert tree.nodes["/aliases"].string("serial0") == uart.path
    assert "/soc/uart@9000000" not in tree.nodes


def test_own_uart_is_stdout() -> None:
    _, tree, _ = one(["/soc/uart@9040000"])
    assert tree.nodes["/chosen"].string("stdout-path") == "/soc/uart@9040000"
    assert tree.nodes["/aliases"].string("serial1") == "/soc/uart@9040000"
    assert "rtc0" not in tree.nodes["/aliases"]


def test_chosen() -> None:
    _, tree, _ = one([], initrd=Region(0x44000000, 0x123))
    chosen = tree.nodes["/chosen"]
    assert chosen.number("linux,initrd-start", 0) == 0x44000000
    assert chosen.number("linux,initrd-end", 0) == 0x44000123
    companion = trees(samples.two_partitions())[1]
    assert companion.nodes["/chosen"].string("bootargs") == "console=ttyAMA0"


def test_pmu_only_with_its_interrupt() -> None:
    _, tree, _ = one([])
    assert tree.nodes["/pmu"].cells("interrupts") == (1, 7, 4)
    _, tree, _ = one([], ppis=(27, 30))
    assert "/pmu" not in tree.nodes


def test_a_childs_foreign_interrupt_is_left_out() -> None:
    text = samples.BOARD_DTS.replace("sensor@48 {", "helper { interrupts = <0 99 4>; }; sensor@48 {")
    hw = samples.hardware(text)
    part = samples.partition(hw, 0, "a", [0], [samples.ram_mapping(GIB, 2 * GIB, 2 * MIB)],
                             devices=["/soc/i2c@9200000"])
    tree = trees(samples.plan(hw, [part]))[0]
    assert "interrupts" not in tree.nodes["/soc/i2c@9200000/helper"]
    assert tree.nodes["/soc/i2c@9200000"].cells("interrupts") == (0, 20, 4)


def test_the_same_bytes_each_time() -> None:
    a, b = samples.two_partitions(), samples.two_partitions()
    assert [guest_dtb(a, p).data for p in a.partitions] == [guest_dtb(b, p).data for p in b.partitions]
