"""The drop-ins for a Jetson, as far as a machine without one can show: the daemon serves with them in place."""

from __future__ import annotations

from tests.conftest import REPOSITORY
from tests.systemd.machine import ENGINES, SERVICE, Machine

ENCRYPTED, PLAIN = "/etc/credstore.encrypted/faceverifyd-kek", "/etc/credstore/faceverifyd-kek"


def _shipped(name: str) -> str:
    return (REPOSITORY / "systemd" / name).read_text("utf-8")


def test_the_daemon_serves_with_a_plain_credential_and_the_groups_of_a_gpu(
    changed: Machine, form: dict[str, str]
) -> None:
    changed.drop_in(SERVICE, _shipped("jetson.conf") + _shipped("jetpack6.conf"))
    changed.drop_in(ENGINES, _shipped("jetson.conf"))
    changed.run("install", "-d", "-m", "0700", "/etc/credstore")
    changed.run("systemd-creds", "decrypt", ENCRYPTED, PLAIN)
    changed.run("mv", ENCRYPTED, f"{ENCRYPTED}.aside")
    try:
        changed.systemctl("restart", ENGINES, SERVICE)
        assert changed.verify(form).status == 200
        groups = changed.run("id", "-nG", "faceverifyd").split()
        assert groups == ["faceverifyd"]  # the service's own, not the account's
        held = changed.run("grep", "^Groups:", f"/proc/{changed.worker}/status").split()[1:]
        assert {changed.run("getent", "group", group).split(":")[0] for group in held} >= {"video", "render"}
    finally:
        changed.run("mv", f"{ENCRYPTED}.aside", ENCRYPTED)
        changed.run("rm", "-f", PLAIN)
