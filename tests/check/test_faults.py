# SPDX-License-Identifier: Apache-2.0
"""A fault of every kind is planted in a good image; the checker must name exactly the properties that it breaks."""
from __future__ import annotations

import subprocess
from typing import Callable

import pytest

from conftest import Checker, in_chapters, run
from planter import (ADDRESS, MIB, PAGE_OR_TABLE, RO, S2_DEVICE, S2_RAM, S2_WRITE, XN, Faults, Image)

Plant = Callable[[Image], None]
fault = FAULTS = Faults()

# Guest addresses of alpha in the 2 MiB of its devices' table, used by nothing.
SPARE = 0x9100000


# ---------------------------------------------------------------- the layout

@fault("layout-readable", says="magic")
def wrong_magic(image: Image) -> None:
    image.layout.magic ^= 1


@fault("layout-readable", says="version")
def wrong_version(image: Image) -> None:
    image.layout.version += 1


@fault("layout-readable", says="partitions at 0x1000")
def partitions_outside_the_image(image: Image) -> None:
    image.layout.partitions = 0x1000


@fault("layout-readable", says="do not lie in the image")
def vcpus_outside_the_image(image: Image) -> None:
    image.part("beta").vcpus = 0xfffffffffffffff8


@fault("layout-readable", says="out of bounds")
def absurd_cpu_count(image: Image) -> None:
    image.layout.cpu_count = 0xffffffff


@fault("layout-readable", says="out of bounds")
def absurd_vcpu_count(image: Image) -> None:
    image.part("alpha").vcpu_count = 65


@fault("layout-read-only", "layout-checksum", says="memory ranges")
def memory_ranges_in_writable_data(image: Image) -> None:
    part = image.part("alpha")
    image.put(image.symbols["writable"], image.bytes_at(part.memory, 24))
    part.memory = image.symbols["writable"]


@fault("layout-partitions", "root-withdrawable", says="interrupts are direct")
def wrong_irq_mode(image: Image) -> None:
    part = image.part("gamma")
    part.irq_mode = 1
    part.root = part.vttbr & ADDRESS | part.vttbr & 0xfff
    part.root_count = image.stage2("gamma").entries


@fault("layout-partitions", says="fault policy")
def wrong_fault_policy(image: Image) -> None:
    image.part("alpha").on_fault = 0


@fault("layout-partitions", says="yaml_line")
def wrong_yaml_line(image: Image) -> None:
    image.part("alpha").yaml_line += 1


@fault("layout-partitions", "tree-registers", "tree-interrupts", says="virtual UART")
def missing_vuart(image: Image) -> None:
    image.part("alpha").vuart_intid = 0


@fault("layout-devices", says="which is not what")
def wrong_device_owner(image: Image) -> None:
    image.device("/soc/watchdog@80000").owner = 1


@fault("layout-devices", says="not in the devicetree")
def wrong_device_address(image: Image) -> None:
    image.device("/soc/gpio@30000").base += 0x1000


# ---------------------------------------------------------------- registers

@fault("stage2-registers", says="RES1")
def vtcr_without_res1(image: Image) -> None:
    image.part("alpha").vtcr &= ~(1 << 31)


@fault("stage2-registers", says="not 4 KiB")
def vtcr_with_64k_granule(image: Image) -> None:
    image.part("alpha").vtcr |= 1 << 14


@fault("stage2-registers", says="does not go with start level 1")
def vtcr_input_too_small(image: Image) -> None:
    part = image.part("alpha")
    part.vtcr = part.vtcr & ~63 | 64 - 30


@fault("stage2-registers", says="beyond the physical address size")
def vtcr_input_too_large(image: Image) -> None:
    part = image.part("alpha")
    part.vtcr = part.vtcr & ~63 | 64 - 48


@fault("stage2-registers", says="start level")
def vtcr_start_level_2(image: Image) -> None:
    image.part("alpha").vtcr &= ~0xc0


@fault("stage2-registers", says="pa_bits")
def vtcr_wrong_ps(image: Image) -> None:
    image.part("alpha").vtcr ^= 1 << 16


@fault("stage2-registers", says="unused bit")
def vtcr_hardware_access_flag(image: Image) -> None:
    image.part("alpha").vtcr |= 1 << 21


@fault("stage2-registers", says="CnP")
def vttbr_common_not_private(image: Image) -> None:
    image.part("alpha").vttbr |= 1


@fault("stage2-registers", says="not aligned to its size")
def vttbr_misaligned(image: Image) -> None:
    image.part("alpha").vttbr += 8


@fault("hv-registers", says="RES1")
def tcr_without_res1(image: Image) -> None:
    image.layout.el2_tcr &= ~(1 << 23)


@fault("hv-registers", says="unused bit")
def tcr_top_byte_ignored(image: Image) -> None:
    image.layout.el2_tcr |= 1 << 20


@fault("hv-registers", says="loader map of beta")
def loader_ttbr_with_asid(image: Image) -> None:
    image.part("beta").loader_ttbr |= 1 << 48


@fault("vmid-unique", says="same VMID")
def same_vmid(image: Image) -> None:
    image.part("beta").vttbr = image.part("beta").vttbr & ~(0xffff << 48) | image.part("alpha").vttbr & 0xffff << 48


@fault("vmid-unique", says="VMID 0")
def vmid_zero(image: Image) -> None:
    image.part("alpha").vttbr &= (1 << 48) - 1


@fault("vmid-unique", says="VMID 256")
def vmid_of_nine_bits(image: Image) -> None:
    image.part("alpha").vttbr = image.part("alpha").vttbr & ~(0xffff << 48) | 256 << 48


# ---------------------------------------------------------------- tables

@fault("tables-wellformed", says="access flag")
def access_flag_clear(image: Image) -> None:
    image.stage2("alpha").change(image.memory("alpha").ipa, clear=1 << 10)


@fault("tables-wellformed", says="reserved or unused bit is set")
def contiguous_bit(image: Image) -> None:
    image.stage2("alpha").change(image.memory("alpha").ipa, set=1 << 52)


@fault("tables-wellformed", says="reserved or unused bit is set")
def dirty_bit_modifier(image: Image) -> None:
    image.stage2("alpha").change(image.memory("alpha").ipa, set=1 << 51)


@fault("tables-wellformed", says="not aligned to the block")
def block_misaligned(image: Image) -> None:
    image.stage2("alpha").change(image.memory("alpha").ipa, set=1 << 12)


@fault("tables-wellformed", says="invalid descriptor is not zero")
def invalid_but_not_zero(image: Image) -> None:
    image.stage2("alpha").set(SPARE, 0x1000)


@fault("tables-wellformed", "device-reached", "tree-registers", says="block at level 3")
def block_at_level_3(image: Image) -> None:
    image.stage2("alpha").change(0x9010000, clear=2)


@fault("tables-wellformed", "nothing-else", says="beyond the physical address size")
def output_beyond_pa_size(image: Image) -> None:
    image.stage2("alpha").map(SPARE, 1 << 47, S2_DEVICE)


@fault("tables-wellformed", says="entered twice")
def table_entered_twice(image: Image) -> None:
    tables = image.stage2("alpha")
    place = [place for level, place in tables.path(0x9010000) if level == 2][0]
    image.write64(place + 8, image.read64(place))


@fault("tables-wellformed", says="entered twice")
def table_that_names_itself(image: Image) -> None:
    tables = image.stage2("alpha")
    place = [place for level, place in tables.path(0x9010000) if level == 2][0]
    image.write64(place + 8, place & ~0xfff | 3)


@fault("tables-wellformed", says="AP[1]")
def el2_ap1_clear(image: Image) -> None:
    image.el2().change(image.layout.hv_base, clear=1 << 6)


@fault("tables-protected", "device-reached", "tree-registers", says="next table is not in the image")
def table_outside_the_image(image: Image) -> None:
    tables = image.stage2("alpha")
    place = [place for level, place in tables.path(0x9010000) if level == 2][0]
    image.write64(place, image.memory("alpha").pa | 3)


@fault("tables-protected", says="writable section")
def table_in_writable_data(image: Image) -> None:
    tables = image.stage2("alpha")
    place = [place for level, place in tables.path(0x9010000) if level == 2][0]
    room = image.symbols["writable"]
    image.put(room, image.bytes_at(image.read64(place) & ADDRESS, 4096))
    image.write64(place, room | 3)


@fault("tables-protected", says="writable section")
def virtual_root_in_writable_data(image: Image) -> None:
    part = image.part("alpha")
    room = image.symbols["writable"]
    image.put(room, image.bytes_at(image.stage2("alpha").root, 16))
    part.vttbr = part.vttbr & 0xffff << 48 | room


@fault("hv-image", "tables-protected", says="can be written through EL2")
def tables_writable_at_el2(image: Image) -> None:
    place = image.stage2("alpha").find(0x9010000)[1]
    image.el2().change(place, clear=RO)


@fault("root-withdrawable", says="root 0x0")
def direct_root_not_named(image: Image) -> None:
    image.part("beta").root = 0


@fault("root-withdrawable", says="entries")
def direct_root_incomplete(image: Image) -> None:
    image.part("beta").root_count -= 1


@fault("root-withdrawable", says="is not direct")
def virtual_root_named(image: Image) -> None:
    image.part("alpha").root = image.part("beta").root


@fault("root-withdrawable", "hv-image", says="is not writable for the hypervisor")
def direct_root_read_only(image: Image) -> None:
    image.el2().change(image.part("beta").root, set=RO)


# ---------------------------------------------------------------- memory

@fault("memory-exclusive", says="partitions alpha and beta both reach")
def page_of_another(image: Image) -> None:
    image.stage2("alpha").map(SPARE, image.memory("beta").pa, S2_RAM)


@fault("memory-exclusive", says="both reach")
def page_of_another_read_only(image: Image) -> None:
    image.stage2("alpha").map(SPARE, image.memory("beta").pa + 0x1000, S2_RAM & ~S2_WRITE)


@fault("hypervisor-unreached", says="the hypervisor's image")
def hypervisor_text(image: Image) -> None:
    image.stage2("alpha").map(SPARE, image.layout.hv_base, S2_RAM)


@fault("hypervisor-unreached", says="the hypervisor's memory")
def hypervisor_last_page(image: Image) -> None:
    image.stage2("alpha").map(SPARE, image.layout.hv_base + image.layout.hv_size - 0x1000, S2_RAM)


@fault("reserved-unreached", says="board.yaml: firmware")
def firmware_of_board_yaml(image: Image) -> None:
    image.stage2("alpha").map(SPARE, 0x50000000, S2_RAM)


@fault("reserved-unreached", says="/memreserve/")
def memreserve(image: Image) -> None:
    image.stage2("alpha").map(SPARE, 0x50200000, S2_RAM)


@fault("reserved-unreached", says="/reserved-memory/secure@50400000")
def reserved_memory_node(image: Image) -> None:
    image.stage2("alpha").map(SPARE, 0x504ff000, S2_RAM)


@fault("nothing-else", says="which nothing gives it")
def free_page(image: Image) -> None:
    image.stage2("alpha").map(SPARE, image.free_page(), S2_RAM)


@fault("nothing-else", says="which nothing gives it")
def hole_in_the_map(image: Image) -> None:
    image.stage2("alpha").map(SPARE, 0x9200000, S2_DEVICE)


@fault("nothing-else", says="where the layout has none")
def own_memory_twice(image: Image) -> None:
    image.stage2("alpha").map(SPARE, image.memory("alpha").pa + 32 * MIB, S2_RAM)


@fault("nothing-else", says="not only at the board's")
def own_device_twice(image: Image) -> None:
    image.stage2("alpha").map(SPARE, 0x9010000, S2_DEVICE)


@fault("memory-mapped", says="does not reach its RAM")
def hole_in_ram(image: Image) -> None:
    image.stage2("alpha").set(image.memory("alpha").ipa + 32 * MIB, 0)


@fault("memory-mapped", says="does not reach its RAM")
def ram_read_only(image: Image) -> None:
    image.stage2("alpha").change(image.memory("alpha").ipa + 32 * MIB, clear=S2_WRITE)


@fault("memory-mapped", "nothing-else", says="does not reach its RAM")
def ram_exchanged(image: Image) -> None:
    tables, start = image.stage2("alpha"), image.memory("alpha").ipa + 32 * MIB
    one, other = tables.get(start), tables.get(start + 2 * MIB)
    tables.set(start, other)
    tables.set(start + 2 * MIB, one)


@fault("memory-amount", "memory-mapped", "loader-bounded", "tree-memory", says="bytes of RAM")
def layout_has_more_memory(image: Image) -> None:
    image.memory("alpha").size += 2 * MIB


@fault("memory-amount", "nothing-else", "loader-bounded", "tree-memory", says="bytes of RAM")
def layout_has_less_memory(image: Image) -> None:
    image.memory("alpha").size -= 2 * MIB


@fault("memory-amount", "nothing-else", "loader-bounded", "tree-memory", says="is counted twice")
def memory_counted_twice(image: Image) -> None:
    part, whole = image.part("alpha"), image.memory("alpha")
    ipa, pa = whole.ipa, whole.pa
    part.memory, part.memory_count, image.layout.device_count = image.layout.devices, 2, 0
    for i in (0, 1):
        half = image.memory("alpha", i)
        half.ipa, half.pa, half.size = ipa, pa, 32 * MIB


@fault("memory-attributes", says="MemAttr 0x5")
def ram_not_cacheable(image: Image) -> None:
    image.stage2("alpha").change(image.memory("alpha").ipa + 32 * MIB, clear=0xf << 2, set=0x5 << 2)


@fault("memory-attributes", says="MemAttr 0x1")
def ram_as_device(image: Image) -> None:
    image.stage2("alpha").change(image.memory("alpha").ipa + 32 * MIB, clear=0xf << 2, set=0x1 << 2)


@fault("memory-attributes", says="SH 0")
def ram_not_shareable(image: Image) -> None:
    image.stage2("alpha").change(image.memory("alpha").ipa + 32 * MIB, clear=3 << 8)


# ---------------------------------------------------------------- devices

@fault("controller-unreached", says="interrupt-controller@8000000")
def distributor(image: Image) -> None:
    image.stage2("alpha").map(SPARE, 0x8000000, S2_DEVICE)


@fault("controller-unreached", says="interrupt-controller@8000000")
def redistributor(image: Image) -> None:
    image.stage2("alpha").map(SPARE, 0x80a0000 + 3 * 0x20000, S2_DEVICE)


@fault("controller-unreached", says="msi-controller@8080000")
def translation_service(image: Image) -> None:
    image.stage2("alpha").map(SPARE, 0x8090000, S2_DEVICE)


@fault("iommu-unreached", says="iommu@9050000")
def iommu(image: Image) -> None:
    image.stage2("alpha").map(0x9060000, 0x9060000, S2_DEVICE)


@fault("uart-unreached", says="serial@9000000")
def hypervisors_uart(image: Image) -> None:
    image.stage2("alpha").map(SPARE, 0x9000000, S2_DEVICE)


@fault("uart-unreached", "emulated-unmapped", says="virtual UART is mapped")
def hypervisors_uart_in_place(image: Image) -> None:
    image.stage2("alpha").map(0x9000000, 0x9000000, S2_DEVICE)


@fault("emulated-unmapped", "nothing-else", says="distributor is mapped")
def emulated_distributor_mapped(image: Image) -> None:
    image.stage2("alpha").map(0x8000000, image.free_page(), S2_RAM)


@fault("device-foreign", "memory-exclusive", says="which is not given to it")
def device_of_another(image: Image) -> None:
    image.stage2("alpha").map(0x9040000, 0x9040000, S2_DEVICE)


@fault("device-foreign", says="/soc/watchdog@80000")
def device_of_nobody(image: Image) -> None:
    image.stage2("beta").map(SPARE, 0x9080000, S2_DEVICE)


@fault("device-reached", "tree-registers", says="does not reach /soc/gpio@30000")
def device_missing(image: Image) -> None:
    image.stage2("alpha").set(0x9030000, 0)


@fault("device-reached", says="does not reach /soc/gpio@30000")
def device_read_only(image: Image) -> None:
    image.stage2("alpha").change(0x9030000, clear=S2_WRITE)


@fault("device-attributes", says="MemAttr 0xf")
def device_cacheable(image: Image) -> None:
    image.stage2("alpha").change(0x9030000, set=0xf << 2 | 3 << 8)


@fault("device-attributes", says="executable")
def device_executable(image: Image) -> None:
    image.stage2("alpha").change(0x9030000, clear=XN)


# ---------------------------------------------------------------- the hypervisor's own map

def everywhere(image: Image, address: int, clear: int = 0, set: int = 0) -> None:
    """The same change in the main map and in each loader map, which may share tables."""
    maps = [image.el2(), *(image.loader(name) for name in ("alpha", "beta", "gamma"))]
    for place in {tables.find(address)[1] for tables in maps}:
        image.write64(place, image.read64(place) & ~clear | set)


def add_everywhere(image: Image, address: int, target: int, like: int) -> None:
    """A new leaf in the main map and in each loader map."""
    maps = [image.el2(), *(image.loader(name) for name in ("alpha", "beta", "gamma"))]
    attributes = image.el2().get(like) & ~(ADDRESS | 3)
    for level, place in {tables.find(address) for tables in maps}:
        image.write64(place, target | attributes | (PAGE_OR_TABLE if level == 3 else 1))


@fault("hv-wx", "hv-image", says="writable and executable")
def data_executable(image: Image) -> None:
    everywhere(image, image.symbols["writable"], clear=XN)


@fault("hv-wx", "hv-image", says="writable and executable")
def text_writable(image: Image) -> None:
    everywhere(image, image.layout.hv_base, clear=RO)


@fault("hv-image", says="is executable, the hypervisor maps it read-only")
def text_not_executable(image: Image) -> None:
    everywhere(image, image.layout.hv_base, clear=1 << 50, set=XN)


@fault("hv-image", says="the hypervisor maps it not at all")
def text_unmapped(image: Image) -> None:
    everywhere(image, image.layout.hv_base, clear=(1 << 64) - 1)


@fault("hv-image", "tables-protected", says="the hypervisor maps it writable")
def layout_writable(image: Image) -> None:
    everywhere(image, image.symbols["layout"], clear=RO)


@fault("hv-image", says="where the image has no code")
def spare_memory_executable(image: Image) -> None:
    everywhere(image, image.layout.hv_base + image.layout.hv_size - 0x1000, clear=XN)


@fault("emulated-unmapped", "tree-registers", says="is no page of its own")
def vuart_over_the_distributor(image: Image) -> None:
    image.part("alpha").vuart_base = 0x8000000


@fault("console-cpu", says="but the UART has none")
def console_without_interrupt(image: Image) -> None:
    image.layout.uart.intid = 0


@fault("hv-identity", says="leads to")
def el2_not_identity(image: Image) -> None:
    everywhere(image, 0x8001000, clear=ADDRESS, set=0x8002000)


@fault("hv-stacks", says="guard page")
def guard_page_mapped(image: Image) -> None:
    top = image.cpu(1).stack_top
    add_everywhere(image, top - 0x2000, top - 0x2000, like=top - 0x1000)


@fault("hv-stacks", "hv-image", says="is not writable")
def stack_unmapped(image: Image) -> None:
    everywhere(image, image.cpu(1).stack_top - 0x1000, clear=(1 << 64) - 1)


@fault("hv-stacks", "hv-image", says="same stack")
def one_stack_for_two(image: Image) -> None:
    image.cpu(1).stack_top = image.cpu(0).stack_top


@fault("hv-extent", says="neither its memory nor its UART")
def el2_reaches_a_device(image: Image) -> None:
    add_everywhere(image, 0x9060000 + 0x40000, 0x90a0000, like=0x9000000)


@fault("hv-apart", says="of partition alpha")
def el2_reaches_a_guests_device(image: Image) -> None:
    add_everywhere(image, 0x9010000, 0x9010000, like=0x9000000)


@fault("hv-apart", says="reaches 0x")
def el2_reaches_guest_memory(image: Image) -> None:
    pa = image.memory("alpha").pa + 32 * MIB
    add_everywhere(image, pa, pa, like=image.symbols["writable"])


@fault("hv-attributes", says="as memory that may be cached")
def el2_device_as_memory(image: Image) -> None:
    everywhere(image, 0x8001000, clear=7 << 2)


@fault("hv-attributes", says="not mapped write-back")
def el2_memory_as_device(image: Image) -> None:
    everywhere(image, image.symbols["writable"], set=1 << 2)


@fault("hv-reaches", says="distributor")
def el2_lacks_the_distributor(image: Image) -> None:
    everywhere(image, 0x8001000, clear=(1 << 64) - 1)


@fault("hv-reaches", says="UART")
def el2_lacks_the_uart(image: Image) -> None:
    everywhere(image, 0x9000000, clear=(1 << 64) - 1)


@fault("loader-bounded", says="which is not RAM of alpha")
def loader_reaches_another(image: Image) -> None:
    pa = image.memory("beta").pa
    image.loader("alpha").map(pa, pa, image.loader("beta").get(pa) & ~(ADDRESS | 3))


@fault("loader-bounded", says="does not reach")
def loader_lacks_memory(image: Image) -> None:
    image.loader("alpha").set(image.memory("alpha").pa + 32 * MIB, 0)


@fault("loader-bounded", says="does not reach")
def loader_of_another(image: Image) -> None:
    image.part("alpha").loader_ttbr = image.part("beta").loader_ttbr


# ---------------------------------------------------------------- cores

@fault("cpu-one-owner", "cpu-given", says="which does not exist")
def cpu_of_no_partition(image: Image) -> None:
    image.cpu(0).partition = 7


@fault("cpu-one-owner", "cpu-given", "ipi-own-cores", says="are the same core")
def core_given_twice(image: Image) -> None:
    image.cpu(2).mpidr = image.cpu(0).mpidr
    image.vcpu("beta", 0).mpidr = image.cpu(0).mpidr


@fault("cpu-given", says="gives it CPU 0")
def vcpus_exchanged(image: Image) -> None:
    image.cpu(0).mpidr, image.cpu(1).mpidr = image.cpu(1).mpidr, image.cpu(0).mpidr
    image.vcpu("alpha", 0).mpidr, image.vcpu("alpha", 1).mpidr = 1, 0


@fault("cpu-given", says="VMPIDR_EL2")
def wrong_vmpidr(image: Image) -> None:
    image.vcpu("alpha", 1).vmpidr += 1


@fault("cpu-redistributor", says="same redistributor")
def redistributor_twice(image: Image) -> None:
    image.cpu(1).redist = image.cpu(0).redist


@fault("cpu-redistributor", says="is not the frame")
def redistributor_outside(image: Image) -> None:
    image.cpu(1).redist = 0x8080000


@fault("ipi-own-cores", says="would not reach its core")
def sgi_to_another_core(image: Image) -> None:
    part = image.part("beta")
    part.sgi_mask, part.sgi_shift, part.sgi_base = 1, 1, 1 << 16


@fault("ipi-own-cores", says="do not stand for")
def sgi_mask_too_wide(image: Image) -> None:
    part = image.part("beta")
    part.sgi_mask, part.sgi_shift, part.sgi_base = 3, 0, 1 << 16


@fault("console-cpu", says="belongs to a direct partition")
def console_on_a_direct_core(image: Image) -> None:
    image.layout.console_irq, image.layout.console_cpu = 1, 2


# ---------------------------------------------------------------- interrupts

def give(image: Image, part: str, intid: int) -> None:
    image.part(part).spi[intid // 32] ^= 1 << intid % 32


@fault("interrupt-one-owner", "interrupt-given", says="belongs to alpha and to beta")
def spi_given_twice(image: Image) -> None:
    give(image, "beta", 32 + 2)


@fault("interrupt-given", says="which no device given to it raises")
def spi_of_nobody(image: Image) -> None:
    give(image, "beta", 32 + 100)


@fault("interrupt-given", "tree-interrupts", says="does not own INTID 39")
def spi_missing(image: Image) -> None:
    give(image, "alpha", 32 + 7)


@fault("interrupt-one-owner", says="which is no shared interrupt")
def sgi_given(image: Image) -> None:
    give(image, "alpha", 3)


@fault("interrupt-one-owner", says="which is no shared interrupt")
def special_intid_given(image: Image) -> None:
    give(image, "alpha", 1023)


@fault("interrupt-hypervisor", "interrupt-given", says="of the hypervisor's UART")
def spi_of_the_hypervisors_uart(image: Image) -> None:
    give(image, "alpha", 33)


@fault("vuart-interrupt", "interrupt-given", says="belongs to a device of the board")
def direct_vuart_with_a_used_spi(image: Image) -> None:
    image.part("beta").vuart_intid = 32 + 20


@fault("vuart-interrupt", "tree-interrupts", says="raised by a device of its own")
def vuart_with_own_devices_spi(image: Image) -> None:
    image.part("alpha").vuart_intid = 32 + 7


@fault("ppi-own", says="of the hypervisor")
def maintenance_interrupt_given(image: Image) -> None:
    image.part("alpha").ppi_mask |= 1 << 25


@fault("ppi-own", says="neither its timers' nor its devices'")
def unknown_ppi_given(image: Image) -> None:
    image.part("alpha").ppi_mask |= 1 << 20


@fault("ppi-own", "tree-interrupts", says="lacks PPIs")
def timer_interrupt_missing(image: Image) -> None:
    image.part("alpha").ppi_mask &= ~(1 << 27)


# ---------------------------------------------------------------- facts

@fault("facts-gic", says="maintenance")
def wrong_maintenance_interrupt(image: Image) -> None:
    image.layout.gic.maintenance = 24


@fault("facts-gic", "cpu-redistributor", says="size of a redistributor region")
def wrong_redistributor_size(image: Image) -> None:
    image.layout.gic.redist_size[0] = 0x20000


@fault("facts-gic", "tree-registers", says="the distributor's size")
def wrong_distributor_size(image: Image) -> None:
    image.layout.gic.dist_size = 0x1000


@fault("facts-timer", says="hypervisor timer")
def wrong_timer_interrupt(image: Image) -> None:
    image.layout.htimer_intid = 28


@fault("facts-psci", says="conduit")
def wrong_conduit(image: Image) -> None:
    image.layout.conduit = 1


@fault("facts-uart", says="the UART's interrupt")
def wrong_uart_interrupt(image: Image) -> None:
    image.layout.uart.intid = 40


@fault("facts-uart", says="UARTFR.TXFF")
def wrong_uart_bit(image: Image) -> None:
    image.layout.uart.tx_mask = 0x80


@fault("facts-uart", says="outside the UART")
def uart_register_outside(image: Image) -> None:
    image.layout.uart.rx_status = 0x1000


# ---------------------------------------------------------------- images

@fault("image-source", "image-content", says="not in a read-only section")
def image_from_writable_data(image: Image) -> None:
    image.blob("alpha", 0).source = image.symbols["writable"]


@fault("image-source", "image-content", says="not in a read-only section")
def image_longer_than_the_section(image: Image) -> None:
    image.blob("alpha", 0).size = 8 * MIB


@fault("image-source", "image-content", says="not aligned to 16 bytes")
def image_misaligned(image: Image) -> None:
    image.blob("alpha", 0).source += 4


@fault("image-target", "image-content", "entry-inside", says="which is not its RAM")
def image_into_anothers_memory(image: Image) -> None:
    image.blob("alpha", 0).target = image.memory("beta").pa


@fault("image-target", "image-content", "entry-inside", says="overwrites another")
def image_over_devicetree(image: Image) -> None:
    image.blob("alpha", 0).target = image.blob("alpha", 1).target + 16


@fault("image-content", says="there is not what payload.bin has")
def image_changed(image: Image) -> None:
    image.put(image.blob("alpha", 0).source + 0x800, b"\0")


@fault("image-source", says="an image of alpha reaches into one of alpha")
def image_with_a_part_of_the_next(image: Image) -> None:
    image.blob("alpha", 0).size += 64


@fault("hv-place", "hv-image", says="is not made of pages")
def hypervisors_memory_crooked(image: Image) -> None:
    image.layout.hv_size += 8


@fault("facts-uart", says="UARTFR when it can send")
def uart_never_ready(image: Image) -> None:
    image.layout.uart.tx_ready = 0x80


@fault("console-cpu", says="neither 0 nor 1")
def odd_flag(image: Image) -> None:
    image.layout.console_irq = 9


@fault("image-content", says="there is not what payload.bin has")
def image_cut_short(image: Image) -> None:
    image.blob("alpha", 0).size -= 16


@fault("image-content", says="its image begins at 0x40080000")
def entry_elsewhere(image: Image) -> None:
    image.part("alpha").entry += 4


@fault("hv-image", says="where the image has no data")
def spare_memory_writable(image: Image) -> None:
    everywhere(image, image.layout.hv_base + image.layout.hv_size - 0x1000, clear=RO)


@fault("tables-wellformed", says="GP is set")
def guarded_data(image: Image) -> None:
    everywhere(image, image.symbols["writable"], set=1 << 50)


@fault("memory-mapped", says="for all access")
def ram_not_executable(image: Image) -> None:
    image.stage2("alpha").change(image.memory("alpha").ipa + 32 * MIB, set=XN)


@fault("facts-uart", says="at boot")
def uart_written_strangely(image: Image) -> None:
    image.layout.uart.regs[0] = 0x48         # UARTDMACR


@fault("layout-read-only", says="is no text in the image")
def banner_nowhere(image: Image) -> None:
    image.layout.banner += 1 << 24


@fault("hv-image", says="is not mapped")
def hypervisors_memory_too_large(image: Image) -> None:
    image.layout.hv_size += 4 * MIB


@fault("layout-partitions", says="the layout is for board")
def another_board(image: Image) -> None:
    image.layout.board = image.part("alpha").name


@fault("entry-inside", "image-content", says="is not in its RAM")
def entry_outside(image: Image) -> None:
    image.part("alpha").entry = 0x10


@fault("entry-inside", "image-content", says="not aligned")
def entry_misaligned(image: Image) -> None:
    image.part("alpha").entry += 2


@fault("entry-inside", "memory-mapped", says="is not executable")
def entry_not_executable(image: Image) -> None:
    image.stage2("alpha").change(image.part("alpha").entry, set=XN)


# ---------------------------------------------------------------- guests' devicetrees

def edit_tree(image: Image, part: str, *changes: tuple[str, str]) -> None:
    """Changes the text of a guest's devicetree; it must not grow."""
    blob = image.blob(part, 1)
    source = run_bytes(["dtc", "-q", "-I", "dtb", "-O", "dts"], image.bytes_at(blob.source, blob.size)).decode()
    for old, new in changes:
        assert old in source, source
        source = source.replace(old, new, 1)
    tree = run_bytes(["dtc", "-q", "-I", "dts", "-O", "dtb"], source.encode())
    assert len(tree) <= blob.size
    image.put(blob.source, tree.ljust(blob.size, b"\0"))


def run_bytes(command: list[str], data: bytes) -> bytes:
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=60).stdout


@fault("tree-readable", says="not a valid flattened devicetree")
def tree_damaged(image: Image) -> None:
    image.put(image.blob("alpha", 1).source, b"\0\0\0\0")


@fault("tree-readable", "entry-inside", says="no image is copied there")
def tree_elsewhere(image: Image) -> None:
    image.part("alpha").dtb += 0x100000


@fault("tree-memory", says="which it does not have")
def tree_with_more_memory(image: Image) -> None:
    edit_tree(image, "alpha", ("reg = <0x00 0x40000000 0x00 0x4000000>", "reg = <0x00 0x40000000 0x00 0x8000000>"))


@fault("tree-memory", says="does not name its memory")
def tree_with_less_memory(image: Image) -> None:
    edit_tree(image, "alpha", ("reg = <0x00 0x40000000 0x00 0x4000000>", "reg = <0x00 0x40000000 0x00 0x2000000>"))


@fault("tree-cpus", says="has number 0x100")
def tree_with_wrong_cpu(image: Image) -> None:
    edit_tree(image, "alpha", ("reg = <0x01>", "reg = <0x100>"))


@fault("tree-cpus", says="names 1 CPUs, it has 2")
def tree_with_fewer_cpus(image: Image) -> None:
    edit_tree(image, "alpha", ('device_type = "cpu"', 'device_type = "cpx"'))


@fault("tree-registers", says="/soc/gpio@30000")
def tree_with_anothers_registers(image: Image) -> None:
    edit_tree(image, "alpha", ("reg = <0x30000 0x1000>", "reg = <0x40000 0x1000>"))


@fault("tree-registers", says="which the partition does not reach")
def tree_with_too_many_redistributors(image: Image) -> None:
    edit_tree(image, "alpha", ("0x80a0000 0x00 0x40000", "0x80a0000 0x00 0x100000"))


@fault("tree-interrupts", says="names INTID 40")
def tree_with_anothers_interrupt(image: Image) -> None:
    edit_tree(image, "alpha", ("interrupts = <0x00 0x07 0x04>", "interrupts = <0x00 0x08 0x04>"))


@fault("tree-interrupts", says="names INTID 26")
def tree_with_the_hypervisors_timer(image: Image) -> None:
    edit_tree(image, "alpha", ("interrupts = <0x01 0x07 0x04>", "interrupts = <0x01 0x0a 0x04>"))


@fault("tree-initrd", says="which is not its RAM")
def tree_with_initrd_outside(image: Image) -> None:
    edit_tree(image, "gamma", ('model = "A board for the checker\'s tests";', ""), ('partition = "gamma";', ""),
              ("chosen {", "chosen { linux,initrd-start = <0x10>; linux,initrd-end = <0x20>;"))


# ---------------------------------------------------------------- the tests


def test_the_good_image_passes(checker: Checker) -> None:
    checker.passes(3)


@pytest.mark.parametrize("name, plant, broken, says", FAULTS, ids=[f[0] for f in FAULTS])
def test_fault(checker: Checker, name: str, plant: Plant, broken: set[str], says: str) -> None:
    checker.finds(plant, broken, says)


def test_changed_table_without_new_checksum(checker: Checker) -> None:
    image = checker.image()
    image.stage2("alpha").map(SPARE, image.memory("beta").pa, S2_RAM)
    verdict = checker.planted(image, seal=False)
    assert set(verdict.rules) == {"layout-checksum", "memory-exclusive"}, verdict.text


def test_every_property_has_a_fault(checker: Checker) -> None:
    manual = run(checker.program, "--manual").stdout
    known = {line.split("**")[1] for line in manual.splitlines() if line.startswith("- **") and "** (x86)" not in line}
    planted = set().union(*(broken for _, _, broken, _ in FAULTS))
    elsewhere = {"layout-checksum", "memory-place", "device-one-owner", "device-dma"}   # here and in test_inputs.py
    apart = in_chapters(manual, "Shared cores", "Channels", "Health")    # each in a file of its own
    assert known - apart == (planted | elsewhere) - apart


def test_the_path_is_shown(checker: Checker) -> None:
    image = checker.image()
    image.stage2("alpha").map(SPARE, image.memory("beta").pa, S2_RAM)
    verdict = checker.planted(image)
    walk = next(note for note in verdict.notes if "stage 2 of alpha" in note)
    assert walk.startswith("walk of stage 2 of alpha: level 1 s2_alpha_root[0] = 0x") and walk.count("->") == 2
