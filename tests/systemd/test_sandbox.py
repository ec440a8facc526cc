"""What the service may and may not do, tried from inside its sandbox; and how the kernel keeps its processes."""

from __future__ import annotations

import fcntl
import json
import re
import socket
import struct
from pathlib import Path

import pytest

from tests.systemd.machine import SERVICE, Machine

ELSEWHERE = "192.0.2.1"
"""An address that the machine has, beside loopback's. Source: RFC 5737, for documentation."""

_SET_ADDRESS, _SET_FLAGS, _UP = 0x8916, 0x8914, 0x1
"""Source: netdevice(7), SIOCSIFADDR, SIOCSIFFLAGS and IFF_UP."""


def _add_address(machine: Machine, address: str) -> None:
    """Give the machine another address, on its loopback device: it then reaches it, unless it is forbidden to."""
    name = b"lo:1".ljust(16, b"\0")
    with machine.network(), socket.socket() as control:
        fcntl.ioctl(control, _SET_ADDRESS, struct.pack("16sHH4s8x", name, socket.AF_INET, 0, socket.inet_aton(address)))
        fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sH14x", name, _UP))


@pytest.fixture(scope="module")
def outcomes(machine: Machine, first_start: object) -> dict[str, str]:
    """What came of each attempt; made by a reload, which runs in the very sandbox of the service."""
    assert first_start
    _add_address(machine, ELSEWHERE)
    machine.write("/usr/lib/probe.py", Path(__file__).with_name("probe.py").read_text("utf-8"))
    probe = "/opt/faceverifyd/current/venv/bin/python /usr/lib/probe.py"
    machine.drop_in(SERVICE, f"[Service]\nExecReload=\nExecReload={probe}\n")
    since = machine.now()
    machine.systemctl("reload", SERVICE)
    machine.restore()
    (printed,) = [line for line in machine.journal(since=since) if line.startswith('{"write its state"')]
    found = json.loads(printed)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("attempt", ["write its state", "connect to loopback"])
def test_what_the_service_needs_is_allowed(outcomes: dict[str, str], attempt: str) -> None:
    assert outcomes[attempt] == "done"


FORBIDDEN = {
    "write the configuration": {"EROFS", "EACCES"},
    "write the program": {"EROFS"},
    "write /usr": {"EROFS"},
    "write /var": {"EROFS"},
    "write a setting of the kernel": {"EROFS", "EACCES", "ENOENT"},
    "read /root": {"EACCES"},
    "read the encrypted credential": {"EACCES"},
    "read another's process": {"ENOENT"},
    "signal the first process": {"EPERM"},
    "become root": {"EPERM"},
    "a setuid file": {"EPERM"},
    "a raw socket": {"EAFNOSUPPORT"},
    "a netlink socket": {"EAFNOSUPPORT"},
    "a user namespace": {"EPERM"},
    "a mount namespace": {"EPERM"},
    "mount": {"EPERM"},
    "set the clock": {"EPERM"},
    "real-time priority": {"EPERM"},
    "another personality": {"EPERM"},
    "trace a process": {"EPERM"},
    "memory that is written and run": {"EPERM"},
    "open a disk": {"EPERM"},
}
"""Attempt to the errors by which it may fail; any other would be a failure for another reason."""


@pytest.mark.parametrize("attempt", FORBIDDEN)
def test_what_it_does_not_need_is_forbidden(outcomes: dict[str, str], attempt: str) -> None:
    assert outcomes[attempt] in FORBIDDEN[attempt]


@pytest.fixture(scope="module")
def packets_are_filtered(machine: Machine, outcomes: dict[str, str]) -> None:
    """Skips where IPAddressDeny= of any unit has no effect: a kernel or a container without BPF for control groups."""
    assert outcomes
    anywhere = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))"
    unit = ("systemd-run", "--quiet", "--wait", "--pipe", "--property=IPAddressDeny=any")
    if "PermissionError" not in machine.run(*unit, "python3", "-c", anywhere, check=False):
        pytest.skip("this kernel does not let systemd filter packets by unit: no BPF for control groups")


@pytest.mark.usefixtures("packets_are_filtered")
def test_addresses_that_are_not_allowed_are_out_of_reach(outcomes: dict[str, str]) -> None:
    # Nobody listens there: what is not filtered is refused at once, and what is filtered gets no answer.
    assert outcomes["connect elsewhere"] == "TimeoutError"
    assert outcomes["send elsewhere"] == "EPERM"


def test_every_attempt_is_judged() -> None:
    source = Path(__file__).with_name("probe.py").read_text("utf-8")
    tried = set(re.findall(r'^    "([^"]+)": ', source, re.MULTILINE))
    needed, elsewhere = {"write its state", "connect to loopback"}, {"connect elsewhere", "send elsewhere"}
    assert tried == set(FORBIDDEN) | needed | elsewhere


@pytest.fixture
def processes(device: Machine, form: dict[str, str]) -> dict[int, dict[str, str]]:
    """All that runs as its account, from gunicorn's master to what decodes photos: what /proc says of each."""
    assert device.verify(form).status == 200  # what decodes photos is started by the first
    account = device.run("id", "-u", "faceverifyd").strip()
    found = device.run("sh", "-c", f"grep -l '^Uid:[[:space:]]*{account}[[:space:]]' /proc/[0-9]*/status").split()
    statuses = {int(Path(path).parent.name): _fields(device.run("cat", path)) for path in found}
    assert len(statuses) >= 4
    assert {device.master, device.worker} <= set(statuses)
    return statuses


def _fields(text: str) -> dict[str, str]:
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def test_its_processes_have_no_privilege(processes: dict[int, dict[str, str]]) -> None:
    for status in processes.values():
        assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"  # a filter. Source: proc(5)


def test_its_processes_leave_no_core_dump(device: Machine, processes: dict[int, dict[str, str]]) -> None:
    for process in processes:
        limits = device.run("cat", f"/proc/{process}/limits")
        assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
        assert device.run("cat", f"/proc/{process}/coredump_filter").strip() == "00000000"


def test_nobody_but_root_reads_the_memory_of_a_process_that_may_hold_photos(
    device: Machine, processes: dict[int, dict[str, str]]
) -> None:
    for process in set(processes) - {device.master}:
        # Where a process is not dumpable its files in /proc belong to root. Source: proc(5)
        assert device.run("stat", "--format=%U", f"/proc/{process}/environ").strip() == "root"


def test_its_memory_is_never_to_be_swapped_out(device: Machine) -> None:
    assert device.shown("MemorySwapMax") == "0"


def test_the_kernel_never_swaps_its_memory_out(device: Machine) -> None:
    limit = f"/sys/fs/cgroup{device.shown('ControlGroup')}/memory.swap.max"
    if device.run("sh", "-c", f"test -e {limit} && echo there", check=False).strip() != "there":
        pytest.skip("this machine's kernel counts memory in the legacy hierarchy, where systemd sets no limit of swap")
    assert device.run("cat", limit).strip() == "0"
