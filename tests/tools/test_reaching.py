"""From options to a daemon: the address, and certificates that are checked without exception."""

from __future__ import annotations

import argparse
import dataclasses
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.config import Config, Tls
from daemon.errors import ConfigurationRefused
from tests.certificates import NOW, TlsSite, branch_certificate, new_tls_site
from tests.conftest import Site
from tests.web_server import COMPARED, WebServer, web_server
from tools.cli import main
from tools.reaching import daemon_of, own_address, trusting


@pytest.fixture
def tls_site(tmp_path: Path) -> TlsSite:
    return new_tls_site(tmp_path)


def _context(tls_site: TlsSite) -> ssl.SSLContext:
    """A device's side of TLS; it asks for certificates."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls_site.tls.certificate, tls_site.tls.key)
    context.load_verify_locations(tls_site.tls.terminals_ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


@pytest.fixture
def device(tls_site: TlsSite) -> Iterator[WebServer]:
    """What answers as a daemon does, over TLS."""
    with web_server(COMPARED, tls=_context(tls_site)) as server:
        yield server


def _args(url: str | None, **more: object) -> argparse.Namespace:
    nothing = dict.fromkeys(("ca", "certificate", "key", "token", "config"))
    return argparse.Namespace(url=url, **nothing | more)


def test_a_device_whose_authority_is_named_is_asked(device: WebServer, tls_site: TlsSite) -> None:
    answer = daemon_of(_args(device.url, ca=tls_site.tls.terminals_ca)).ask({})
    assert answer.body == COMPARED
    assert not device.shown[0][2]


def test_a_terminal_shows_its_certificate(device: WebServer, tls_site: TlsSite, tmp_path: Path) -> None:
    issued = tls_site.authority.for_terminal("till-3", NOW)
    (tmp_path / "till.pem").write_bytes(issued.certificate_pem)
    (tmp_path / "till.key").write_bytes(issued.key_pem)
    files = {"certificate": tmp_path / "till.pem", "key": tmp_path / "till.key"}
    daemon_of(_args(device.url, ca=tls_site.tls.terminals_ca, **files)).ask({})
    assert (("commonName", "till-3"),) in device.shown[0][2]["subject"]


def test_a_device_that_nobody_vouches_for_gets_no_photo(device: WebServer) -> None:
    with pytest.raises(ConfigurationRefused, match="a certificate that does not count") as refused:
        daemon_of(_args(device.url)).ask({})
    assert "--ca" in refused.value.remedy
    assert device.shown == []


def test_a_device_of_another_name_gets_no_photo(device: WebServer, tls_site: TlsSite) -> None:
    tls_site.write(tls_site.authority.for_server(["device.branch.example"], NOW))
    with web_server(COMPARED, tls=_context(tls_site)) as other:
        with pytest.raises(ConfigurationRefused, match="a certificate that does not count") as refused:
            daemon_of(_args(other.url, ca=tls_site.tls.terminals_ca)).ask({})
        assert "--url https://NAME:PORT" in refused.value.remedy
        assert other.shown == []


def test_a_certificate_that_the_device_does_not_take_is_told(tls_site: TlsSite, tmp_path: Path) -> None:
    _, foreign = branch_certificate("till-3")
    (tmp_path / "foreign.pem").write_bytes(foreign.key_pem + foreign.certificate_pem)
    context = _context(tls_site)
    # With TLS 1.3 the terminal is told after its handshake, or finds the connection gone, whichever comes first.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with web_server(COMPARED, tls=context) as device:
        terminal = daemon_of(_args(device.url, ca=tls_site.tls.terminals_ca, certificate=tmp_path / "foreign.pem"))
        with pytest.raises(ConfigurationRefused, match="does not take this terminal's certificate"):
            terminal.ask({})


def test_the_configuration_gives_address_and_authority(device: WebServer, tls_site: TlsSite, site: Site) -> None:
    bind = [device.url.removeprefix("https://")]
    config = site.write("tls-verify.yaml", server={"bind": bind, "tls": tls_site.document})
    assert daemon_of(_args(None, config=config)).ask({}).body == COMPARED


@pytest.mark.parametrize(
    ("bind", "url"),
    [
        (("127.0.0.1:3000",), "http://127.0.0.1:3000"),
        (("0.0.0.0:3000",), "http://127.0.0.1:3000"),
        (("[::]:3000",), "http://[::1]:3000"),
        (("unix:/run/faceverifyd.sock", "10.0.0.7:80"), "http://10.0.0.7:80"),
    ],
)
def test_the_own_daemon_is_called_where_it_listens(config: Config, bind: tuple[str, ...], url: str) -> None:
    assert own_address(dataclasses.replace(config.server, bind=bind)) == url


def test_with_tls_the_own_address_says_so(config: Config) -> None:
    tls = Tls(Path("server.pem"), Path("server.key"), None)
    assert own_address(dataclasses.replace(config.server, tls=tls)).startswith("https://")


def test_a_daemon_on_unix_sockets_alone_has_no_address(config: Config) -> None:
    with pytest.raises(ConfigurationRefused, match="Unix sockets only") as refused:
        own_address(dataclasses.replace(config.server, bind=("unix:/run/faceverifyd.sock",)))
    assert "--url" in refused.value.remedy


@pytest.mark.parametrize("option", ["ca", "certificate", "key"])
def test_a_file_that_is_none_is_named(tls_site: TlsSite, tmp_path: Path, option: str) -> None:
    (tmp_path / "none.pem").write_text("nothing")
    files: dict[str, Path | None] = {
        "ca": tls_site.tls.terminals_ca,
        "certificate": tls_site.tls.certificate,
        "key": tls_site.tls.key,
        option: tmp_path / "none.pem",
    }
    with pytest.raises(ConfigurationRefused, match=r"no use can be made of .*none\.pem"):
        trusting(files["ca"], files["certificate"], files["key"])


@pytest.mark.parametrize("option", ["--token", "--ca"])
def test_a_file_that_is_absent_exits_2(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a photo")
    photo, absent = str(tmp_path / "a.jpg"), str(tmp_path / "absent")
    assert main(["verify", photo, photo, "--url", "http://127.0.0.1:9", option, absent]) == 2
    assert "absent" in capsys.readouterr().err


def test_there_is_no_way_around_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["verify", "a.jpg", "b.jpg", "--insecure"])
    assert ended.value.code == 64
