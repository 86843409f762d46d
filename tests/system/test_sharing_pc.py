# SPDX-License-Identifier: Apache-2.0
"""Shared cores on x86: the schedulers and placements of test_sharing.py under SVM, two guests under VMX in Bochs, and what
one partition of a pool may not do to another."""
from __future__ import annotations

import subprocess

import pytest

import test_pc_isolation as isolation
from conftest import long
from hvtrace import dump
from machine import REPO, board_arguments
from pc import BOARD, BOCHS, MODELS, NAMES, SVM, VMX, guest, hello, linux, system
from test_guarantees import NEVER as BROKEN, burner
from test_sharing import NO_PANIC, WINDOWS, alive, two_guests_and_linux
from tracing import rows

POOLS = "CONFIG_POOLS=y\nCONFIG_ARINC653=y\n"


def qemu(image, **change):
    return board_arguments(BOARD, **change) + ["-kernel", str(image.elf)]


def pooled(build, name, pools, *parts, board=BOARD, vendor=SVM, more=""):
    return build.text(f"pc-pool-{name}", f"{system(*parts, board=board)}\npools:\n{pools}", vendor + POOLS + more)


def second_core(one, number, name):
    one.send(f"\x01{number}", pause=0.01)
    one.expect(f"input goes to {name}", 10)
    one.send("cpu1\r", pause=0.01)
    one.expect(rf"^{name}\| .*second core here, APIC ID 0x1\b", 20)


def test_two_guests_and_linux_on_one_core(build, machine):
    two_guests_and_linux(machine(qemu(build.folder("configs/rtds-x86"))))


def test_placed_on_two_cores(build, machine):
    """A partition's two vcpus share a core: their local APICs have IDs of their own."""
    one = machine(qemu(pooled(build, "placed", "  shared: {cpus: [2, 1]}\n",
                              hello("{pool: shared, budget: 6 ms, period: 10 ms}", name="one"),
                              hello("{pool: shared, budget: 1 ms, period: 4 ms, core: 1}", name="two"),
                              hello("{pool: shared, budget: 1 ms, period: 5 ms, vcpus: 2}", name="three"),
                              hello("[0]", name="own"))))
    alive(one, "one", "two", "three", "own")
    second_core(one, 3, "three")


def test_any_core(build, machine):
    share = "{pool: wide, budget: 2 ms, period: 10 ms, extra-time: true}"
    one = machine(qemu(pooled(build, "wide", "  wide: {cpus: [0, 1], placement: global}\n",
                              *(hello(share, name=name) for name in ("one", "two", "three")))))
    alive(one, "one", "two", "three")


def test_windows(build, machine):
    one = machine(qemu(pooled(build, "windows", WINDOWS, hello("{pool: fixed}", name="one"), hello("{pool: fixed}", name="two"),
                              hello("{pool: fixed, vcpus: 2}", name="three"))))
    alive(one, "one", "two", "three")
    second_core(one, 3, "three")


def test_linux_with_two_vcpus_on_one_core(build, machine):
    """Its CPUs wake each other by interrupts that the hypervisor carries."""
    one = machine(qemu(pooled(build, "linux2", "  shared: {cpus: [1]}\n",
                              linux("{pool: shared, budget: 4 ms, period: 10 ms, vcpus: 2, extra-time: true}", "bulkhead.test=smoke"),
                              hello("{pool: shared, budget: 500 us, period: 5 ms}"))))
    one.expect(r"^linux\| .*Linux is up: 2 CPUs", 120, never=NO_PANIC)
    one.expect(r"^linux\| self-test smoke: passed", 120, never=r"self-test smoke: FAILED|BUG:|WARNING:")
    one.ports[0].position = 0
    one.expect(r"^hello\| tick 5", 30, never=NO_PANIC)


# ---------------------------------------------------------------- one does not hurt the other

def test_restart_and_fault(build, machine):
    """A fault and a triple fault restart their partition; the one beside it on the core ticks on, every second."""
    share = "{pool: shared, budget: 2 ms, period: 10 ms}"
    one = machine(qemu(pooled(build, "restart", "  shared: {cpus: [0]}\n", hello(share, name="steady"), hello(share, name="victim"))))
    alive(one, "steady", "victim")
    one.send("\x012", pause=0.01)
    one.expect("input goes to victim", 10)
    for count in range(3):
        one.send("fault\r", pause=0.01)
        one.expect(r"^bulkhead\| FAULT victim, vcpu 0", 20, never=NO_PANIC)
        one.expect(r"^bulkhead\| victim restarts", 20, never=NO_PANIC)
        one.expect(r"^victim\| hello: Bulkhead guest", 20, never=NO_PANIC)
    one.ports[0].position = 0
    one.expect(r"^steady\| tick 9", 30, never=rf"{NO_PANIC}|FAULT steady")


def attacked(build, board=BOARD, vendor=SVM):
    share = "{pool: shared, budget: 3 ms, period: 10 ms}"
    return pooled(build, f"attack-{NAMES[vendor]}", "  shared: {cpus: [1]}\n",
                  guest("bad", "attacker", "{pool: shared, budget: 3 ms, period: 10 ms, vcpus: 2}", on_fault="restart"),
                  guest("victim", "victim", share), hello("[0]"), board=board, vendor=vendor)


def test_attacks(build, machine):
    """What a guest can think of, from a core that it shares with its victim."""
    one = machine(qemu(attacked(build)))
    isolation.ready(one, 2)
    isolation.survives_all(one, 2)


@pytest.mark.long
def test_fatal_attacks(build, machine):
    one = machine(qemu(attacked(build)))
    isolation.ready(one, 2)
    for attack, named in isolation.FATAL.items():
        isolation.fatal(one, attack, named, 2)
    isolation.victim_is_well(one, 2)


# ---------------------------------------------------------------- what was promised

def judged(build, machine, name, pool, *parts):
    """As test_guarantees.py, which has the mixes: QEMU counts instructions, one of them a nanosecond."""
    text = "".join(part.replace("burner.bin", "burner.elf") for part in parts)
    image = build.text(f"pc-guarantee-{name}", f"{system(text)}\npools:\n  shared: {pool}\n", SVM + POOLS)
    one = machine(qemu(image, smp="1") + ["-icount", "shift=0,sleep=off"])
    for part in (part.split(":")[0].strip() for part in parts):
        one.ports[0].position = 0
        one.expect(rf"^{part}\| burner: .*: KEPT", 120, never=BROKEN)


def test_extra_time(build, machine):
    judged(build, machine, "extra", "{cpus: [0], extra-time: true}", burner("small", 200, 2000), burner("large", 2000, 10000))


def test_sleepers(build, machine):
    judged(build, machine, "sleepers", "{cpus: [0], extra-time: true}", burner("steady", 1000, 5000),
           burner("dozer", 400, 2000, arguments="nap=1 seed=2"), burner("napper", 3000, 10000, arguments="nap=1 seed=3"),
           burner("other", 500, 3000, ", extra-time: false"))


# ---------------------------------------------------------------- Bochs: VMX, and SVM as another implementation

@pytest.mark.parametrize("model", ["tigerlake", long("bx_generic")])
def test_bochs(build, machine, model):
    """Two guests on a core, one with two vcpus; a fault restarts one of them."""
    image = pooled(build, f"bochs-{NAMES[MODELS[model]]}", "  shared: {cpus: [1]}\n",
                   hello("{pool: shared, budget: 2 ms, period: 10 ms, vcpus: 2}", name="one"),
                   hello("{pool: shared, budget: 2 ms, period: 10 ms}", name="two"), board=BOCHS, vendor=MODELS[model])
    one = machine.bochs(image.elf, model=model)
    for name in ("one", "two"):
        one.ports[0].position = 0
        one.expect(rf"^{name}\| hello: Bulkhead guest", 90, never=NO_PANIC)
        one.expect(rf"^{name}\| tick 2", 60, never=NO_PANIC)
    one.send("cpu1\r", pause=0.05)
    one.expect(r"^one\| .*second core here, APIC ID 0x1\b", 30)
    one.send("\x012")
    one.expect(r"input goes to two", 30)
    one.send("fault\r", pause=0.05)
    one.expect(r"^bulkhead\| two restarts", 30, never=NO_PANIC)
    one.expect(r"^two\| tick 1", 60, never=NO_PANIC)


@pytest.mark.long
def test_traced_on_bochs(build, machine, tmp_path):
    """VMX: global EDF on two cores and a partitioned pool on a third; Bochs runs one instruction of each core in turn, so that
    nobody is late for what another does."""
    wide = "{pool: wide, budget: 20 ms, period: 50 ms, extra-time: false}"
    image = pooled(build, "traced-vmx", "  wide: {cpus: [0, 1], placement: global}\n  own: {cpus: [2]}\n",
                   *(guest(name, "victim", wide, "4 MiB") for name in ("one", "two", "three")),
                   guest("four", "victim", "{pool: own, budget: 10 ms, period: 40 ms}", "4 MiB"),
                   guest("five", "victim", "{pool: own, budget: 20 ms, period: 50 ms}", "4 MiB"),
                   board=BOCHS, vendor=VMX, more="CONFIG_TRACE=y\nCONFIG_TRACE_KIB=16\n")
    one = machine.bochs(image.elf)
    for name in ("one", "two", "three", "four", "five"):
        one.ports[0].position = 0
        one.expect(rf"^{name}\| victim: ok 3", 120, never=NO_PANIC)
    where = dump.place(str(image.elf))
    (tmp_path / "trace.bin").write_bytes(one.memory(where.address, where.size))
    done = subprocess.run([str(REPO / "scripts/bulkhead"), "trace", str(tmp_path / "trace.bin"), "-O", str(image.out), "--late", "100"],
                          capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0 and "every guarantee was kept" in done.stdout, done.stdout + done.stderr
    busy = rows(done.stdout)
    assert all(busy[name][1] > 1 for name in ("one", "two", "three", "four", "five")), done.stdout


@pytest.mark.long
def test_linux_on_a_shared_core_of_bochs(build, machine):
    """Debian's kernel under VMX, beside another guest on its core."""
    image = pooled(build, "linux-vmx", "  shared: {cpus: [1]}\n",
                   linux("{pool: shared, budget: 6 ms, period: 10 ms, extra-time: true}"),
                   hello("{pool: shared, budget: 1 ms, period: 10 ms}"), board=BOCHS, vendor=VMX)
    one = machine.bochs(image.elf, limit=600)
    one.expect(r"^linux\| .*Linux is up: 1 CPUs", 400, never=NO_PANIC)
    one.expect(r"linux# ", 60)
    one.send("echo sum=$((6*7))\n", pause=0.05)
    one.expect(r"sum=42", 60)
    one.ports[0].position = len(one.ports[0].text)
    one.expect(r"^hello\| tick \d+", 30, never=NO_PANIC)
