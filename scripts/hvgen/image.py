# SPDX-License-Identifier: Apache-2.0
"""The linked ELF -> what one flashes: checksum written in, a flat file, and a FIT for U-Boot."""
from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from io import BytesIO

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from .diag import Failed
from .generate import write_if_changed

MASK = (1 << 64) - 1
FIT_SOURCE = "bulkhead.its"


class ImageError(Failed):
    """The ELF is not a linked hypervisor, or a tool failed."""


@dataclass(frozen=True)
class Flat:
    base: int
    data: bytes


def rotate_left(value: int, count: int) -> int:
    return (value << count | value >> 64 - count) & MASK


def checksum(data: bytes) -> int:
    """As arch_sum() in src/include/hv/arch.h says: two running sums in each of two lanes."""
    if len(data) % 128:
        raise ImageError(f"the tables' range has {len(data)} bytes, which are not whole blocks of 128")
    a, b = [0, 0], [0, 0]
    for block in struct.iter_unpack("<16Q", data):
        for lane in (0, 1):
            a[lane] = a[lane] + sum(block[lane::2]) & MASK
            b[lane] = b[lane] + a[lane] & MASK
    return a[0] ^ rotate_left(a[1], 16) ^ rotate_left(b[0], 32) ^ rotate_left(b[1], 48)


def symbols(elf: ELFFile, *names: str) -> tuple[int, ...]:
    table = elf.get_section_by_name(".symtab")
    found = {s.name: int(s["st_value"]) for s in table.iter_symbols() if s.name in names} if table else {}
    missing = [n for n in names if n not in found]
    if missing:
        raise ImageError(f"no symbol {', '.join(missing)}")
    return tuple(found[n] for n in names)


def file_offset(elf: ELFFile, address: int, size: int) -> int:
    for segment in elf.iter_segments():
        if segment["p_type"] == "PT_LOAD":
            start = address - segment["p_vaddr"]
            if 0 <= start and start + size <= segment["p_filesz"]:
                return int(segment["p_offset"] + start)
    raise ImageError(f"{size} bytes at {address:#x} are in no segment")


def with_checksum(data: bytes) -> bytes:
    elf = ELFFile(BytesIO(data))
    start, end, place = symbols(elf, "__ro_tables_start", "__ro_tables_end", "layout_checksum")
    if not start <= end:
        raise ImageError("__ro_tables_end stands before __ro_tables_start")
    if start <= place < end:
        raise ImageError("layout_checksum stands inside the range that it is the sum of")
    begin = file_offset(elf, start, end - start)
    at = file_offset(elf, place, 8)
    value = struct.pack("<Q", checksum(data[begin:begin + end - start]))
    return data[:at] + value + data[at + 8:]


def flatten(data: bytes) -> Flat:
    """PT_LOAD segments at their physical addresses, with .bss as zeros."""
    elf = ELFFile(BytesIO(data))
    loads = [s for s in elf.iter_segments() if s["p_type"] == "PT_LOAD" and s["p_memsz"]]
    if not loads:
        raise ImageError("nothing to load")
    base = min(s["p_paddr"] for s in loads)
    out = bytearray(max(s["p_paddr"] + s["p_memsz"] for s in loads) - base)
    for s in loads:
        at = s["p_paddr"] - base
        out[at:at + s["p_filesz"]] = data[s["p_offset"]:s["p_offset"] + s["p_filesz"]]
    return Flat(base, bytes(out))


def signed_source(source: str, key: str) -> str:
    """The FIT's source with a signature over its configuration."""
    signature = f"""
            signature-1 {{
                algo = "sha256,rsa2048";
                key-name-hint = "{key}";
                sign-images = "kernel";
            }};"""
    place = 'kernel = "bulkhead";'
    if place not in source:
        raise ImageError(f"{FIT_SOURCE} has no configuration to sign")
    return source.replace(place, place + signature)


def make_fit(flat: Flat, source: str, keys: str = "", key: str = "", public: str = "") -> bytes:
    """A FIT by U-Boot's mkimage; the same input gives the same bytes unless it is signed.

    keys: folder with KEY.key and KEY.crt; public: U-Boot's control devicetree that takes up the public key.
    """
    tool = shutil.which("mkimage")
    if tool is None:
        raise ImageError("there is no mkimage: install u-boot-tools")
    with tempfile.TemporaryDirectory(prefix="bulkhead-fit-") as folder:
        with open(os.path.join(folder, "bulkhead.bin"), "wb") as file:
            file.write(flat.data)
        with open(os.path.join(folder, FIT_SOURCE), "w", encoding="utf-8") as text:
            text.write(signed_source(source, key) if keys else source)
        command = [tool, "-f", FIT_SOURCE]
        if keys:
            command += ["-k", os.path.abspath(keys)] + (["-K", os.path.abspath(public)] if public else []) + ["-r"]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", "0")}
        done = subprocess.run([*command, "bulkhead.itb"], cwd=folder, env=environment, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        made = os.path.join(folder, "bulkhead.itb")
        if done.returncode or not os.path.exists(made):
            raise ImageError(f"mkimage failed:\n{done.stdout}")
        with open(made, "rb") as file:
            return file.read()


def make_image(elf_path: str, out_dir: str, keys: str = "", key: str = "", public: str = "") -> list[str]:
    """bulkhead.elf (with its checksum), bulkhead.bin and, for ARM64, bulkhead.itb in out_dir; returns what changed.

    The FIT's source, bulkhead.its, was generated and stands beside the linked ELF.
    """
    with open(elf_path, "rb") as file:
        data = file.read()
    try:
        data = with_checksum(data)
        flat = flatten(data)
        fit_too = ELFFile(BytesIO(data))["e_machine"] != "EM_X86_64"
    except (ELFError, struct.error) as error:
        raise ImageError(f"{elf_path}: damaged ELF file: {error}") from error
    except ImageError as error:
        raise ImageError(f"{elf_path}: {error}") from error
    files = {"bulkhead.elf": data, "bulkhead.bin": flat.data}
    if fit_too:
        with open(os.path.join(os.path.dirname(elf_path), FIT_SOURCE), encoding="utf-8") as text:
            files["bulkhead.itb"] = make_fit(flat, text.read(), keys, key, public)
    paths = {os.path.join(out_dir, name): content for name, content in files.items()}
    return [path for path, content in paths.items() if write_if_changed(path, content)]
