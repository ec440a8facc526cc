"""The technician's way from nothing to a terminal that is served, with fvctl, openssl and curl alone."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from shutil import which
from urllib.parse import urlencode

import pytest

from daemon.api.verification import PATH
from tests.conftest import Site, need
from tests.running_daemon import RunningDaemon
from tools.cli import main

Sealed = Callable[[bytes, bytes], dict[str, str]]
Fvctl = Callable[..., dict[str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the technician works; the programs that he needs are there."""
    for program in ("openssl", "curl"):
        need(program, which(program) is not None)
    return tmp_path


@pytest.fixture
def config(site: Site, folder: Path) -> Path:
    """A configuration whose files are not there yet."""
    files = {"certificate": "server.pem", "key": "server.key", "terminals_ca": "terminals_ca.pem"}
    return site.write(
        "enrolment.yaml",
        server={"tls": {name: str(folder / file) for name, file in files.items()}},
        terminals={"authentication": "mutual_tls", "registry": str(folder / "terminals.yaml")},
    )


@pytest.fixture
def fvctl(config: Path, capsys: pytest.CaptureFixture[str]) -> Fvctl:
    """`fvctl terminals`, which must go well; what it said."""

    def call(*arguments: str) -> dict[str, str]:
        capsys.readouterr()
        assert main(["terminals", *arguments, "--json", "--config", str(config)]) == 0
        return dict(json.loads(capsys.readouterr().out))

    return call


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def _answer(daemon: RunningDaemon, folder: Path, body: Path, *certificate: str) -> int:
    """The code of the answer that curl gets."""
    trusting = ("--cacert", str(folder / "terminals_ca.pem"), *certificate)
    said = _said("curl", "-sS", "--noproxy", "*", "--tlsv1.2", *trusting, "-d", f"@{body}", daemon.url + PATH)
    return int(json.loads(said)["code"])


def test_terminals_that_fvctl_enrolled_are_served_and_revoked(
    fvctl: Fvctl, config: Path, folder: Path, sealed: Sealed, small: dict[str, bytes]
) -> None:
    body = folder / "body"
    body.write_text(urlencode(sealed(small["obama"], small["biden"])))
    key, request, bundle = folder / "till-1.key", folder / "till-1.csr", folder / "till-2.p12"
    fvctl("authority")
    fvctl("server-certificate", "localhost", "127.0.0.1")
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(key))
    _said("openssl", "req", "-new", *new_key, "-subj", "/CN=any", "-out", str(request))
    fvctl("add", "till-1", "--csr", str(request), "--legacy-until", "9999-12-31")
    own_key = ("--cert", str(request.with_suffix(".pem")), "--key", str(key))
    trusting = ssl.create_default_context(cafile=str(folder / "terminals_ca.pem"))
    with RunningDaemon(config, folder / "log", tls=trusting) as daemon:
        assert _answer(daemon, folder, body) == 1100
        assert _answer(daemon, folder, body, *own_key) == 1000
        password = fvctl("add", "till-2", "--certificate", str(bundle), "--legacy-until", "9999-12-31")["password"]
        assert _answer(daemon, folder, body, "--cert-type", "P12", "--cert", f"{bundle}:{password}") == 1000
        fvctl("server-certificate", "localhost", "127.0.0.1", "device.branch.example")
        assert _answer(daemon, folder, body, *own_key) == 1000
        fvctl("revoke", "till-1")
        assert _answer(daemon, folder, body, *own_key) == 1100
