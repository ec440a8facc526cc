"""What can be wrong with a device, one thing each: how it is broken, what doctor calls it, and how it is mended.

Where a remedy is a command it is typed as it stands; where it tells a person to do something, `mend` does that and no
more.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import yaml

from daemon.config import load_config
from daemon.sealed.keys import KeyKind, KeyState
from tests.certificates import NOW, new_authority
from tests.conftest import REPOSITORY
from tests.end_to_end.box import UNIT, Box, lines_of, listens
from tests.end_to_end.conftest import soon
from tools.authority import Authority
from tools.issuing import issue_server_certificate
from tools.key_audit import AUDIT_FILE
from tools.key_changes import adding
from tools.key_making import make_key, published_key
from tools.key_store import Operation
from tools.keys import authority_key, key_store
from tools.releases.state import Operation as Doing
from tools.releases.state import State, Step

Mend = Callable[[Box, str], None]


def _by_typing(box: Box, remedy: str) -> None:
    box.follow(remedy)


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        name: what is wrong.
        check: the id under which doctor must name it.
        harm: breaks it.
        mend: follows the remedy.
        also: other ids that may name it too, because it is their matter as well.
        says: a part of the remedy.
    """

    name: str
    check: str
    harm: Callable[[Box], None]
    mend: Mend = _by_typing
    also: frozenset[str] = frozenset()
    says: str = ""


def _restore(path: Callable[[Box], Path]) -> tuple[Callable[[Box], Path], Mend]:
    """Where a backup of a file is, and a mend that puts it back."""

    def backup(box: Box) -> Path:
        """Outside of the device's folders."""
        return box.folder / f"backup-{path(box).name}"

    def mend(box: Box, _remedy: str) -> None:
        """Put it back."""
        shutil.copy2(backup(box), path(box))

    return backup, mend


def _spoiling(path: Callable[[Box], Path], spoil: Callable[[bytes], bytes]) -> tuple[Callable[[Box], None], Mend]:
    """A file's content changed, and a backup of it."""
    backup, mend = _restore(path)

    def harm(box: Box) -> None:
        """Keep a backup, and change the file in place."""
        shutil.copy2(path(box), backup(box))
        path(box).write_bytes(spoil(path(box).read_bytes()))

    return harm, mend


def _flipped(content: bytes) -> bytes:
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def _mode(path: Callable[[Box], Path], mode: int) -> Callable[[Box], None]:
    return lambda box: path(box).chmod(mode)


def _credential(box: Box) -> Path:
    return box.credentials / "faceverifyd-kek"


def _engine(name: str, file: str) -> Callable[[Box], Path]:
    return lambda box: (box.folder / "engines" / name).resolve() / file


def _another_onnxruntime(content: bytes) -> bytes:
    record = yaml.safe_load(content)
    older = record["basis"] | {"platform": record["basis"]["platform"] | {"onnxruntime": "1.18.0"}}
    return yaml.safe_dump(record | {"basis": older, "identity": "0" * 64}).encode()


def _calibration(box: Box) -> Path:
    return box.folder / "networks" / "sface" / "calibration.yaml"


def _of_another_network(content: bytes) -> bytes:
    return yaml.safe_dump(yaml.safe_load(content) | {"recognition": "0" * 64}).encode()


def _calibration_of_the_release(box: Box, remedy: str) -> None:
    assert str(_calibration(box)) in remedy
    shutil.copy(REPOSITORY / "trt_engines" / "sface" / "calibration.yaml", _calibration(box))


def _keks_lost(box: Box) -> None:
    _credential(box).rename(box.folder / "backup-faceverifyd-kek")


def _store_of_another_account(box: Box) -> None:
    os.chown(box.store, 65534, 65534)


def _key_about_to_end(box: Box) -> None:
    keys, _ = key_store(load_config(box.config))
    key = make_key(KeyKind.X25519)
    keys.change(Operation("add", key.kid), adding(key, KeyState.ACTIVE, date.today() + timedelta(days=3)))


def _log(box: Box) -> Path:
    return box.store.with_name(AUDIT_FILE)


def _legacy_on(box: Box) -> None:
    assert box.fvctl("keys", "add", "--kind", "legacy", "--activate")[0] == 0
    box.document["sealed"] |= {"legacy": True}
    box.write()


def _legacy_off(box: Box, remedy: str) -> None:
    assert "sealed.legacy: false" in remedy
    box.document["sealed"] |= {"legacy": False, "allow_published_key": False}
    box.write()


def _published_on(box: Box) -> None:
    keys, _ = key_store(load_config(box.config))
    if all(record.kid != "legacy-published" for record in keys.opened().file.keys):
        keys.change(Operation("add", "legacy-published"), adding(published_key(), KeyState.ACTIVE, None))
    box.document["sealed"] |= {"legacy": True, "allow_published_key": True}
    box.write()


def _published_off(box: Box, remedy: str) -> None:
    box.follow(remedy)
    # The legacy format stays on, which is a finding of its own.
    assert box.doctor("published_key")["published_key"]["status"] == "ok"
    _legacy_off(box, box.doctor("legacy_format")["legacy_format"]["remedy"])


def _all_revoked(box: Box) -> None:
    assert box.fvctl("terminals", "revoke", "till-1")[0] == 0


def _terminal_about_to_end(box: Box) -> None:
    document = yaml.safe_load(box.registry.read_text())
    document["terminals"][0]["proof"]["expires_utc"] = (NOW + timedelta(days=3)).isoformat()
    box.registry.write_text(yaml.safe_dump(document))


def _authority(box: Box) -> Authority:
    config = load_config(box.config)
    assert config.server.tls is not None
    assert config.server.tls.terminals_ca is not None
    return Authority(authority_key(config), config.server.tls.terminals_ca.read_bytes())


def _certificate_expired(box: Box) -> None:
    tls = load_config(box.config).server.tls
    assert tls is not None
    long_ago = new_authority(NOW - timedelta(days=2000))
    issue_server_certificate(long_ago, tls, ["localhost", "127.0.0.1"], NOW - timedelta(days=2000))


def _certificate_of_another_key(box: Box) -> None:
    tls = load_config(box.config).server.tls
    assert tls is not None
    tls.certificate.write_bytes(_authority(box).for_server(["localhost", "127.0.0.1"], NOW).certificate_pem)


def _disk_full(box: Box) -> None:
    (box.state / "rubbish").write_bytes(bytes(16 << 20))


def _largest_deleted(box: Box, remedy: str) -> None:
    (command,) = re.findall(r"(find .*? \| tail)", remedy)
    largest = lines_of([command])[-1].split(maxsplit=1)[1]
    assert Path(largest).is_relative_to(box.state)
    Path(largest).unlink()


def _files_used_up(box: Box) -> None:
    heap = box.state / "heap"
    heap.mkdir()
    for number in range(200):
        (heap / str(number)).touch()


def _fullest_deleted(box: Box, remedy: str) -> None:
    (command,) = re.findall(r"(du .*? \| tail)", remedy)
    fullest = [line.split(maxsplit=1)[1] for line in lines_of([command])]
    assert fullest[-1] == str(box.state)  # the disk itself
    shutil.rmtree(fullest[-2])


def _read_only(box: Box) -> None:
    subprocess.run(["mount", "-o", "remount,ro", box.state], check=True)


def _unit_without(name: str) -> Callable[[Box], None]:
    def harm(box: Box) -> None:
        """One line less."""
        unit = box.root / UNIT
        unit.write_text("".join(line for line in unit.read_text().splitlines(True) if not line.startswith(f"{name}=")))

    return harm


def _drop_in(box: Box) -> Path:
    return box.root / f"{UNIT}.d" / "zz-site.conf"


def _opened_by_drop_in(box: Box) -> None:
    _drop_in(box).write_text("[Service]\nProtectHome=no\n")


def _taken_out(box: Box, remedy: str) -> None:
    assert f"Take ProtectHome= out of {_drop_in(box)}" in remedy
    _drop_in(box).unlink()


def _port_taken(box: Box) -> None:
    box.stop()
    port = box.daemon.port
    box.other = subprocess.Popen(
        [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert soon(lambda: listens(port))
    assert box.other.poll() is None


def _port_given_back(box: Box, remedy: str) -> None:
    box.follow(remedy)
    assert box.other is not None
    box.other.wait(20)
    box.follow(box.doctor("daemon")["daemon"]["remedy"])


def _hung(box: Box) -> None:
    for process in (box.daemon.process.pid, *box.workers()):
        os.kill(process, signal.SIGSTOP)


def _swap_on(box: Box) -> None:
    _unit_without("MemorySwapMax")(box)
    box.tree("proc/swaps", "Filename Type Size Used Priority\n/swapfile file 8000000 0 -2\n")


def _swap_off(box: Box, remedy: str) -> None:
    assert remedy.startswith("swapoff /swapfile")  # not typed: it would be this machine's
    box.as_told("proc/swaps")
    box.follow(box.doctor("hardening")["hardening"]["remedy"])


def _told(name: str, content: str) -> tuple[Callable[[Box], None], Mend]:
    """Something that the kernel says, and that it says again what it said before."""
    return lambda box: box.tree(name, content), lambda box, _remedy: box.as_told(name)


def _unknown_key(box: Box) -> None:
    box.write(photo={"max_megabytes": 5})


def _line_corrected(box: Box, remedy: str) -> None:
    assert f"Correct the named lines of {box.config}" in remedy
    box.write()


def _jetpack(box: Box) -> None:
    release = {(3, 10): "R38 (release), REVISION: 4.0"}.get(sys.version_info[:2], "R36 (release), REVISION: 4.4")
    box.tree("etc/nv_tegra_release", f"# {release}, GCID: 1, BOARD: generic, EABI: aarch64\n")


def _another_release(box: Box, remedy: str) -> None:
    assert "Install the release for JetPack" in remedy
    (box.root / "etc/nv_tegra_release").unlink()  # as on the machine that this release is for


def _built_in_the_future(content: bytes) -> bytes:
    """What a clock that went back two years makes of an engine that was built before."""
    later = datetime.now(timezone.utc) + timedelta(days=730)
    return yaml.safe_dump(yaml.safe_load(content) | {"built_utc": later.isoformat(timespec="seconds")}).encode()


_OF_KEYS = frozenset({"kek", "key_store", "key_log", "key_expiry", "published_key", "clock", "daemon", "tls"})
"""All that cannot be told without the key store; and the daemon, which does not serve without it."""

_OF_TLS = frozenset({"certificate", "daemon", "tls"})
_EVERYTHING = _OF_KEYS | {
    *("engines", "calibration", "latency", "devices", "legacy_format", "terminals", "certificate", "disk_space"),
    *("memory", "core_dumps", "socket", "port", "accelerator", "onnxruntime_wheel"),
}


def _once_fast(content: bytes) -> bytes:
    """An engine that was a thousand times as fast when it was built."""
    record = yaml.safe_load(content)
    return yaml.safe_dump(record | {"warm_ms": record["warm_ms"] / 1000}).encode()


_RELEASE_STATE = "var/lib/faceverifyd-release/state.json"


def _interrupted(box: Box) -> None:
    """The power failed while a release was tried."""
    doing = Doing("install", "0.3.0", "0.2.0", "/media/stick", Step.GATE, "2026-11-25T12:00:00+00:00", "")
    box.tree(_RELEASE_STATE, json.dumps(asdict(State("0.2.0", None, "0", doing.begun_utc, (), doing))))


def _gone_back(box: Box, _remedy: str) -> None:
    """`fvctl release resume` works on whole devices: here nothing is left of it."""
    (box.root / _RELEASE_STATE).unlink()


def _faults() -> list[Fault]:
    store = _spoiling(lambda box: box.store, _flipped)
    kek = _spoiling(_credential, lambda content: bytes(len(content)))
    registry = _spoiling(lambda box: box.registry, lambda content: b"terminals: [" + content)
    log = _spoiling(_log, lambda _content: b"")
    clock = _spoiling(_engine("sface", "engine.yaml"), _built_in_the_future)
    slow = _spoiling(_engine("sface", "engine.yaml"), _once_fast)
    _, kek_back = _restore(_credential)
    return [
        Fault("calibration swapped", "calibration", _spoiling(_calibration, _of_another_network)[0],
              _calibration_of_the_release),
        Fault("key store readable by others", "key_store", _mode(lambda box: box.store, 0o644), also=_OF_KEYS,
              says="chmod 600"),
        Fault("key store unreadable for the daemon", "key_store", _store_of_another_account, says="chown"),
        Fault("key store damaged", "key_store", *store, also=_OF_KEYS, says="Restore"),
        Fault("KEK wrong", "kek", *kek, also=_OF_KEYS, says="Put back"),
        Fault("KEK missing", "kek", _keks_lost, kek_back, also=_OF_KEYS, says="Put back"),
        Fault("KEK readable by others", "kek", _mode(_credential, 0o644), also=_OF_KEYS, says="chmod 600"),
        Fault("log of key changes cut", "key_log", *log, also=frozenset({"clock"}), says="backup"),
        Fault("key about to end", "key_expiry", _key_about_to_end, says="fvctl keys add --activate"),
        Fault("published key in use", "published_key", _published_on, _published_off,
              also=frozenset({"legacy_format"}), says="fvctl keys destroy"),
        Fault("legacy format in use", "legacy_format", _legacy_on, _legacy_off),
        Fault("only terminal revoked", "terminals", _all_revoked, says="fvctl terminals add"),
        Fault("terminal's certificate about to end", "terminals", _terminal_about_to_end,
              says="fvctl terminals change till-1"),
        Fault("registry damaged", "terminals", *registry, also=frozenset({"daemon"}), says="Repair"),
        Fault("registry readable by others", "terminals", _mode(lambda box: box.registry, 0o644),
              also=frozenset({"daemon"}), says="chmod 600"),
        Fault("certificate expired", "certificate", _certificate_expired, also=_OF_TLS, says="127.0.0.1"),
        Fault("certificate of another key", "certificate", _certificate_of_another_key, also=_OF_TLS,
              says="fvctl terminals server-certificate localhost 127.0.0.1"),
        Fault("private key readable by others", "certificate", _mode(lambda box: box.state / "device.key", 0o644),
              says="chmod 600"),
        Fault("disk full", "disk_space", _disk_full, _largest_deleted),
        Fault("no room for files", "disk_space", _files_used_up, _fullest_deleted),
        Fault("disk read-only", "disk_space", _read_only, says="remount,rw"),
        Fault("clock back by two years", "clock", *clock, says="timedatectl"),
        Fault("unit's directive removed", "hardening", _unit_without("NoNewPrivileges"), says="cp "),
        Fault("unit opened by a drop-in", "hardening", _opened_by_drop_in, _taken_out),
        Fault("port taken", "port", _port_taken, _port_given_back, also=frozenset({"daemon", "tls"}), says="kill"),
        Fault("daemon hung", "daemon", _hung, also=frozenset({"tls"}), says="systemctl restart"),
        Fault("daemon dead", "daemon", lambda box: box.stop(), also=frozenset({"tls"}), says="systemctl start"),
        Fault("swap on, and the unit lets it", "swap", _swap_on, _swap_off, also=frozenset({"hardening"})),
        Fault("no memory left", "memory", *_told("proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable: 90000 kB\n")),
        Fault("too warm", "temperature", *_told("sys/class/thermal/thermal_zone0/temp", "99500\n")),
        Fault("slowed down", "temperature", *_told("sys/class/thermal/cooling_device1/cur_state", "3\n")),
        Fault("less power than there is", "power", *_told("var/lib/nvpmodel/status", "pmode:0001 fmode:quiet\n"),
              says="nvpmodel -m 0"),
        Fault("power supply too weak", "power", *_told("sys/class/hwmon/hwmon3/oc1_event_cnt", "7\n")),
        Fault("networks become slow", "latency", *slow, says="fvctl engines build"),
        Fault("release interrupted", "release", _interrupted, _gone_back, says="fvctl release resume"),
        Fault("JetPack of another release", "platform", _jetpack, _another_release),
        Fault("unknown configuration key", "configuration", _unknown_key, _line_corrected, also=_EVERYTHING),
    ]  # fmt: skip


FAULTS = _faults()

BUILT_ANEW = [
    Fault("engine's byte flipped", "engines", *_spoiling(_engine("sface", "model.onnx"), _flipped)),
    Fault("golden vectors flipped", "engines", *_spoiling(_engine("yunet", "golden.npz"), _flipped)),
    Fault("another onnxruntime", "engines", *_spoiling(_engine("sface", "engine.yaml"), _another_onnxruntime)),
]
"""Faults of engines, all with one remedy, which takes a while: it is followed after the last."""
