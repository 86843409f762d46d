# SPDX-License-Identifier: Apache-2.0
"""system.yaml as it is meant to be written; tests/reject has what is refused."""
from __future__ import annotations

from pathlib import Path

import fake  # noqa: F401  (puts scripts/ on the path)
import pytest

from hvgen import system
from hvgen.diag import Refused
from hvgen.model import DeviceSpec, ImageSpec, MemorySpec, Span, System

TEXT = """\
board: some-board

partitions:
  flight:
    cpus: [3, 0x1]
    memory: {size: 1.5 MiB, physical: 0x4200_0000, guest: 1073741824, alignment: 2 MiB}
    image: {elf: flight.elf}
    interrupts: direct
    devices: [/pl061@9030000, {device: virtio0, dma: unprotected}]
    on-fault: reset-board
  companion:
    cpus:
      - 0
    memory: 1 TiB
    linux: {kernel: ${KERNEL}, initrd: "${DIR}/initrd", bootargs: "a=${KERNEL} b"}
    console: vuart
"""
ENVIRONMENT = {"KERNEL": "/k/Image", "DIR": "dir"}


def parse(text: str, **rest: tuple[str, ...]) -> System:
    described, found = system.parse(text, "s.yaml", environment=ENVIRONMENT, **rest)
    assert not found, found
    assert described is not None
    return described


def test_every_key() -> None:
    flight, companion = parse(TEXT).partitions
    assert [cpu for cpu, _ in flight.cpus] == [3, 1]
    assert flight.memory == MemorySpec(3 << 19, 0x42000000, 1 << 30, 2 << 20, Span("s.yaml", 6, 39))
    assert (flight.image.kind, flight.image.file, flight.interrupts) == ("elf", "flight.elf", "direct")
    assert flight.on_fault == "reset-board"
    assert flight.devices == (DeviceSpec("/pl061@9030000", "", Span("s.yaml", 9, 15)),
                              DeviceSpec("virtio0", "unprotected", Span("s.yaml", 9, 40)))
    assert companion.memory.size == 1 << 40
    assert companion.image == ImageSpec("linux", "/k/Image", 0, "dir/initrd", "a=${KERNEL} b", Span("s.yaml", 15, 12),
                                        Span("s.yaml", 15, 21), Span("s.yaml", 15, 40))
    assert (companion.console, companion.on_fault, companion.interrupts) == ("vuart", "stop", "virtual")


def test_linux_may_stand_under_image() -> None:
    text = "board: b\npartitions:\n  a: {cpus: [0], memory: 1 MiB, image: {linux: {kernel: k}}}\n"
    assert parse(text).partitions[0].image.kind == "linux"


def test_spans_say_where_things_stand() -> None:
    described = parse(TEXT)
    assert described.board_span == Span("s.yaml", 1, 8)
    assert [p.span.line for p in described.partitions] == [4, 11]
    assert described.partitions[0].cpus[1][1] == Span("s.yaml", 5, 15)


def test_images_are_looked_up_in_order(tmp_path: Path) -> None:
    for folder in ("config", "out", "root"):
        (tmp_path / folder).mkdir()
    search = tuple(str(tmp_path / f) for f in ("config", "out", "root"))
    text = "board: b\npartitions:\n  a: {cpus: [0], memory: 1 MiB, image: {raw: x.bin}}\n"
    assert parse(text, search=search).partitions[0].image.file == "x.bin"
    for folder in ("root", "out", "config"):
        (tmp_path / folder / "x.bin").write_text("x")
        assert parse(text, search=search).partitions[0].image.file == str(tmp_path / folder / "x.bin")


def test_name_is_that_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "drone"
    folder.mkdir()
    (folder / "system.yaml").write_text(TEXT)
    assert system.load(str(folder / "system.yaml"), environment=ENVIRONMENT).name == "drone"


def test_all_errors_are_reported() -> None:
    text = TEXT
    for right, wrong in (("console:", "consoel:"), ("direct", "drect"), ("1 TiB", "1 TB"), ("board:", "baord:")):
        text = text.replace(right, wrong)
    described, found = system.parse(text, "s.yaml", environment={})
    assert described is not None and described.board == "some-board"     # what was mistyped is read all the same
    assert sorted(d.id for d in found) == ["ENV-UNSET", "ENV-UNSET", "KEY-UNKNOWN", "KEY-UNKNOWN",
                                           "VALUE-CHOICE", "VALUE-UNIT"]


@pytest.mark.parametrize("wrong, fix", [
    ("cpus: [0-3]", "one by one: 0, 1, 2, 3"), ("memory: 0x4000000", "that is 64 MiB"),
    ("memory: 64MB", "did you mean 'MiB'? (units: B, KiB, MiB, GiB, TiB)"), ("console: true", "the only choice is 'vuart'"),
    ("image: x.bin", "write image: {raw: x.bin} or image: {elf: x.bin}"), ("linux: Image", "write linux: {kernel: Image}"),
    ("image: {raw: x, offset: 64 KiB}", "in bytes, that is 0x10000"), ("devices: rtc", "write it in [ ]"),
    ("memroy: 64 MiB", "did you mean 'memory'?"), ("\tcpus: [0]", "indent with blanks"),
])
def test_what_would_mend_it(wrong: str, fix: str) -> None:
    _, found = system.parse(f"board: b\npartitions:\n  a:\n    {wrong}\n", "s.yaml", environment={})
    assert fix in [d.fix for d in found]


@pytest.mark.parametrize("text", [
    "", "a", "- a", "board: [", "board: x\npartitions: []", "board: x\npartitions: {a: b}", "board: {}\npartitions: {a: {}}",
    "? [a]\n: b", "board: *x", "&a board: *a", "\tboard: x", "board: !!python/object x", "board: x\n---\nboard: y",
    "%YAML 9.9\n---\nx: y", "board: \x00", "board: x\npartitions: {a: {cpus: {pool: p}, memory: [], image: {raw: []}, devices: [[]]}}",
    "board: x\npartitions: {[1]: {cpus: [0]}}",
    "board: x\npartitions: {a: {cpus: [[0]], memory: {size: {}}, linux: {kernel: {}, bootargs: []}}}",
    "pools: []\nchannels: {c: 1}\npartitions: {1: 2}", "<<: {board: x}", "board: x\npartitions: &p {a: *p}",
])
def test_nonsense_is_refused_with_a_place(text: str) -> None:
    with pytest.raises(Refused) as refused:
        described, found = system.parse(text, "s.yaml", environment={})
        raise Refused(found)
    assert refused.value.diagnostics
    assert all(d.span.file == "s.yaml" for d in refused.value.diagnostics)


def test_any_cut_of_a_good_file_is_read_or_refused() -> None:
    for length in range(0, len(TEXT), 3):
        system.parse(TEXT[:length], "s.yaml", environment=ENVIRONMENT)
        system.parse(TEXT[:length] + TEXT[length + 1:], "s.yaml", environment=ENVIRONMENT)
