"""The authority's certificate is added and never lost; the server's pair is replaced by one that fits together."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

import pytest

from daemon.config import Tls, load_config
from daemon.errors import ConfigurationRefused, KeyRefused
from tests.certificates import NOW, new_authority, new_key
from tests.conftest import Site
from tools.issuing import (
    authority_file,
    ensure_authority,
    issue_server_certificate,
    load_authority,
    write_new,
)


def test_the_authority_is_made_once(tmp_path: Path) -> None:
    path, key = tmp_path / "authority.pem", new_key()
    made = ensure_authority(path, key, NOW)
    content = path.read_bytes()
    assert content.strip() == made.certificate_pem.strip()
    assert ensure_authority(path, key, NOW).certificate_pem == made.certificate_pem
    assert path.read_bytes() == content
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_the_branch_s_own_authority_stays_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "terminals_ca.pem"
    branch = new_authority().certificate_pem
    path.write_bytes(branch.rstrip())  # as editors leave it: without an end of line
    own = ensure_authority(path, new_key(), NOW).certificate_pem
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.load_verify_locations(path)
    assert len(trusting.get_ca_certs()) == 2
    assert own in path.read_bytes()


def test_no_authority_is_loaded_where_none_was_made(tmp_path: Path) -> None:
    with pytest.raises(KeyRefused, match="certificate is not there"):
        load_authority(tmp_path / "authority.pem", new_key())


def _fits(tls: Tls) -> None:
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key)


def test_the_server_s_pair_fits_together_and_its_key_is_its_owner_s(tmp_path: Path) -> None:
    tls = Tls(tmp_path / "server.pem", tmp_path / "server.key", None)
    for _ in range(2):
        said = issue_server_certificate(new_authority(), tls, ["device.branch.example"], NOW)
        _fits(tls)
        assert stat.S_IMODE(tls.key.stat().st_mode) == 0o600
        assert said["hosts"] == "device.branch.example"


def test_one_file_for_both_is_its_owner_s(tmp_path: Path) -> None:
    both = tmp_path / "server.pem"
    issue_server_certificate(new_authority(), Tls(both, both, None), ["10.0.0.7"], NOW)
    _fits(Tls(both, both, None))
    assert stat.S_IMODE(both.stat().st_mode) == 0o600


def test_a_pair_is_left_alone_where_a_host_is_none(tmp_path: Path) -> None:
    tls = Tls(tmp_path / "server.pem", tmp_path / "server.key", None)
    with pytest.raises(KeyRefused):
        issue_server_certificate(new_authority(), tls, ["device.branch.example", "no host"], NOW)
    assert list(tmp_path.iterdir()) == []


def test_a_new_file_takes_nobody_s_place(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"old")
    with pytest.raises(ConfigurationRefused, match="exists"):
        write_new(tmp_path / "taken", b"new", 0o600)
    assert (tmp_path / "taken").read_bytes() == b"old"


def test_a_file_without_its_folder_is_a_failure_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationRefused, match="cannot be written: No such file") as refused:
        write_new(tmp_path / "absent" / "file", b"new", 0o600)
    assert "Make its folder" in refused.value.remedy


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        (None, "authority.pem"),
        ({"certificate": "/a/c", "key": "/a/k", "terminals_ca": None}, "authority.pem"),
        ({"certificate": "/a/c", "key": "/a/k", "terminals_ca": "/a/terminals_ca.pem"}, "terminals_ca.pem"),
    ],
)
def test_the_authority_s_certificate_is_where_tls_looks_for_it_else_beside_the_registry(
    site: Site, tls: dict[str, str | None] | None, expected: str
) -> None:
    terminals = {"authentication": "bearer", "registry": "/a/terminals.yaml"}
    config = load_config(site.write("issuing.yaml", server={"tls": tls}, terminals=terminals))
    assert authority_file(config) == Path("/a") / expected
