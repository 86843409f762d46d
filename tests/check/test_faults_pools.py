# SPDX-License-Identifier: Apache-2.0
"""Faults in how cores are shared; each breaks exactly the properties that it names."""
from __future__ import annotations

from typing import Any, Callable

import pytest

from conftest import Checker, run
from planter import U32, U64, Faults, Image, Server, structure

Pool = structure("Pool", ("name", U64), ("cpus", U64), ("servers", U64), ("windows", U64), ("frame_ns", U64), ("cpu_count", U32),
                 ("server_count", U32), ("window_count", U32), ("scheduler", U32))
Window = structure("Window", ("start_ns", U64), ("length_ns", U64), ("core", U32), ("server", U32))
Number = structure("Number", ("value", U32))
ANY_CORE = 0xffffffff

Plant = Callable[[Image], None]
fault = FAULTS = Faults()


def pool(image: Image, index: int) -> Any:
    return image.view(Pool, image.layout.pools, index)


def server(image: Image, index: int, of: int = 0) -> Any:
    return image.view(Server, pool(image, of).servers, index)


def window(image: Image, index: int) -> Any:
    return image.view(Window, pool(image, 1).windows, index)


def slot(image: Image, index: int) -> Any:
    return image.cpu(image.layout.cpu_count + index)


@fault("layout-readable", says="out of bounds")
def absurd_slot_count(image: Image) -> None:
    image.layout.slot_count = 61


@fault("layout-readable", says="out of bounds")
def absurd_pool_count(image: Image) -> None:
    image.layout.pool_count = 5


@fault("layout-readable", says="pool fixed: its name, a count or its scheduler")
def unknown_scheduler(image: Image) -> None:
    pool(image, 1).scheduler = 2


@fault("layout-readable", says="servers at 0x1000")
def servers_outside_the_image(image: Image) -> None:
    pool(image, 0).servers = 0x1000


@fault("layout-read-only", "layout-checksum", says="windows of a pool")
def windows_in_writable_data(image: Image) -> None:
    one = pool(image, 1)
    image.put(image.symbols["writable"], image.bytes_at(one.windows, 24 * one.window_count))
    one.windows = image.symbols["writable"]


@fault("pool-given", says="frame 20000000 ns")
def another_frame(image: Image) -> None:
    pool(image, 1).frame_ns = 20_000_000


@fault("pool-given", "pool-servers", says="core 1 of pool shared is not the board's CPU 1")
def cores_in_another_order(image: Image) -> None:
    numbers = [image.view(Number, pool(image, 0).cpus, i) for i in range(2)]
    numbers[0].value, numbers[1].value = 1, 0
    image.cpu(0).place, image.cpu(1).place = 1, 0
    for place in range(3):
        mine = server(image, place)
        mine.core = 1 - mine.core


@fault("pool-cores", "cpu-given", says="is named by 0 pools")
def core_of_no_pool(image: Image) -> None:
    image.cpu(3).pool = 1
    image.cpu(3).partition = 0xffff


@fault("cpu-one-owner", says="belongs to partition 0 as well")
def core_of_pool_and_partition(image: Image) -> None:
    image.cpu(0).partition = 0


@fault("pool-cores", says="but says core 1 of pool 1")
def wrong_place_of_a_core(image: Image) -> None:
    image.cpu(0).place = 1


@fault("pool-servers", says="do not name each other")
def slots_change_places(image: Image) -> None:
    slot(image, 0).place, slot(image, 1).place = 1, 0


@fault("pool-servers", "cpu-given", says="which does not say so")
def servers_change_slots(image: Image) -> None:
    slot(image, 0).vcpu = 1
    slot(image, 1).vcpu = 0


@fault("pool-servers", says="which is no slot")
def server_on_a_core(image: Image) -> None:
    server(image, 0).cpu = 0


@fault("pool-servers", says="gives it 2000000 ns of 10000000 ns")
def more_budget(image: Image) -> None:
    server(image, 0).budget_ns += 1


@fault("pool-servers", says="gives it 500000 ns of 1000000 ns and extra time")
def no_extra_time(image: Image) -> None:
    server(image, 2).extra = 0


@fault("pool-servers", says="vcpu 0 of beta runs on another core")
def core_against_the_file(image: Image) -> None:
    server(image, 2).core = 0
    slot(image, 2).mpidr, slot(image, 2).redist = image.cpu(0).mpidr, image.cpu(0).redist
    image.vcpu("beta", 0).mpidr = image.cpu(0).mpidr


@fault("pool-servers", says="runs on any core")
def any_core_of_partitioned(image: Image) -> None:
    server(image, 0).core = ANY_CORE


@fault("pool-servers", says="its core 0x0 has")
def slot_with_another_redistributor(image: Image) -> None:
    slot(image, 0).redist = image.cpu(1).redist


@fault("pool-servers", says="beside its timers")
def private_interrupts(image: Image) -> None:
    image.part("gamma").ppi_mask |= 1 << 23


@fault("pool-servers", "pool-load", says="is asked for 110.08 %")
def too_much_for_one_core(image: Image) -> None:
    server(image, 0).budget_ns = 9_000_000


@fault("pool-load", says="% of its time")
def slow_switches(image: Image) -> None:
    for index in range(3):
        server(image, index).switch_ns = 4_000_000


@fault("pool-servers", "pool-load", says="a budget of 0 ns")
def no_budget(image: Image) -> None:
    server(image, 1).budget_ns = 0


@fault("pool-windows", says="is not inside the frame")
def window_leaves_the_frame(image: Image) -> None:
    window(image, 3).length_ns += 1


@fault("pool-windows", says="overlap")
def windows_overlap(image: Image) -> None:
    window(image, 0).length_ns += 1


@fault("pool-windows", says="out of order")
def windows_out_of_order(image: Image) -> None:
    a, b = window(image, 1), window(image, 2)
    a.start_ns, a.length_ns, a.server, b.start_ns, b.length_ns, b.server = (b.start_ns, b.length_ns, b.server, a.start_ns,
                                                                            a.length_ns, a.server)


@fault("pool-windows", says="window 1 of pool fixed is not in")
def window_of_another(image: Image) -> None:
    window(image, 1).server = 1


@fault("pool-windows", says="has 3 windows")
def window_left_out(image: Image) -> None:
    pool(image, 1).window_count = 3


@fault("pool-windows", says="for server 3 on core 0")
def window_of_nobody(image: Image) -> None:
    window(image, 0).server = 3


@fault("hv-stacks", "hv-image", says="have the same stack")
def slots_share_a_stack(image: Image) -> None:
    slot(image, 0).stack_top = image.cpu(0).stack_top


@fault("pool-servers", "root-withdrawable", "layout-partitions", says="but its interrupts are direct")
def direct_on_a_shared_core(image: Image) -> None:
    image.part("gamma").irq_mode = 1


def test_the_good_image_passes(pools: Checker) -> None:
    pools.passes(5)


@pytest.mark.parametrize("name, plant, broken, says", FAULTS, ids=[f[0] for f in FAULTS])
def test_fault(pools: Checker, name: str, plant: Plant, broken: set[str], says: str) -> None:
    pools.finds(plant, broken, says)


def test_every_property_has_a_fault(pools: Checker) -> None:
    manual = run(pools.program, "--manual").stdout
    known = {line.split("**")[1] for line in manual.splitlines() if line.startswith("- **pool-")}
    assert known <= set().union(*(broken for _, _, broken, _ in FAULTS))
