# SPDX-License-Identifier: Apache-2.0
"""Plan -> files.  All contents are made before the first is written, so a refusal leaves nothing behind."""
from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Iterable, Mapping

from . import emit_c, guest_dtb, pvh, report, tables, tables_x86
from .diag import Failed
from .fdt import parse
from .model import Plan, PlanPartition


def write_if_changed(path: str, data: bytes) -> bool:
    """Whole or not at all; an unchanged file keeps its time, so nothing is rebuilt for it."""
    try:
        with open(path, "rb") as file:
            if file.read() == data:
                return False
    except OSError:
        pass
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    part = f"{path}.part"
    with open(part, "wb") as file:
        file.write(data)
    os.replace(part, path)
    return True


@dataclass(frozen=True)
class Described:
    """What tells a guest about its machine: a devicetree; on x86 a boot block, with the DSDT's source for people."""
    data: bytes
    dropped: tuple[str, ...]           # what the partition has and the description could not say
    ending: str                        # of the file's name
    what: str
    asl: str = ""


def describe(plan: Plan) -> list[Described]:
    """By partition index."""
    if plan.hardware.pc:
        blocks = [pvh.boot_block(plan, part) for part in plan.partitions]
        made = [Described(b.data, b.dropped, ".boot", "boot block", b.asl) for b in blocks]
    else:
        board = parse(plan.hardware.dtb)
        trees = [guest_dtb.guest_dtb(plan, part, board) for part in plan.partitions]
        made = [Described(t.data, tuple(t.dropped), ".dtb", "devicetree") for t in trees]
    for part, one in zip(plan.partitions, made):
        if len(one.data) > part.dtb_room:
            raise Failed(f"the {one.what} of partition '{part.name}' has {len(one.data)} bytes, there is room for "
                         f"{part.dtb_room}")
    return made


def described_path(out_dir: str, part: PlanPartition, one: Described) -> str:
    return os.path.join(out_dir, part.name + one.ending)


def scripts() -> list[str]:
    """The generator itself is an input of what it generates."""
    here = os.path.dirname(os.path.abspath(__file__))
    own = [os.path.join(here, f) for f in sorted(os.listdir(here)) if f.endswith(".py")]
    return own + [os.path.join(os.path.dirname(here), "bulkhead")]


def inputs_of(plan: Plan, core_elf: str, more: Iterable[str]) -> list[str]:
    files = [core_elf, plan.system.file, *plan.hardware.inputs, *more]
    for part in plan.partitions:
        image = part.spec.image
        files += [image.file] + ([image.initrd] if image.initrd else [])
    files += scripts()
    return list(dict.fromkeys(f for f in files if f))


def depfile(target: str, inputs: Iterable[str]) -> str:
    """For make: the target's prerequisites, and an empty rule for each so that a deleted one is no error."""
    def escape(name: str) -> str:
        return name.replace("$", "$$").replace("#", "\\#").replace(" ", "\\ ")

    names = [escape(i) for i in inputs]
    return f"{escape(target)}: " + " \\\n  ".join(names) + "\n\n" + "".join(f"{n}:\n" for n in names)


def contents(plan: Plan, core_elf: str, out_dir: str, more_inputs: Iterable[str] = ()) -> dict[str, bytes]:
    """Every file of the output folder, by its path."""
    core = emit_c.read_core(core_elf)
    made = describe(plan)
    sizes = emit_c.measure(plan, core)
    trees = (tables_x86 if plan.hardware.pc else tables).make_tables(plan, sizes)
    absolute = os.path.abspath(out_dir)
    paths = [described_path(absolute, part, one) for part, one in zip(plan.partitions, made)]
    files: dict[str, bytes] = {}
    texts: dict[str, str] = {}
    for part, one in zip(plan.partitions, made):
        files[described_path(out_dir, part, one)] = one.data
        if one.asl:
            texts[f"{part.name}.asl"] = one.asl
    texts.update({
        "layout.c": emit_c.layout_c(plan, trees, [len(one.data) for one in made]),
        "tables.c": emit_c.tables_c(plan, trees),
        "images.S": emit_c.images_s(plan, paths),
        "sizes.ld": emit_c.sizes_ld(plan, sizes),
        "report.html": report.html(plan, report.Facts(len(trees.tables), trees.bytes, {
            part.name: one.dropped for part, one in zip(plan.partitions, made)})),
    })
    if not plan.hardware.pc:
        texts["bulkhead.its"] = emit_c.fit_source(plan, parse(plan.hardware.dtb).root.compatible)
    for name, text in texts.items():
        files[os.path.join(out_dir, name)] = text.encode()
    deps = depfile(os.path.join(out_dir, "generate.stamp"), inputs_of(plan, core_elf, more_inputs))
    files[os.path.join(out_dir, "generate.d")] = deps.encode()
    return files


def write_all(files: Mapping[str, bytes]) -> list[str]:
    return [path for path, data in files.items() if write_if_changed(path, data)]


def generate(plan: Plan, core_elf: str, out_dir: str, more_inputs: Iterable[str] = (),
             more_files: Mapping[str, bytes] = {}) -> list[str]:
    """Writes the output folder; returns the paths that changed.

    more_files: what the caller wants written with the rest (plan.json, unpacked kernels), by path.
    """
    files = {**more_files, **contents(plan, core_elf, out_dir, more_inputs)}
    return write_all(files)
