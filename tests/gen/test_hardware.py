# SPDX-License-Identifier: Apache-2.0
"""Devicetree and board.yaml -> Hardware: each test has a tree of its own, a few lines long."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from hvgen import fdt, hardware, newboard, uarts  # noqa: E402
from hvgen.boardfile import BoardFile  # noqa: E402
from hvgen.diag import Refused, render  # noqa: E402
from hvgen.model import Device, Hardware, Interrupt, Region, Span  # noqa: E402

HEAD = """/dts-v1/;
/memreserve/ 0x40000100 0x20;
/ {
    model = "Test"; compatible = "test,board"; #address-cells = <2>; #size-cells = <1>; interrupt-parent = <&gic>;
    cpus { #address-cells = <2>; #size-cells = <0>;
        cpu@0 { device_type = "cpu"; compatible = "arm,cortex-a53"; reg = <0 0>; enable-method = "psci"; };
        cpu@1 { device_type = "cpu"; compatible = "arm,cortex-a53"; reg = <1 0x80000100>; enable-method = "psci"; };
        cpu@2 { device_type = "cpu"; compatible = "arm,cortex-a53"; reg = <0 2>; status = "disabled"; };
    };
    memory@40000000 { device_type = "memory"; reg = <0 0x40000000 0x10000000>, <0 0x50000000 0x10000000>; };
    timer { compatible = "arm,armv8-timer"; interrupts = <1 13 8>, <1 14 8>, <1 11 8>, <1 10 8>; };
    psci { compatible = "arm,psci-0.2"; method = "hvc"; };
    gic: gic@8000000 { compatible = "arm,gic-v3"; interrupt-controller; #interrupt-cells = <3>; #address-cells = <0>;
        reg = <0 0x8000000 0x10000>, <0 0x80a0000 0x40000>; interrupts = <1 9 4>; };
"""
UART = 'uart: serial@9000000 { compatible = "arm,pl011", "arm,primecell"; reg = <0 0x9000000 0x1000>; interrupts = <0 1 4>; };'


def compile_dts(text: str) -> bytes:
    done = subprocess.run(["dtc", "-q", "-@", "-I", "dts", "-O", "dtb"], input=text.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def board(body: str = UART, head: str = HEAD, **facts: object) -> Hardware:
    file = BoardFile(file="b/board.yaml", devicetree="b/board.dts", **facts)  # type: ignore[arg-type]
    return hardware.from_devicetree(compile_dts(head + body + "};"), "b", "b", file)


def device(hw: Hardware, name: str) -> Device:
    path = hw.by_name.get(name, name)
    return next(d for d in hw.devices if d.path == path)


def refusals(body: str = UART, head: str = HEAD, **facts: object) -> list[str]:
    with pytest.raises(Refused) as caught:
        board(body, head, **facts)
    return [render(d) for d in caught.value.diagnostics]


# ---------------------------------------------------------------- CPUs, memory, GIC, timer

def test_cpus_have_their_affinity_and_disabled_ones_are_left_out() -> None:
    assert [(c.path, c.mpidr) for c in board().cpus] == [("/cpus/cpu@0", 0), ("/cpus/cpu@1", 0x1_0000_0100)]
    assert board().cpus[0].enable_method == "psci"


def test_memory_banks_that_touch_are_one() -> None:
    assert board().memory == (Region(0x40000000, 0x20000000),)


def test_board_yaml_replaces_the_memory() -> None:
    assert board(memory=(Region(0x80000000, 0x1000000),)).memory == (Region(0x80000000, 0x1000000),)


def test_reserved_memory_in_whole_pages_with_its_reason() -> None:
    body = UART + """reserved-memory { #address-cells = <2>; #size-cells = <1>; ranges;
        tee@4f000000 { reg = <0 0x4f000800 0x1000>; no-map; };
        cma { size = <0x1000000>; reusable; };
        off@48000000 { reg = <0 0x48000000 0x1000>; status = "disabled"; }; };"""
    assert board(body, firmware=((Region(0x41000000, 0x1000), "monitor"),)).reserved == (
        (Region(0x40000000, 0x1000), "/memreserve/"), (Region(0x41000000, 0x1000), "monitor"),
        (Region(0x4f000000, 0x2000), "/reserved-memory/tee@4f000000"))


def test_gic_timer_psci() -> None:
    hw = board()
    assert hw.gic and hw.timer
    assert (hw.gic.version, hw.gic.dist, hw.gic.redists) == (3, Region(0x8000000, 0x10000), (Region(0x80a0000, 0x40000),))
    assert (hw.gic.redist_stride, hw.gic.maintenance) == (0x20000, 25)
    assert (hw.timer.virt, hw.timer.phys, hw.timer.hyp, hw.psci) == (27, 30, 26, "hvc")


def test_gic_with_several_redistributors_its_and_stride() -> None:
    gic = """#redistributor-regions = <2>; redistributor-stride = <0 0x40000>; ranges; #size-cells = <1>; #address-cells = <2>;
        reg = <0 0x8000000 0x10000>, <0 0x80a0000 0x40000>, <0 0x8200000 0x40000>;
        its@8100000 { compatible = "arm,gic-v3-its"; reg = <0 0x8100000 0x20000>; }; };"""
    single = "#address-cells = <0>;\n        reg = <0 0x8000000 0x10000>, <0 0x80a0000 0x40000>; interrupts = <1 9 4>; };"
    hw = board(head=HEAD.replace(single, gic))
    assert hw.gic
    assert hw.gic.redists == (Region(0x80a0000, 0x40000), Region(0x8200000, 0x40000))
    assert hw.gic.redist_stride == 0x40000
    assert hw.gic.maintenance == 0
    assert Region(0x8100000, 0x20000) in hw.gic.regions and len(hw.gic.regions) == 4


def test_gicv2_frames_have_two_pages_at_least() -> None:
    hw = board(head=HEAD.replace('"arm,gic-v3"', '"qcom,msm-qgic2"').replace(
        "<0 0x80a0000 0x40000>", "<0 0x8010000 0x1000>, <0 0x8020000 0x1000>, <0 0x8030000 0x1000>"))
    assert hw.gic and hw.gic.cpu == Region(0x8010000, 0x2000) and hw.gic.vcpu == Region(0x8030000, 0x2000)


def test_gicv2_without_a_virtual_interface_is_refused() -> None:
    text, = refusals(head=HEAD.replace('"arm,gic-v3"', '"arm,gic-400"'))
    assert text.startswith("b/board.dts: error[BOARD-NO-GIC]: /gic@8000000 is a GICv2 that names 2 of 4 register ranges")


def test_gicv2() -> None:
    hw = board(head=HEAD.replace('"arm,gic-v3"', '"arm,gic-400"').replace(
        "<0 0x80a0000 0x40000>", "<0 0x8010000 0x2000>, <0 0x8020000 0x2000>, <0 0x8030000 0x2000>"))
    assert hw.gic and hw.gic.version == 2
    assert (hw.gic.cpu, hw.gic.hyp, hw.gic.vcpu) == (Region(0x8010000, 0x2000), Region(0x8020000, 0x2000), Region(0x8030000, 0x2000))


def test_timer_interrupts_by_name() -> None:
    head = HEAD.replace("interrupts = <1 13 8>, <1 14 8>, <1 11 8>, <1 10 8>;",
                        'interrupts = <1 11 8>, <1 14 8>, <1 10 8>; interrupt-names = "virt", "phys", "hyp-phys";')
    timer = board(head=head).timer
    assert timer and (timer.virt, timer.phys, timer.hyp) == (27, 30, 26)


# ---------------------------------------------------------------- registers

def test_ranges_are_translated_through_two_buses() -> None:
    hw = board(UART + """soc { #address-cells = <1>; #size-cells = <1>;
        ranges = <0x0 0x1 0x0 0x1000000>, <0x7e000000 0x0 0xfe000000 0x1800000>;
        inner@7e200000 { #address-cells = <1>; #size-cells = <1>; ranges = <0x0 0x7e200000 0x10000>;
            dev: dev@1000 { reg = <0x1000 0x100>, <0x20000 0x100>; }; };
        low: dev@2000 { reg = <0x2000 0x10>; }; };""")
    assert device(hw, "dev").regs == (Region(0xfe201000, 0x100),)     # 0x20000 is outside its bus
    assert device(hw, "low").regs == (Region(0x1_0000_2000, 0x10),)


def test_no_ranges_no_registers() -> None:
    hw = board(UART + """i2c: i2c@a000000 { reg = <0 0xa000000 0x1000>; #address-cells = <1>; #size-cells = <0>;
        rtc: rtc@68 { reg = <0x68>; }; };
        apart { #address-cells = <1>; #size-cells = <1>; lost: lost@0 { reg = <0 0x1000>; }; };
        pci: pcie@b000000 { device_type = "pci"; reg = <0 0xb000000 0x1000>; #address-cells = <3>; #size-cells = <2>;
            ranges = <0x2000000 0 0x10000000 0 0x10000000 0 0x1000000>; nic: nic@1,0 { reg = <0x800 0 0 0 0>; }; };""")
    assert [device(hw, n).regs for n in ("rtc", "lost", "nic")] == [(), (), ()]
    assert device(hw, "pci").regs == (Region(0xb000000, 0x1000),)


def test_cell_counts_are_inherited_as_linux_does() -> None:
    hw = board(UART + "bus { ranges; dev: dev@c000000 { reg = <0 0xc000000 0x1000>; }; };")
    assert device(hw, "dev").regs == (Region(0xc000000, 0x1000),)


def test_disabled_is_inherited() -> None:
    hw = board(UART + """bus { ranges; status = "disabled"; #address-cells = <2>; #size-cells = <1>;
        a: a@c000000 { reg = <0 0xc000000 0x1000>; }; };
        b: b@d000000 { reg = <0 0xd000000 0x1000>; status = "ok"; };""")
    assert not device(hw, "a").enabled and device(hw, "b").enabled


# ---------------------------------------------------------------- interrupts

def test_interrupts_and_their_kinds() -> None:
    hw = board(UART + """a: a@c000000 { reg = <0 0xc000000 0x1000>;
        interrupts = <0 5 1>, <1 6 0xf08>, <2 3 4>, <3 1 4>, <1 16 4>, <0 9999 4>; };""")
    assert device(hw, "a").interrupts == (Interrupt(37, 1), Interrupt(22, 8), Interrupt(4099, 4), Interrupt(1057, 4),
                                          Interrupt(10031, 4))  # out of range: IRQ-RANGE says so where it is given away
    assert device(hw, "a").interrupts[0].edge and not device(hw, "a").interrupts[1].edge


def test_interrupts_that_end_at_another_controller_are_not_the_gics() -> None:
    hw = board(UART + """gpio: gpio@c000000 { reg = <0 0xc000000 0x1000>; interrupts = <0 7 4>;
            interrupt-controller; #interrupt-cells = <2>; };
        a: a@d000000 { reg = <0 0xd000000 0x1000>; interrupt-parent = <&gpio>; interrupts = <3 1>; };
        b: b@e000000 { reg = <0 0xe000000 0x1000>; interrupts-extended = <&gpio 4 1>, <&gic 0 8 4>, <0>; interrupts = <0 77 4>; };""")
    assert device(hw, "gpio").interrupts == (Interrupt(39, 4),)
    assert device(hw, "a").interrupts == ()
    assert device(hw, "b").interrupts == (Interrupt(40, 4),)


def test_a_controller_is_the_parent_of_what_is_below_it() -> None:
    hw = board(UART + """gpio@c000000 { reg = <0 0xc000000 0x1000>; interrupt-controller; #interrupt-cells = <1>; interrupts = <0 7 4>;
        a: a { interrupts = <3>; }; };""")
    assert device(hw, "a").interrupts == ()


def test_interrupt_map() -> None:
    hw = board(UART + """nexus: nexus { #interrupt-cells = <1>; #address-cells = <1>; #size-cells = <0>; interrupt-parent = <&nexus>;
            interrupt-map-mask = <0xf0 0x3>;
            interrupt-map = <0x10 1 &gic 0 20 4>, <0x20 1 &two 0xabc 0 21 4>;
            a: a@13 { reg = <0x13>; interrupts = <0x5>; };
            b: b@20 { reg = <0x20>; interrupts = <1>; };
            c: c@30 { reg = <0x30>; interrupts = <1>; }; };
        two: two { #interrupt-cells = <3>; #address-cells = <1>;
            interrupt-map-mask = <0 0 0 0>; interrupt-map = <0 0 0 0 &gic 0 30 1>; };""")
    assert device(hw, "a").interrupts == (Interrupt(52, 4),)
    assert device(hw, "b").interrupts == (Interrupt(62, 1),)
    assert device(hw, "c").interrupts == ()
    assert device(hw, "nexus").interrupts == (Interrupt(52, 4), Interrupt(62, 1))


def test_controllers_that_pass_interrupts_on_unchanged() -> None:
    hw = board(UART + """gpc: gpc@c000000 { compatible = "fsl,imx8mq-gpc"; reg = <0 0xc000000 0x1000>;
            interrupts = <0 87 4>; interrupt-controller; #interrupt-cells = <3>; };
        pdc: pdc@d000000 { compatible = "qcom,pdc"; reg = <0 0xd000000 0x1000>; interrupt-controller; #interrupt-cells = <2>;
            qcom,pdc-ranges = <0 480 10>, <10 500 5>; };
        a: a@e000000 { reg = <0 0xe000000 0x1000>; interrupt-parent = <&gpc>; interrupts = <0 12 4>; };
        b: b@f000000 { reg = <0 0xf000000 0x1000>; interrupts-extended = <&pdc 12 1>; };""")
    assert device(hw, "a").interrupts == (Interrupt(44, 4),)
    assert device(hw, "b").interrupts == (Interrupt(534, 1),)


def test_a_loop_of_controllers_ends() -> None:
    hw = board(UART + """n1: n1 { #interrupt-cells = <1>; #address-cells = <0>; interrupt-map = <1 &n2 1>; };
        n2: n2 { #interrupt-cells = <1>; #address-cells = <0>; interrupt-map = <1 &n1 1>; };
        a: a { interrupt-parent = <&n1>; interrupts = <1>; };""")
    assert device(hw, "a").interrupts == ()


# ---------------------------------------------------------------- names, references, streams, DMA

def test_labels_and_aliases() -> None:
    hw = board(UART + 'aliases { serial0 = &uart; console = "/serial@9000000"; };')
    assert set(device(hw, "uart").labels) == {"uart", "serial0", "console"}
    assert hw.by_name["serial0"] == hw.by_name["uart"] == "/serial@9000000"


def test_streams_and_iommus() -> None:
    hw = board(UART + """smmu: iommu@c000000 { compatible = "arm,mmu-500"; reg = <0 0xc000000 0x1000>; #iommu-cells = <2>; };
        a: a@d000000 { reg = <0 0xd000000 0x1000>; iommus = <&smmu 0x80 0x7f>, <&smmu 0x100 0>; };""")
    assert device(hw, "a").streams == (0x80, 0x100)
    assert device(hw, "a").dma
    assert hw.iommus == ("/iommu@c000000",)


@pytest.mark.parametrize("body, dma", [
    ('compatible = "arm,pl031"; reg = <0 0xc000000 0x1000>;', False),
    ('compatible = "acme,soc-gpio"; reg = <0 0xc000000 0x1000>;', False),
    ('compatible = "acme,ethernet"; reg = <0 0xc000000 0x1000>;', True),
    ('compatible = "virtio,mmio"; reg = <0 0xc000000 0x1000>;', True),
    ('compatible = "snps,dw-apb-uart"; reg = <0 0xc000000 0x1000>;', False),
    ('compatible = "snps,dw-apb-uart"; reg = <0 0xc000000 0x1000>; dmas = <&uart>;', True),
    ('compatible = "qcom,geni-uart"; reg = <0 0xc000000 0x1000>;', True),
    ('interrupts = <0 3 4>;', False),
])
def test_dma(body: str, dma: bool) -> None:
    assert device(board(UART + f"a: a@c000000 {{ {body} }};"), "a").dma is dma


# ---------------------------------------------------------------- console

def test_console_from_stdout_path_with_options() -> None:
    second = UART.replace("uart:", "uart2:").replace("9000000", "9040000").replace("<0 1 4>", "<0 8 4>")
    hw = board(UART + second + 'aliases { serial3 = &uart2; }; chosen { stdout-path = "serial3:115200n8"; };')
    assert hw.uart and (hw.uart.path, hw.uart.intid, hw.uart.kind) == ("/serial@9040000", 40, "pl011")


def test_console_from_board_yaml_wins() -> None:
    second = UART.replace("uart:", "uart2:").replace("9000000", "9040000")
    hw = board(UART + second + "chosen { stdout-path = &uart2; };", console="uart")
    assert hw.uart and hw.uart.path == "/serial@9000000"


def test_console_falls_back_to_aliases_then_to_the_first_known() -> None:
    second = UART.replace("uart:", "uart2:").replace("9000000", "9040000")
    hw = board(UART + second + "aliases { serial0 = &uart2; };")
    assert hw.uart and hw.uart.path == "/serial@9040000"
    hw = board(second + UART)
    assert hw.uart and hw.uart.path == "/serial@9040000"


def test_no_serial_port_is_no_error_unless_one_is_named() -> None:
    assert board("").uart is None
    assert refusals(UART, console="nothing", console_span=Span("b/board.yaml", 1, 10)) == [
        "b/board.yaml:1:10: error[BOARD-NO-UART]: there is no device 'nothing' on the board"]


def test_pl011_as_data() -> None:
    uart = board().uart
    assert uart and uart.rx_on == ((0x38, 0x50),) and uart.init == ((0x38, 0), (0x30, 0x301)) and uart.rx_ack is None
    assert (uart.tx, uart.tx_status, uart.tx_mask, uart.tx_ready, uart.rx_mask, uart.width) == (0, 0x18, 0x20, 0, 0x10, 4)


@pytest.mark.parametrize("props, width, status", [
    ('compatible = "ns16550a";', 1, 5),
    ('compatible = "snps,dw-apb-uart"; reg-shift = <2>; reg-io-width = <4>;', 4, 20),
    ('compatible = "brcm,bcm2835-aux-uart";', 4, 20),
    ('compatible = "acme,uart", "nvidia,tegra20-uart"; reg-shift = <2>;', 4, 20),
    ('compatible = "ns16550"; reg-offset = <0x100>; reg-shift = <1>;', 1, 0x10a),
])
def test_16550_relatives(props: str, width: int, status: int) -> None:
    uart = board(f"u: serial@9000000 {{ {props} reg = <0 0x9000000 0x1000>; interrupts = <0 1 4>; }};").uart
    assert uart and (uart.kind, uart.width, uart.tx_status, uart.tx_mask) == ("ns16550", width, status, 0x20)


def test_every_kind_fits_the_layout_and_names_its_source() -> None:
    node = fdt.Node("serial", "/serial", None)
    for name, of in uarts.KINDS.items():
        kind = of(node)
        assert kind.source and kind.width in (1, 2, 4), name
        assert len(kind.init) <= 4 and len(kind.rx_on) <= 2 and len(kind.tx_pre) <= 2, name
        assert kind.tx_mask and kind.tx_ready & ~kind.tx_mask == 0, name
        assert kind.rx_mask == 0 or kind.rx_ready & ~kind.rx_mask == 0, name


# ---------------------------------------------------------------- refusals

def test_no_gic() -> None:
    head = HEAD.replace("arm,gic-v3", "brcm,bcm2836-l1-intc")
    assert refusals(head=head) == [
        "b/board.dts: error[BOARD-NO-GIC]: the board has no GICv2 or GICv3\n"
        "  note: its interrupt controllers are /gic@8000000 (brcm,bcm2836-l1-intc)"]


def test_all_that_is_missing_is_said_at_once() -> None:
    head = HEAD.replace('"memory"', '"nothing"').replace("arm,armv8-timer", "acme,timer")
    assert refusals(head=head) == [
        "b/board.dts: error[BOARD-NO-TIMER]: the board describes no generic timer (arm,armv8-timer) with its interrupts",
        "b/board.yaml: error[BOARD-NO-MEMORY]: neither the devicetree nor board.yaml says where the RAM is\n"
        "  note: b/board.dts: boot loaders fill it in on this board\n"
        "  fix: add 'memory: [{base: ..., size: ...}]' to board.yaml"]


def test_console_that_is_no_serial_port() -> None:
    assert refusals(console="gic", console_span=Span("b/board.yaml", 3, 10)) == [
        "b/board.yaml:3:10: error[BOARD-NO-UART]: /gic@8000000 is no serial port that Bulkhead knows\n"
        "  note: b/board.dts: compatible: arm,gic-v3\n"
        "  fix: the serial ports are listed in scripts/hvgen/uarts.py"]


@pytest.mark.parametrize("cut", [0, 3, 40, 60, 200, 1000])
def test_damaged_blobs_are_refused(cut: int) -> None:
    blob = compile_dts(HEAD + UART + "};")[:cut]
    with pytest.raises(Refused) as caught:
        hardware.from_devicetree(blob, "b", "b", BoardFile("b/board.yaml", "b/board.dtb"))
    assert caught.value.diagnostics[0].id == "BOARD-DEVICETREE"


def test_garbled_blobs_never_crash() -> None:
    blob = compile_dts(HEAD + UART + "};")
    for at in range(56, len(blob), 7):
        damaged = blob[:at] + bytes([blob[at] ^ 0x5a]) + blob[at + 1:]
        try:
            hardware.from_devicetree(damaged, "b", "b", BoardFile("b/board.yaml", "b/board.dtb"))
        except Refused:
            pass


# ---------------------------------------------------------------- board folders

def folder(tmp_path: Path, yaml: str, dts: str = HEAD + UART + "};") -> Path:
    path = tmp_path / "myboard"
    path.mkdir(exist_ok=True)
    (path / "board.yaml").write_text(yaml)
    (path / "board.dts").write_text(dts)
    return path


def load_refusals(path: Path | str) -> list[str]:
    with pytest.raises(Refused) as caught:
        hardware.load_board(str(path), str(ROOT))
    return [render(d) for d in caught.value.diagnostics]


def test_a_board_folder(tmp_path: Path) -> None:
    path = folder(tmp_path, "description: mine\nconsole: uart\nfirmware:\n  - {base: 0x5000_0000, size: 64 KiB, what: monitor}\n"
                            "memory: [{base: 0x40000000, size: 1 GiB}]\nredistributor-stride: 256 KiB\n")
    hw = hardware.load_board(str(path), str(ROOT))
    assert (hw.name, hw.folder, hw.dtb_file) == ("myboard", str(path), str(path / "board.dts"))
    assert hw.memory == (Region(0x40000000, 1 << 30),)
    assert (Region(0x50000000, 0x10000), "monitor") in hw.reserved
    assert hw.gic and hw.gic.redist_stride == 0x40000
    assert hw.dtb[:4] == bytes.fromhex("d00dfeed")


def test_board_yaml_is_strict_and_says_everything_at_once(tmp_path: Path) -> None:
    path = folder(tmp_path, "consol: uart\nmemory:\n  - {base: 0x40000000, size: lots}\n  - {base: 0x1}\nfirmware: 5\n"
                            "console: uart\nconsole: uart\n")
    file = path / "board.yaml"
    assert load_refusals(path) == [
        f"{file}:1:1: error[BOARD-FILE]: unknown key 'consol' in board.yaml\n  fix: did you mean 'console'?",
        f"{file}:3:5: error[BOARD-FILE]: an entry of 'memory' must consist of whole 4 KiB pages, and of one at least",
        f"{file}:3:30: error[BOARD-FILE]: size must be a number, as in 0x40000000 or 512 MiB",
        f"{file}:4:5: error[BOARD-FILE]: an entry of 'memory' needs base and size",
        f"{file}:5:11: error[BOARD-FILE]: 'firmware' must be a list of {{base: ..., size: ...}}",
        f"{file}:7:1: error[BOARD-FILE]: key 'console' stands twice in board.yaml"]


def test_broken_yaml_and_missing_devicetrees(tmp_path: Path) -> None:
    path = folder(tmp_path, "console: [uart\n")
    assert load_refusals(path)[0].startswith(f"{path}/board.yaml:2:1: error[BOARD-FILE]: this is not YAML")
    path = folder(tmp_path, "devicetree: other.dtb\n")
    assert load_refusals(path) == [f"{path}/board.yaml:1:13: error[BOARD-FILE]: the devicetree {path}/other.dtb does not exist"]
    path = folder(tmp_path, "console: uart\n", "/dts-v1/; / { oops };")
    text, = load_refusals(path)
    assert text.startswith(f"{path}/board.dts: error[BOARD-DEVICETREE]: dtc refuses it") and "syntax error" in text


def test_unknown_board() -> None:
    text, = load_refusals("qemu-virt-arm46")
    assert "error[BOARD-UNKNOWN]: there is no board 'qemu-virt-arm46'" in text
    assert "fix: did you mean 'qemu-virt-arm64'?" in text


@pytest.mark.parametrize("name, size", [("qemu-virt-arm64", 4 << 30), ("qemu-virt-arm64-1t", 1 << 40),
                                        ("qemu-virt-arm64-16t", 1 << 44), ("qemu-virt-arm64-smmu", 4 << 30)])
def test_boards_of_the_repository(name: str, size: int) -> None:
    hw = hardware.load_board(name, str(ROOT))
    assert hw.memory == (Region(0x40000000, size),) and len(hw.cpus) == 8
    assert hw.uart and hw.uart.region.base == 0x9000000 and hw.psci == "smc"
    assert device(hw, "uart1").regs == (Region(0x9040000, 0x1000),)
    assert hw.iommus == (("/smmuv3@9050000",) if name.endswith("smmu") else ())


def test_the_boards_are_what_qemu_makes(tmp_path: Path) -> None:
    """The committed trees against QEMU's own dump: same nodes, same properties; phandles and random seeds aside."""
    dump = tmp_path / "virt.dtb"
    try:
        subprocess.run(["timeout", "30", "qemu-system-aarch64", "-M", f"virt,virtualization=on,gic-version=3,dumpdtb={dump}",
                        "-cpu", "cortex-a57", "-smp", "8", "-m", "4G", "-nic", "none", "-display", "none", "-monitor", "none",
                        "-serial", "null", "-serial", "null"],
                       check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("qemu-system-aarch64 is not installed")
    theirs, ours = fdt.parse(dump.read_bytes()), fdt.parse(hardware.load_board("qemu-virt-arm64", str(ROOT)).dtb)
    assert sorted(theirs.nodes) == sorted(p for p in ours.nodes if p != "/__symbols__")
    volatile = ("phandle", "kaslr-seed", "rng-seed", "interrupt-parent", "clocks", "interrupt-map", "msi-map", "gpios", "cpu")
    for path, node in theirs.nodes.items():
        want = {k: v for k, v in node.props.items() if k not in volatile}
        assert want == {k: v for k, v in ours.nodes[path].props.items() if k not in volatile}, path
        assert {k: len(v) for k, v in node.props.items() if k in volatile[3:]} == {
            k: len(v) for k, v in ours.nodes[path].props.items() if k in volatile[3:]}, path


# ---------------------------------------------------------------- board-from-dtb

def new_board(tmp_path: Path, dts: str) -> tuple[newboard.NewBoard, Hardware]:
    (tmp_path / "x.dtb").write_bytes(compile_dts(dts))
    made = newboard.board_from_dtb(str(tmp_path / "x.dtb"), str(tmp_path / "x"))
    return made, hardware.load_board(str(tmp_path / "x"), str(ROOT))


def test_a_new_board_loads_and_has_the_same_facts(tmp_path: Path) -> None:
    made, hw = new_board(tmp_path, HEAD + UART + "};")
    assert [Path(f).name for f in made.files] == ["board.yaml", "README.md", "board.dtb"]
    assert hw.memory == (Region(0x40000000, 0x20000000),) and hw.uart and hw.uart.path == "/serial@9000000"
    assert "#memory:" in (tmp_path / "x" / "board.yaml").read_text()


def test_a_new_board_without_memory_says_what_is_assumed(tmp_path: Path) -> None:
    head = HEAD.replace("<0 0x40000000 0x10000000>, <0 0x50000000 0x10000000>", "<0 0x70000000 0>")
    made, hw = new_board(tmp_path, head + UART + "};")
    assert hw.memory == (Region(0x70000000, 512 << 20),)
    assert any(n.startswith("memory: the devicetree gives the place, but no size") for n in made.notes)
    assert "# CONFIRM: 512 MiB is an assumption" in (tmp_path / "x" / "board.yaml").read_text()


def test_a_new_board_with_a_known_soc(tmp_path: Path) -> None:
    head = HEAD.replace('"memory"', '"nothing"').replace('"test,board"', '"acme,box", "rockchip,rk3399"')
    assert new_board(tmp_path, head + UART + "};")[1].memory == (Region(0x200000, 512 << 20),)


def test_a_new_board_with_an_unknown_soc_is_written_and_asks_for_memory(tmp_path: Path) -> None:
    (tmp_path / "x.dtb").write_bytes(compile_dts(HEAD.replace('"memory"', '"nothing"') + UART + "};"))
    made = newboard.board_from_dtb(str(tmp_path / "x.dtb"), str(tmp_path / "x"))
    assert made.notes[0].startswith("memory: nobody says where the RAM is")
    assert "BOARD-NO-MEMORY" in load_refusals(tmp_path / "x")[0]


def test_a_new_board_never_overwrites(tmp_path: Path) -> None:
    new_board(tmp_path, HEAD + UART + "};")
    with pytest.raises(Refused) as caught:
        newboard.board_from_dtb(str(tmp_path / "x.dtb"), str(tmp_path / "x"))
    assert caught.value.diagnostics[0].id == "BOARD-EXISTS"
