# SPDX-License-Identifier: Apache-2.0
"""The build itself: out of tree, incremental, reproducible, gcc and clang, and it stops where the checker says no."""
from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import kconfiglib
import pytest

REPO = Path(__file__).resolve().parents[2]
OUTPUTS = ("bulkhead.elf", "bulkhead.bin", "bulkhead.itb", "plan.json")
HELLO = (REPO / "configs/hello/system.yaml").read_text(encoding="utf-8")
TAG = "# SPDX-License-Identifier: Apache-2.0\n"


def make(*arguments: str, cwd: Path = REPO) -> "subprocess.CompletedProcess[str]":
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(["make", "--no-print-directory", *arguments], cwd=cwd, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=600, check=False, env=environment)


def good(*arguments: str) -> str:
    done = make(f"HOST_O={REPO / 'build/host'}", *arguments)
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout


def commands(output: str) -> list[str]:
    """What was done: the first word of each line that make printed in its short form."""
    return re.findall(r"^  ([A-Z]+) ", output, re.M)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "my folder".replace(" ", "-")
    folder.mkdir()
    (folder / "defconfig").write_text(TAG, encoding="utf-8")
    (folder / "system.yaml").write_text(HELLO, encoding="utf-8")
    return folder


def test_help_is_the_default():
    done = make()
    assert done.returncode == 0
    assert "make run" in done.stdout and "CONFIG=FOLDER" in done.stdout


def test_out_of_tree_without_a_target(config, tmp_path):
    out = tmp_path / "deep/out"
    good(f"CONFIG={config}", f"O={out}")
    for name in OUTPUTS:
        assert (out / name).stat().st_size > 0, name
    database = json.loads((out / "compile_commands.json").read_text(encoding="utf-8"))
    assert any(entry["file"] == "src/core/main.c" for entry in database)


def test_two_builds_are_the_same_bits(config, tmp_path):
    one, two = tmp_path / "one", tmp_path / "another/place/two"
    good(f"CONFIG={config}", f"O={one}")
    good(f"CONFIG={config}", f"O={two}")
    for name in OUTPUTS:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


def test_only_what_changed_is_rebuilt(config, tmp_path):
    out = tmp_path / "out"
    arguments = (f"CONFIG={config}", f"O={out}")
    good(*arguments)
    assert commands(good(*arguments)) == []

    (config / "system.yaml").write_text(HELLO.replace("64 MiB", "32 MiB"), encoding="utf-8")
    done = commands(good(*arguments))
    assert "GEN" in done and "IMAGE" in done and "HOSTCC" not in done
    assert done.count("CC") <= 2, "only layout.c and tables.c"

    (config / "system.yaml").write_text(HELLO.replace("64 MiB", "32 MiB") + "# a remark\n", encoding="utf-8")
    assert set(commands(good(*arguments))) <= {"GEN"}, "a remark changes no output"

    (config / "defconfig").write_text(TAG + "# CONFIG_STACK_PROTECTOR is not set\n", encoding="utf-8")
    assert commands(good(*arguments)).count("CC") > 10, "an option of the compiler changes every object"


@pytest.mark.parametrize("compiler", ("LLVM=1", "CC=clang"))
def test_clang(config, tmp_path, compiler):
    out = tmp_path / "clang"
    output = good(f"CONFIG={config}", f"O={out}", compiler)
    assert "warning" not in output
    assert (out / "bulkhead.bin").is_file()


def test_every_defconfig_symbol_builds(config, tmp_path):
    """Each bool of Kconfig switched over, one by one, for the machine that it is for."""
    kconfig = (REPO / "Kconfig").read_text(encoding="utf-8")
    tree = kconfiglib.Kconfig(str(REPO / "Kconfig"), warn=False)
    pc_hello = (REPO / "configs/hello-x86/system.yaml").read_text(encoding="utf-8")
    for name in re.findall(r"^config (\w+)", kconfig, re.M):
        symbol = tree.syms[name]
        if name in ("ARM64", "GICV3") or symbol.orig_type != kconfiglib.BOOL:
            continue
        for_pc = name == "X86" or "X86" in kconfiglib.expr_str(symbol.direct_dep)
        needs = [item.name for item in kconfiglib.expr_items(symbol.direct_dep) if isinstance(item, kconfiglib.Symbol)
                 and item.name not in ("ARM64", "y", None)]
        lines = [f"CONFIG_{need}=y" for need in dict.fromkeys([*(["X86"] if for_pc else []), *needs])]
        lines.append(f"# CONFIG_{name} is not set" if symbol.defaults and symbol.str_value == "y" else f"CONFIG_{name}=y")
        (config / "defconfig").write_text(TAG + "\n".join(dict.fromkeys(lines)) + "\n", encoding="utf-8")
        (config / "system.yaml").write_text(pc_hello if for_pc else HELLO, encoding="utf-8")
        good(f"CONFIG={config}", f"O={tmp_path / name}")


def test_kconfig_warnings_are_fatal(config, tmp_path):
    (config / "defconfig").write_text(TAG + "CONFIG_NO_SUCH_THING=y\n", encoding="utf-8")
    done = make(f"CONFIG={config}", f"O={tmp_path / 'out'}")
    assert done.returncode != 0 and "NO_SUCH_THING" in done.stdout


def test_kconfig_round_trip(config, tmp_path):
    out = tmp_path / "out"
    (config / "defconfig").write_text(TAG + "CONFIG_OPTIMIZE_SIZE=y\n", encoding="utf-8")
    for target in ("defconfig", "olddefconfig", "savedefconfig"):
        good(target, f"CONFIG={config}", f"O={out}")
    assert (config / "defconfig").read_text(encoding="utf-8") == TAG + "CONFIG_OPTIMIZE_SIZE=y\n"
    assert "CONFIG_OPTIMIZE_SIZE=y" in (out / ".config").read_text(encoding="utf-8")


def test_a_refused_config_leaves_no_output(config, tmp_path):
    out = tmp_path / "out"
    (config / "system.yaml").write_text(HELLO.replace("cpus: [0]", "cpus: [99]"), encoding="utf-8")
    done = make(f"CONFIG={config}", f"O={out}")
    assert done.returncode != 0
    assert re.search(r"system\.yaml:\d+:\d+: error\[CPU-UNKNOWN\]", done.stdout)
    assert not any((out / name).exists() for name in OUTPUTS)


def test_no_config_folder_is_said(tmp_path):
    done = make(f"CONFIG={tmp_path / 'nowhere'}", f"O={tmp_path / 'out'}")
    assert done.returncode != 0 and "no configuration folder" in done.stdout


def test_a_tampered_table_stops_the_build(config, tmp_path):
    """One descriptor of stage 2 pointed at the hypervisor: the checker finds it and nothing is packed."""
    out = tmp_path / "out"
    good(f"CONFIG={config}", f"O={out}")
    tables = (out / "tables.c").read_text(encoding="utf-8")
    base = re.search(r"HV_BASE = (0x[0-9a-f]+)", (out / "sizes.ld").read_text(encoding="utf-8"))
    assert base
    entry = re.search(r"^(.*?)0x([0-9a-f]+)([uUlL]*)(.*/\* ipa 0x[0-9a-f]+ -> pa 0x[0-9a-f]+, .*RAM)", tables, re.M)
    assert entry, tables[:2000]
    value = int(entry.group(2), 16)
    bad = value & 0xfff0000000000fff | int(base.group(1), 16) & ~0x1fffff
    tampered = tables[:entry.start(2)] + f"{bad:x}" + tables[entry.end(2):]
    stamp = (out / "generate.stamp").stat().st_mtime
    (out / "tables.c").write_text(tampered, encoding="utf-8")
    os.utime(out / "generate.stamp", (stamp, stamp))
    done = make(f"HOST_O={REPO / 'build/host'}", f"CONFIG={config}", f"O={out}")
    assert done.returncode != 0
    assert re.search(r"FAIL|not proved|reaches the hypervisor|violat", done.stdout), done.stdout[-2000:]
    assert not (out / "bulkhead.bin").exists()


def test_a_foreign_folder_has_no_trace_in_the_tree(config, tmp_path):
    def seen():
        return {path for pattern in ("*", "configs/*", "boards/*/*", "build/*") for path in REPO.glob(pattern)}

    (REPO / "build/host").mkdir(parents=True, exist_ok=True)
    before = seen()
    good(f"CONFIG={config}", f"O={tmp_path / 'out'}")
    assert seen() == before
