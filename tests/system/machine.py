# SPDX-License-Identifier: Apache-2.0
"""A machine under QEMU or Bochs for the tests: starts it, reads and types on its serial ports, ends it.

    with Machine(board_arguments("qemu-virt-arm64") + ["-kernel", "build/demo/bulkhead.bin"]) as machine:
        machine.expect(r"Linux is up: 2 CPUs", 60)
        machine.send("echo $((6*7))\\n")
        machine.expect(r"42")

Every wait has a limit. On a failure the whole serial text is left in build/test-logs/.
"""
from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Mapping, Optional, Pattern, Sequence, Union

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "scripts"))

from hvrun import emulator  # noqa: E402

LOGS = REPO / "build/test-logs"
QEMU = emulator.program(emulator.DEFAULT)
QEMU_X86 = emulator.program("qemu-system-x86_64")

# A loaded machine runs tests more slowly; the limits are for a quiet one with 2 cores.
PATIENCE = float(os.environ.get("TEST_PATIENCE", "1"))


class ConsoleError(AssertionError):
    """What was awaited did not come."""


def board_arguments(board: str, **change: str) -> list[str]:
    """QEMU's arguments for a board, from its folder, the program first unless it is QEMU for ARM64.

    cpu=, smp=, m= replace what stands there.
    """
    arguments = emulator.qemu_words(REPO / "boards" / board)
    if arguments[0] == emulator.DEFAULT:
        del arguments[0]
    for name, value in change.items():
        option = f"-{name}"
        if option in arguments:
            arguments[arguments.index(option) + 1] = value
        else:
            arguments += [option, value]
    return arguments


def qemu_version(program: str = QEMU) -> tuple[int, int]:
    out = subprocess.run([program, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = re.search(r"version (\d+)\.(\d+)", out)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


PREFIX = re.compile(r"([a-z][a-z0-9_-]*)\| ")
GLUED_LINES = 300                          # so many of the last lines are looked at
GLUED_PIECES = 8                           # in so many pieces a line may have been broken


def glued_search(compiled: Pattern[str], text: str) -> Optional[tuple["re.Match[str]", int]]:
    """Search where a line that another's line broke apart is whole again: the match, and its end in `text`.

    On a loaded host a guest can stand still in the middle of a line for so long that the console lets
    another's line through. Nothing tells such a piece from a whole line: any of an owner's lines may go on
    in the next one that follows upon another's, and so on, and any may be the beginning.
    """
    lines = text.split("\n")[-GLUED_LINES:]
    end = len(text) - len("\n".join(lines))
    pieces: dict[str, list[tuple[str, int, int]]] = {}    # owner: text, number of the line, end in `text`
    for number, line in enumerate(lines):
        end += len(line) + (1 if number else 0)
        found = PREFIX.match(line)
        if found:
            pieces.setdefault(found.group(1), []).append((line, number, end))
    for owner, its in pieces.items():
        for first, (have, before, _) in enumerate(its):
            for line, number, end in its[first + 1:first + GLUED_PIECES]:
                if number == before + 1:
                    break                   # nobody came between: a line of its own
                have += line[len(owner) + 2:]
                match = compiled.search(have)
                if match:
                    return match, end
                before = number
    return None


class Port:
    """One serial port: all text that came, and a position up to which it has been looked at."""

    def __init__(self, name: str, ours: socket.socket) -> None:
        self.name = name
        self.ours = ours
        self.text = ""
        self.position = 0
        self.changed = threading.Condition()
        self.closed = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                data = self.ours.recv(65536)
            except OSError:
                data = b""
            with self.changed:
                if not data:
                    self.closed = True
                self.text += data.decode("utf-8", "replace").replace("\r", "")
                self.changed.notify_all()
            if not data:
                return

    def send(self, text: Union[str, bytes], pause: float = 0.0) -> None:
        """Type; with a pause after each character where the receiver has a small FIFO."""
        data = text.encode() if isinstance(text, str) else text
        if pause == 0.0:
            self.ours.sendall(data)
            return
        for index in range(len(data)):
            self.ours.sendall(data[index:index + 1])
            time.sleep(pause)

    def expect(self, pattern: Union[str, Pattern[str]], timeout: float = 30.0,
               never: Optional[str] = None) -> "re.Match[str]":
        """Wait for the pattern after what was matched last; fail at once if `never` comes first."""
        compiled = re.compile(pattern, re.MULTILINE) if isinstance(pattern, str) else pattern
        deadline = time.monotonic() + timeout * PATIENCE
        with self.changed:
            while True:
                rest = self.text[self.position:]
                found = compiled.search(rest)
                unwanted = re.search(never, rest, re.MULTILINE) if never else None
                if unwanted and (not found or unwanted.start() < found.start()):
                    raise ConsoleError(f"{self.name}: came '{unwanted.group(0)}' while waiting for "
                                       f"/{compiled.pattern}/; the last lines:\n{self.tail()}")
                if found:
                    self.position += found.end()
                    return found
                glued = glued_search(compiled, rest)
                if glued:
                    self.position += glued[1]
                    return glued[0]
                left = deadline - time.monotonic()
                if self.closed or left <= 0:
                    why = "the machine ended" if self.closed else f"{timeout * PATIENCE:.0f} s went by"
                    raise ConsoleError(f"{self.name}: {why} without /{compiled.pattern}/; the last lines:\n"
                                       f"{self.tail()}")
                self.changed.wait(min(left, 1.0))

    def absent(self, pattern: str, seconds: float) -> None:
        """Fail if the pattern comes within the given time. Does not move the position."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while time.monotonic() < deadline:
                found = re.search(pattern, self.text[self.position:], re.MULTILINE)
                if found:
                    raise ConsoleError(f"{self.name}: '{found.group(0)}' must not come")
                self.changed.wait(max(0.0, min(0.5, deadline - time.monotonic())))

    def of(self, partition: str) -> str:
        """What one partition has printed so far: its lines, without the prefix."""
        prefix = f"{partition}| "
        with self.changed:
            return "\n".join(line[len(prefix):] for line in self.text.split("\n") if line.startswith(prefix))

    def tail(self, lines: int = 25) -> str:
        return "\n".join("    | " + line for line in self.text.rstrip("\n").split("\n")[-lines:])

    def close(self) -> None:
        try:
            self.ours.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.ours.close()


class Machine:
    """QEMU with `ports` serial ports; the first one's methods are the machine's own."""

    def __init__(self, arguments: Sequence[str], ports: int = 1, name: str = "machine", limit: float = 300.0) -> None:
        self.name = name
        self.limit = limit * PATIENCE
        pairs = [socket.socketpair() for _ in range(ports)]
        self.ports = [Port(f"serial {index}", ours) for index, (ours, _) in enumerate(pairs)]
        self.theirs = [theirs for _, theirs in pairs]
        words = list(arguments)
        program = emulator.program(words.pop(0)) if words and not words[0].startswith("-") else QEMU
        self.command = [program, "-display", "none", "-monitor", "none", *words]
        for index, theirs in enumerate(self.theirs):
            self.command += ["-chardev", f"socket,id=serial{index},fd={theirs.fileno()}",
                             "-serial", f"chardev:serial{index}"]
        self.process: Optional[subprocess.Popen[str]] = None
        self.timer: Optional[threading.Timer] = None
        self.errors = ""

    def __enter__(self) -> "Machine":
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            pass_fds=[theirs.fileno() for theirs in self.theirs], start_new_session=True)
        for theirs in self.theirs:
            theirs.close()
        self.set_limit()
        return self

    def set_limit(self) -> None:
        self.timer = threading.Timer(self.limit, self.kill)
        self.timer.daemon = True
        self.timer.start()

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.kill()
        if self.timer:
            self.timer.cancel()
        for port in self.ports:
            port.close()
        if error is not None:
            log = self.keep_log()
            print(f"command: {shlex.join(self.command)}\nserial text: {log}")

    def kill(self) -> None:
        """End this machine's emulator, and no other."""
        process = self.process
        if process is None or process.stdout is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        if not process.stdout.closed:
            self.errors += process.stdout.read()
            process.stdout.close()

    def keep_log(self) -> Path:
        LOGS.mkdir(parents=True, exist_ok=True)
        path = LOGS / (re.sub(r"[^A-Za-z0-9_.=-]+", "_", self.name) + ".log")
        parts = [shlex.join(self.command), self.errors]
        for port in self.ports:
            parts += [f"---- {port.name}", port.text]
        path.write_text("\n".join(parts), encoding="utf-8")
        return path

    def ended(self, timeout: float = 30.0) -> int:
        """Wait until the emulator ends by itself; its exit status."""
        assert self.process is not None
        try:
            return self.process.wait(timeout * PATIENCE)
        except subprocess.TimeoutExpired:
            raise ConsoleError(f"the machine still runs; the last lines:\n{self.ports[0].tail()}") from None

    # The first serial port's methods, since most machines have only that.
    @property
    def text(self) -> str:
        return self.ports[0].text

    def expect(self, pattern: Union[str, Pattern[str]], timeout: float = 30.0,
               never: Optional[str] = None) -> "re.Match[str]":
        return self.ports[0].expect(pattern, timeout, never)

    def absent(self, pattern: str, seconds: float) -> None:
        self.ports[0].absent(pattern, seconds)

    def send(self, text: Union[str, bytes], pause: float = 0.0) -> None:
        self.ports[0].send(text, pause)

    def of(self, partition: str) -> str:
        return self.ports[0].of(partition)


class Bochs(Machine):
    """Bochs with a disc from which GRUB starts the image; its serial ports are TCP connections that it opens."""

    CONNECT_SECONDS = 90.0                     # Bochs first fills the machine's RAM

    def __init__(self, elf: Path, board: str = "bochs", change: Optional[Mapping[str, str]] = None, ports: int = 1,
                 name: str = "bochs", limit: float = 300.0) -> None:
        super().__init__([], 0, name, limit)
        self.work = tempfile.TemporaryDirectory(prefix="bulkhead-bochs-")
        folder = Path(self.work.name)
        self.servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(ports)]
        lines = [emulator.socket_line(server.getsockname()[1]) for server in self.servers]
        disc = emulator.make_disc(elf, folder / "bulkhead.iso")
        self.command = emulator.bochs_command(REPO / "boards" / board, disc, lines, folder, change)

    def __enter__(self) -> "Machine":
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=emulator.BOCHS_ENVIRONMENT, cwd=self.work.name, start_new_session=True)
        self.reader = threading.Thread(target=self._read_errors, daemon=True)
        self.reader.start()
        self.set_limit()
        for index, server in enumerate(self.servers):
            self.ports.append(Port(f"serial {index}", self._connected(server)))
        return self

    def _connected(self, server: socket.socket) -> socket.socket:
        server.settimeout(0.5)
        for _ in range(int(2 * self.CONNECT_SECONDS * PATIENCE)):
            try:
                ours, _ = server.accept()
                ours.settimeout(None)
                return ours
            except TimeoutError:
                if self.process is None or self.process.poll() is not None:
                    break
        self.kill()
        raise ConsoleError(f"Bochs opened no serial port:\n{self.errors[-2000:]}")

    def _read_errors(self) -> None:
        assert self.process is not None and self.process.stdout is not None
        try:
            for line in self.process.stdout:
                self.errors += line
        except ValueError:                     # closed
            pass

    def memory(self, address: int, size: int) -> bytes:
        """Physical memory, as Bochs' debugger shows it in words; that ends the run."""
        assert self.process is not None and self.process.stdin is not None
        self.process.send_signal(signal.SIGINT)
        time.sleep(1.0)
        self.process.stdin.write(f"xp /{size // 4}wx {address:#x}\nquit\n")
        self.process.stdin.flush()
        self.process.wait(60 * PATIENCE)
        self.reader.join(10)
        rows = re.findall(r"^(?:.*> )?0x([0-9a-f]+) <[^>]*>:((?:\t0x[0-9a-f]{8})+)", self.errors, re.M)
        found = b"".join(int(word, 16).to_bytes(4, "little") for _, words in rows for word in words.split())
        assert len(found) == size, self.errors[-2000:]
        return found

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        for server in self.servers:
            server.close()

    def keep_log(self) -> Path:
        log = Path(self.work.name, "bochs.log")
        if log.is_file():
            self.errors += log.read_text(encoding="utf-8", errors="replace")[-20000:]
        return super().keep_log()

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        super().__exit__(kind, error, trace)
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()
        self.work.cleanup()
