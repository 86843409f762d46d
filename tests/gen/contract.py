# SPDX-License-Identifier: Apache-2.0
"""Where the fields of layout.h stand, from the compiler: the contract grows."""
from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))


def offsets(*fields: str) -> dict[str, int]:
    """"struct.field" -> offset of the field, "struct" -> size of the struct."""
    prints = "".join(f'printf("%zu ", offsetof(struct {f.replace(".", ", ")}));' if "." in f else
                     f'printf("%zu ", sizeof(struct {f}));' for f in fields)
    source = ("#include <hv/layout.h>\n#include <stddef.h>\n#include <stdio.h>\n"
              f"int main(void) {{ {prints} }}\n")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["gcc", "-w", f"-I{ROOT}/src/include", "-x", "c", "-o", f"{folder}/a", "-"], input=source.encode(),
                       check=True)
        printed = subprocess.run([f"{folder}/a"], check=True, capture_output=True, text=True).stdout
    return dict(zip(fields, map(int, printed.split())))
