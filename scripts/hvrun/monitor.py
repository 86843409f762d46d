# SPDX-License-Identifier: Apache-2.0
"""QEMU's monitor over a socket (QMP), for what `make trace` asks of it: memory, and the end."""
from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any, Optional

from .emulator import EmulatorError

LIMIT = 60.0                               # seconds for an answer


class Monitor:
    """A listening socket for QEMU to connect to; the arguments to give it stand in `arguments`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "monitor"
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.server.bind(str(self.path))
        self.server.listen(1)
        self.server.settimeout(LIMIT)
        self.arguments = ["-qmp", f"unix:{self.path}"]
        self.link: Optional[socket.socket] = None
        self.rest = b""

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self.link, self.server):
            if one is not None:
                one.close()

    def _line(self) -> dict[str, Any]:
        assert self.link is not None
        while b"\n" not in self.rest:
            data = self.link.recv(65536)
            if not data:
                raise EmulatorError("QEMU ended")
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, command: str, **arguments: Any) -> Any:
        """One command, and what QEMU returns."""
        try:
            if self.link is None:
                self.link, _ = self.server.accept()
                self.link.settimeout(LIMIT)
                self._line()                                   # the greeting
                self.ask("qmp_capabilities")
            self.link.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
            while True:
                answer = self._line()
                if "error" in answer:
                    raise EmulatorError(f"QEMU's monitor refuses {command}: {answer['error'].get('desc')}")
                if "return" in answer:
                    return answer["return"]
        except (TimeoutError, ConnectionError) as error:
            raise EmulatorError(f"QEMU's monitor does not answer ({error})") from None

    def save(self, address: int, size: int, file: Path, go_on: bool = False) -> None:
        """Guest-physical memory into a file; the machine stands still meanwhile, and afterwards unless told to go on."""
        self.ask("stop")
        file.unlink(missing_ok=True)
        self.ask("pmemsave", val=address, size=size, filename=os.path.abspath(file))
        if go_on:
            self.ask("cont")
