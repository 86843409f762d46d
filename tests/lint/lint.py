#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What holds for the tree as a whole: include rules, headers that stand alone, tags, style, types.

Each check is a function that yields its complaints; its docstring is its sentence.
"""
from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Callable, Iterator

REPO = Path(__file__).resolve().parents[2]
CROSS = {"arm64": "aarch64-linux-gnu-gcc", "x86": "x86_64-linux-gnu-gcc"}
SKIPPED_FOLDERS = {".git", "build", ".cache", "__pycache__", ".mypy_cache", ".pytest_cache"}


def tree() -> list[Path]:
    """The files of the project: what git knows or would add, or all if there is no git."""
    done = subprocess.run(["git", "-C", str(REPO), "ls-files", "-co", "--exclude-standard"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=False)
    if done.returncode == 0:
        files = [REPO / name for name in done.stdout.splitlines()]
    else:
        files = [path for path in REPO.rglob("*") if not SKIPPED_FOLDERS & set(path.relative_to(REPO).parts)]
    return sorted(path for path in files if path.is_file())


FILES = tree()


def name_of(path: Path) -> str:
    return str(path.relative_to(REPO))


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def sources(folder: str, *ends: str) -> list[Path]:
    return [path for path in FILES if name_of(path).startswith(folder) and path.suffix in ends]


def python_files() -> list[Path]:
    return [path for path in FILES if path.suffix == ".py"
            or (not path.suffix and path.read_bytes()[:64].startswith(b"#!/usr/bin/python3"))]


FREESTANDING = {"stdint.h", "stdbool.h", "stddef.h", "stdarg.h", "limits.h"}

# Folder of src/ -> what its files may include, as patterns. The first folder that fits counts.
INCLUDES = (
    ("src/include/hv/layout.h", [r"stdint\.h"]),
    ("src/include/hv/", [r"hv/.*", "FREESTANDING"]),
    ("src/core/", [r"hv/.*", "FREESTANDING"]),
    ("src/arch/arm64/", [r"hv/.*", r"[^/]*", "FREESTANDING"]),
    ("src/arch/x86/svm/", [r"hv/.*", r"[^/]*", r"\.\./[^/]*", "FREESTANDING"]),
    ("src/arch/x86/vmx/", [r"hv/.*", r"[^/]*", r"\.\./[^/]*", "FREESTANDING"]),
    ("src/arch/x86/", [r"hv/.*", r"[^/]*", "FREESTANDING"]),
    ("src/drivers/", [r"hv/.*", "FREESTANDING"]),
    ("src/check/", [r"hv/layout\.h", r"[^/]*\.h", r"sys/[^/]*\.h"]),
)


def include_rules() -> Iterator[str]:
    """each folder of src/ includes only what the design lets it include"""
    for path in sources("src/", ".c", ".h", ".S"):
        rule = next((allowed for prefix, allowed in INCLUDES if name_of(path).startswith(prefix)), None)
        if rule is None:
            yield f"{name_of(path)}: no include rule for this folder"
            continue
        for number, line in enumerate(text_of(path).splitlines(), 1):
            found = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
            if not found:
                continue
            name = found.group(1)
            local = '"' in line
            allowed = any((pattern == "FREESTANDING" and name in FREESTANDING) or
                          (pattern != "FREESTANDING" and re.fullmatch(pattern, name) and
                           (local or "/" in pattern or name_of(path).startswith("src/check/") or pattern == r"stdint\.h"))
                          for pattern in rule)
            if not allowed:
                yield f"{name_of(path)}:{number}: must not include {name}"


def headers_alone() -> Iterator[str]:
    """every header compiles alone"""
    for path in sources("src/", ".h") + sources("guests/", ".h"):
        target = name_of(path)
        host = target.startswith("src/check/")
        machine = "x86" if "/x86/" in target else "arm64"
        compiler = ["gcc"] if host else [CROSS[machine], "-ffreestanding", "-mgeneral-regs-only"]
        flags = ["-D_GNU_SOURCE"] if host else []
        flags += ["-Iguests/common", f"-Iguests/common/{machine}"] if target.startswith("guests/") else []
        command = compiler + flags + ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-Isrc/include",
                                      f"-I{path.parent}", f"-I{path.parent.parent}", "-x", "c", target]
        done = subprocess.run(command, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        output = "\n".join(line for line in done.stdout.splitlines() if "#pragma once in main" not in line)
        if done.returncode != 0:
            yield f"{target}: does not compile alone:\n{output}"


NO_TAG = {".json", ".dtb", ".svg", ".png"}


def spdx() -> Iterator[str]:
    """every file carries its SPDX tag in the first five lines"""
    for path in FILES:
        if path.suffix in NO_TAG or path.name == "LICENSE":
            continue
        head = "\n".join(text_of(path).splitlines()[:5])
        if "SPDX-License-Identifier: Apache-2.0" not in head:
            yield name_of(path)


def no_conditionals() -> Iterator[str]:
    """no #if in a C file: files are selected, not parts of them"""
    for path in sources("src/", ".c"):
        for number, line in enumerate(text_of(path).splitlines(), 1):
            if re.match(r"\s*#\s*(if|ifdef|ifndef|elif|else)\b", line):
                yield f"{name_of(path)}:{number}: {line.strip()}"


def no_goto() -> Iterator[str]:
    """no goto, no allocation in the hypervisor"""
    for path in sources("src/", ".c"):
        if name_of(path).startswith("src/check/"):
            continue
        code = re.sub(r"/\*.*?\*/", lambda found: "\n" * found.group(0).count("\n"), text_of(path), flags=re.S)
        for number, line in enumerate(code.splitlines(), 1):
            if re.search(r"\b(goto|malloc|calloc|realloc|alloca)\b", line):
                yield f"{name_of(path)}:{number}: {line.strip()}"


def plain_text() -> Iterator[str]:
    """no trailing blanks, no tabs in C and Python, a newline at the end, no notes to self, no private paths"""
    unfinished = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b|/ho" r"me/\w|/ro" r"ot/\w")
    for path in FILES:
        if path.suffix in (".dtb", ".png") or path.name == "LICENSE":
            continue
        text = text_of(path)
        if text and not text.endswith("\n"):
            yield f"{name_of(path)}: no newline at the end"
        for number, line in enumerate(text.splitlines(), 1):
            if line != line.rstrip() and path.suffix != ".md":
                yield f"{name_of(path)}:{number}: blanks at the end"
            if "\t" in line and path.suffix in (".c", ".h", ".py"):
                yield f"{name_of(path)}:{number}: a tab"
            if unfinished.search(line):
                yield f"{name_of(path)}:{number}: {line.strip()}"
            if len(line) > 140 and "/* tests:" not in line and path.suffix in (".c", ".h", ".S", ".py"):
                yield f"{name_of(path)}:{number}: {len(line)} columns"


def kconfig_used() -> Iterator[str]:
    """every Kconfig symbol does something, and every CONFIG_ that is used exists"""
    defined = set()
    for path in FILES:
        if path.name == "Kconfig":
            defined |= set(re.findall(r"^\s*config (\w+)", text_of(path), re.M))
    used = set()
    for path in FILES:
        if path.name == "Makefile" or path.suffix in (".mk", ".c", ".h", ".S", ".ld", ".py") or path.name == "bulkhead":
            used |= set(re.findall(r"\bCONFIG_([A-Z][A-Z0-9_]*)\b", text_of(path)))
    used -= {"CONFIG", "HEADER"}
    yield from (f"CONFIG_{name} is defined and not used" for name in sorted(defined - used))
    for path in FILES:
        if path.suffix == ".mk" or path.name == "Makefile":
            for name in re.findall(r"\$\(CONFIG_(\w+)\)", text_of(path)):
                if name not in defined:
                    yield f"{name_of(path)}: CONFIG_{name} stands in no Kconfig"


def rules_documented() -> Iterator[str]:
    """every rule's ID has its paragraph in docs/rules.md and a test in tests/reject"""
    rules = REPO / "docs/rules.md"
    if not rules.is_file():
        yield "docs/rules.md is missing"
        return
    documented = set(re.findall(r"^## ([A-Z0-9]+(?:-[A-Z0-9]+)+)", text_of(rules), re.M))
    tested = set()
    for path in FILES:
        if name_of(path).startswith("tests/reject/"):
            tested |= set(re.findall(r"\b([A-Z0-9]+(?:-[A-Z0-9]+)+)\b", text_of(path) + " " + name_of(path)))
    raised = set()
    for path in sources("scripts/hvgen/", ".py"):
        for node in ast.walk(ast.parse(text_of(path))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) \
                    and re.fullmatch(r"[A-Z]{2,}(-[A-Z0-9]{2,})+", node.value):
                raised.add(node.value)
    yield from (f"{name}: in docs/rules.md, but no test in tests/reject" for name in sorted(documented - tested))
    yield from (f"{name}: in scripts/hvgen, but not in docs/rules.md" for name in sorted(raised - documented))


def shell_scripts() -> Iterator[str]:
    """shell scripts parse"""
    for path in FILES:
        if path.read_bytes()[:64].startswith((b"#!/bin/sh", b"#!/bin/busybox sh")):
            done = subprocess.run(["sh", "-n", str(path)], stderr=subprocess.PIPE, text=True, check=False)
            if done.returncode != 0:
                yield f"{name_of(path)}: {done.stderr.strip()}"


def types() -> Iterator[str]:
    """mypy finds nothing in the Python code"""
    for group in (["scripts/"], ["tests/system/"]):
        files = [path for path in python_files() if any(name_of(path).startswith(prefix) for prefix in group)]
        packages = [name_of(path) for path in files if "/hvgen/" not in name_of(path)]
        packages = [name for name in packages if "conftest" not in name]
        if group == ["scripts/"]:
            yield from mypy(["--disallow-untyped-defs", "scripts/hvgen"])
        strict = ["--disallow-untyped-defs"] if group == ["scripts/"] else []
        for name in packages:
            yield from mypy(strict + [name])


def mypy(arguments: list[str]) -> Iterator[str]:
    done = subprocess.run(["/usr/bin/python3", "-m", "mypy", "--ignore-missing-imports", "--follow-imports=silent",
                           "--no-error-summary", "--cache-dir", "build/mypy",
                           "--scripts-are-modules", *arguments], cwd=REPO, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False,
                          env={"MYPYPATH": "scripts:tests/system", "PATH": "/usr/bin:/bin"})
    if done.returncode != 0:
        yield done.stdout.strip()


def cppcheck() -> Iterator[str]:
    """cppcheck finds nothing in the C code"""
    folders = [folder for folder in ("src/core", "src/arch", "src/drivers", "src/check") if (REPO / folder).is_dir()]
    done = subprocess.run(["cppcheck", "-q", "-j2", "--std=c11", "--enable=warning,performance,portability",
                           "--inline-suppr", "--error-exitcode=1", "--suppress=missingIncludeSystem",
                           # linker symbols are one object; a _Noreturn function is not seen as one
                           "--suppress=comparePointers", "--suppress=nullPointerRedundantCheck",
                           "-D__aarch64__", "-D__BYTE_ORDER__=1234", "-D__ORDER_LITTLE_ENDIAN__=1234",
                           "-Isrc/include", *folders], cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    if done.returncode != 0:
        yield done.stdout.strip()


CHECKS: tuple[Callable[[], Iterator[str]], ...] = (
    include_rules, headers_alone, spdx, no_conditionals, no_goto, plain_text, kconfig_used, rules_documented,
    shell_scripts, types, cppcheck)


def main() -> int:
    good = True
    wanted = sys.argv[1:]
    for check in CHECKS:
        if wanted and check.__name__ not in wanted:
            continue
        complaints = list(check())
        for complaint in complaints:
            print(f"    {complaint}")
        print(f"{'FAILED' if complaints else 'ok'} {check.__name__}: {check.__doc__}", flush=True)
        good = good and not complaints
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
