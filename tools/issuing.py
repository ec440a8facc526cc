"""Puts certificates where they belong: the authority's beside the registry, the server's where TLS reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from daemon.config import Config, Tls
from daemon.errors import ConfigurationRefused, KeyRefused
from daemon.private import OWNER_ONLY
from tools.authority import Authority, AuthorityKey, make_authority
from tools.registry import registry_path
from tools.whole_file import write_whole

PUBLIC = 0o644
"""Mode of what everybody may read: certificates."""


def authority_file(config: Config) -> Path:
    """Where the authority's certificate is: among those that TLS trusts, else beside the registry.

    Raises:
        ConfigurationRefused: the configuration names neither.
    """
    tls = config.server.tls
    if tls is not None and tls.terminals_ca is not None:
        return tls.terminals_ca
    return registry_path(config).with_name("authority.pem")


def load_authority(path: Path, key: AuthorityKey) -> Authority:
    """The authority that was made.

    Raises:
        KeyRefused: its certificate is not in the file, or there is no file.
    """
    return Authority(key, _content(path))


def ensure_authority(path: Path, key: AuthorityKey, now: datetime) -> Authority:
    """The authority; its certificate is made and added to what the file holds where it is not there.

    Raises:
        ConfigurationRefused: the file cannot be written.
    """
    try:
        return load_authority(path, key)
    except KeyRefused:
        others = _content(path)
        _written(path, others + (b"\n" if others else b"") + make_authority(key, now), PUBLIC)
        return load_authority(path, key)


def issue_server_certificate(authority: Authority, tls: Tls, hosts: Sequence[str], now: datetime) -> dict[str, Any]:
    """Replace the device's own certificate and key; what was done, for people.

    The two are replaced one after the other; the daemon serves with the old pair until they fit together. Where the
    configuration names one file for both, there is no such moment.

    Raises:
        KeyRefused: a host is neither a DNS name nor an IP address.
        ConfigurationRefused: a file cannot be written.
    """
    issued = authority.for_server(hosts, now)
    if tls.key == tls.certificate:
        _written(tls.key, issued.key_pem + issued.certificate_pem, OWNER_ONLY)
    else:
        _written(tls.key, issued.key_pem, OWNER_ONLY)
        _written(tls.certificate, issued.certificate_pem, PUBLIC)
    return {
        "hosts": ", ".join(hosts),
        "certificate": str(tls.certificate),
        "expires_utc": issued.expires_utc.isoformat(),
        "next": "nothing: the daemon shows it to the next terminal that connects",
    }


def write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that is not there yet.

    Raises:
        ConfigurationRefused: it is there, or cannot be written.
    """
    if path.exists():
        raise ConfigurationRefused(f"{path} exists", "Move it away, or name another file.")
    _written(path, content, mode)


def read_file(path: Path) -> bytes:
    """All of a file.

    Raises:
        ConfigurationRefused: it cannot be read.
    """
    with _doing(path, "read"):
        return path.read_bytes()


def _content(path: Path) -> bytes:
    return read_file(path) if path.exists() else b""


def _written(path: Path, content: bytes, mode: int) -> None:
    with _doing(path, "written"):
        write_whole(path, content, mode)


@contextmanager
def _doing(path: Path, how: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationRefused(
            f"{path} cannot be {how}: {error.strerror}", "Make its folder, or run fvctl as the file's owner."
        ) from error
