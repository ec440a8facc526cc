"""New keys, terminals and certificates count at once; a reload says whether the daemon could read them."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator

import pytest

from daemon.api.health import JWKS_PATH
from tests.running_daemon import Answer
from tests.systemd.appliance import FVCTL, STATE_FOLDER
from tests.systemd.machine import SERVICE, Machine, Terminals
from tools.asking import sealed_form
from tools.sealing import jwe_sealer

_TLS, _REGISTRY = f"{STATE_FOLDER}/tls", f"{STATE_FOLDER}/terminals.yaml"


class Site:
    """A device with terminals on a network: TLS, and a token for each terminal."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def fvctl(self, *arguments: str) -> dict[str, str]:
        """What fvctl answered, as JSON."""
        answered = json.loads(self.machine.run(FVCTL, *arguments, "--json"))
        assert isinstance(answered, dict)
        return answered

    def trust(self) -> ssl.SSLContext:
        """A terminal that trusts the device's own authority."""
        return ssl.create_default_context(
            cadata=self.machine.run("cat", self.fvctl("terminals", "authority")["authority"])
        )

    def ask(self, tls: ssl.SSLContext, token: str, photos: tuple[bytes, bytes]) -> Answer:
        """One verification, sealed to a key that the device publishes now."""
        keys = self.machine.get(JWKS_PATH, tls).json["keys"]
        form = sealed_form(jwe_sealer(keys[-1]), photos)
        return self.machine.verify(form, tls, {"Authorization": f"Bearer {token}"})

    def published(self, tls: ssl.SSLContext) -> set[str]:
        """Ids of the keys that photos may be sealed to now."""
        return {key["kid"] for key in self.machine.get(JWKS_PATH, tls).json["keys"]}

    def certificate(self, tls: ssl.SSLContext) -> bytes | None:
        """What the device shows to a new connection."""
        connection = self.machine.connect(tls=tls)
        try:
            assert isinstance(connection.sock, ssl.SSLSocket)
            return connection.sock.getpeercert(binary_form=True)
        finally:
            connection.close()


@pytest.fixture
def networked(changed: Machine) -> Iterator[Site]:
    """The device, made into one with terminals on a network."""
    tls = {"certificate": f"{_TLS}/server.pem", "key": f"{_TLS}/server.key", "terminals_ca": None}
    changed.run("install", "-d", "-m", "0700", "-o", "faceverifyd", "-g", "faceverifyd", _TLS)
    changed.configure(
        server={"tls": tls},
        terminals={"authentication": "bearer", "registry": _REGISTRY, "requests_per_minute": 100000},
    )
    site = Site(changed)
    site.fvctl("terminals", "authority")
    site.fvctl("terminals", "server-certificate", "localhost", "127.0.0.1")
    site.fvctl("terminals", "add", "till-1")
    changed.systemctl("restart", SERVICE)
    yield site
    changed.run("rm", "-rf", _TLS, _REGISTRY)


def test_what_is_new_counts_after_a_reload_and_no_request_is_lost(networked: Site, small: tuple[bytes, bytes]) -> None:
    machine, tls = networked.machine, networked.trust()
    before, shown = networked.published(tls), networked.certificate(tls)
    token = networked.fvctl("terminals", "change", "till-1", "--token")["token"]
    with Terminals(lambda: networked.ask(tls, token, small)) as terminals:
        new_token = networked.fvctl("terminals", "add", "till-2")["token"]
        kid = networked.fvctl("keys", "add", "--kind", "p-256", "--activate")["kid"]
        networked.fvctl("terminals", "server-certificate", "localhost", "127.0.0.1")
        machine.systemctl("reload", SERVICE)
        assert networked.ask(tls, new_token, small).status == 200
        assert networked.published(tls) == before | {kid}
        assert networked.certificate(tls) != shown
    assert terminals.failures == []
    assert set(terminals.statuses) == {200}


def test_a_reload_of_what_cannot_be_read_fails_and_says_so(networked: Site) -> None:
    machine, since = networked.machine, networked.machine.now()
    machine.write(_REGISTRY, "terminals: 7\n")
    with pytest.raises(AssertionError, match="ended with 1"):
        machine.systemctl("reload", SERVICE)
    assert any("terminals_unreadable" in line for line in machine.journal(since=since))
    assert machine.shown("ActiveState") == "active"


def test_a_reload_of_a_store_that_cannot_be_opened_fails_and_says_so(changed: Machine) -> None:
    since, store = changed.now(), f"{STATE_FOLDER}/keys/keystore.json"
    changed.run("cp", "-p", store, f"{store}.whole")
    try:
        changed.write(store, "{}")
        with pytest.raises(AssertionError, match="ended with 1"):
            changed.systemctl("reload", SERVICE)
        assert any("keys_unreadable" in line for line in changed.journal(since=since))
    finally:
        changed.run("mv", f"{store}.whole", store)
    changed.systemctl("reload", SERVICE)
