"""Addresses: what gunicorn can listen on is told from what it cannot, and what is near from what is far."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest

from daemon.addresses import bind_of, is_loopback, obstacle, tcp_address
from tests.running_daemon import free_port


@pytest.mark.parametrize(
    ("bind", "address"),
    [
        ("127.0.0.1:3000", ("127.0.0.1", 3000)),
        ("10.0.0.5:1", ("10.0.0.5", 1)),
        ("device-1.branch.example:65535", ("device-1.branch.example", 65535)),
        ("[::1]:3000", ("::1", 3000)),
        ("unix:/run/faceverifyd.sock", None),
    ],
)
def test_an_address_is_taken_apart(bind: str, address: tuple[str, int] | None) -> None:
    assert tcp_address(bind) == address


@pytest.mark.parametrize(
    "bind",
    [
        "",
        "3000",
        ":3000",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:99999",
        "127.0.0.1:-1",
        "127.0.0.1:http",
        "127.0.0.1:\u0663",
        "127.0.0.1:3000\n",
        "127.0.0.1:3000/",
        "::1:3000",
        "[::1]",
        "[::1%lo]:3000",
        "[127.0.0.1]:3000",
        "[::1\0]:3000",
        "a..b:3000",
        "tcp://127.0.0.1:3000",
        "fd://3",
        "unix:",
        "unix:/run/\0",
    ],
)
def test_what_gunicorn_cannot_listen_on_is_refused_with_what_is_expected(bind: str) -> None:
    with pytest.raises(ValueError, match=r"must be HOST:PORT or \[IPv6\]:PORT"):
        tcp_address(bind)


@pytest.mark.parametrize(
    ("bind", "here"),
    [
        ("127.0.0.1:3000", True),
        ("[::1]:3000", True),
        ("localhost:3000", True),
        ("unix:/run/faceverifyd.sock", True),
        ("0.0.0.0:3000", False),
        ("[::]:3000", False),
        ("127.0.0.1.example.org:3000", False),
    ],
)
def test_loopback_is_told_from_other_addresses(bind: str, here: bool) -> None:
    assert is_loopback(bind) is here


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_a_socket_says_its_address_as_the_configuration_does(host: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        try:
            listener.bind((host.strip("[]"), 0))
        except OSError:
            pytest.skip(f"this machine has no {host}")
        bind = bind_of(listener.getsockname())
        assert bind == f"{host}:{listener.getsockname()[1]}"


def test_a_unix_socket_says_its_path(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        assert bind_of(listener.getsockname()) == f"unix:{tmp_path / 's'}"


def test_a_port_that_is_taken_is_an_obstacle_until_it_is_free() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        bind = bind_of(other.getsockname())
        error = obstacle(bind)
        assert error is not None
        assert error.errno == errno.EADDRINUSE
    assert obstacle(bind) is None


def test_another_machine_s_address_is_an_obstacle() -> None:
    # Source: RFC 5737: 192.0.2.0/24 belongs to nobody.
    error = obstacle(f"192.0.2.1:{free_port()}")
    assert error is not None
    assert error.errno == errno.EADDRNOTAVAIL


def test_of_a_unix_socket_nothing_is_asked(tmp_path: Path) -> None:
    assert obstacle(f"unix:{tmp_path / 's'}") is None
