"""`fvctl keys`, every action: what it says, to people and to machines, and with which exit code."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwe import encrypt_compact
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from daemon.config import load_config
from daemon.sealed.keys import KeyKind, KeyState, secret_bytes
from daemon.sealed.keystore import STORE_FILE
from tests.conftest import Site
from tests.key_stores import document_of
from tools.cli import main
from tools.key_audit import AUDIT_FILE, append, read_entries
from tools.key_store import Operation
from tools.keys import authority_key, key_store

Jwk = dict[str, Any]


class Fvctl:
    """`fvctl keys` with one configuration; keeps everything that was printed."""

    def __init__(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.config, self._capsys = config, capsys
        self.text, self.err, self.printed = "", "", ""

    def run(self, *arguments: str) -> int:
        """The exit code; what was printed is in `text` and `err`."""
        try:
            code = main(["keys", *arguments, "--config", str(self.config)])
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = self._capsys.readouterr()
        self.text, self.err = captured.out, captured.err
        self.printed += captured.out + captured.err
        return code

    def __call__(self, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        """What an action prints with --json; it must end well."""
        assert self.run(*arguments, "--json") == 0, self.err
        return json.loads(self.text)

    def refused(self, *arguments: str) -> str:
        """Why an action could not run, with its remedy."""
        assert self.run(*arguments) == 2, self.text
        assert self.text == ""
        assert "\n  remedy: " in self.err
        return self.err

    @property
    def folder(self) -> Path:
        """The folder of keys."""
        return load_config(self.config).keys.store

    def secrets(self) -> list[bytes]:
        """Every secret in the store, and the key-encryption key."""
        store, _ = key_store(load_config(self.config))
        held = store.opened().opened((KeyState.STAGED, KeyState.ACTIVE, KeyState.RETIRING))
        kek = load_config(self.config).keys.file
        assert kek is not None
        return [*(secret_bytes(key.secret) for _, key in held), kek.read_bytes()]


@pytest.fixture
def bare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Fvctl:
    """A device without a key store."""
    made = Site(tmp_path, tmp_path / "no engines")
    keys = {"store": str(tmp_path / "new" / "keys"), "file": str(tmp_path / "new" / "kek")}
    return Fvctl(made.write(keys=keys, sealed={"legacy": False, "allow_published_key": False}), capsys)


@pytest.fixture
def fvctl(bare: Fvctl) -> Fvctl:
    """A device with a store as `init` makes it."""
    bare("init")
    return bare


def _states(fvctl: Fvctl) -> dict[str, str]:
    return {row["kid"]: row["state"] for row in fvctl("list")}


def test_init_makes_an_enrolment_key_and_a_first_key_that_are_active(bare: Fvctl) -> None:
    made = bare("init")
    assert made == {
        "store": str(bare.folder),
        "enrolment": made["enrolment"],
        "key": made["key"],
        "next": "fvctl keys export-jwks, or start the daemon",
    }
    rows = {row["kid"]: (row["kind"], row["state"]) for row in bare("list")}
    assert rows == {made["enrolment"]: ("enrolment", "active"), made["key"]: ("x25519", "active")}


def test_init_does_not_touch_a_store_that_is_there(fvctl: Fvctl) -> None:
    before = (fvctl.folder / STORE_FILE).read_bytes()
    assert "there is a key store already" in fvctl.refused("init")
    assert (fvctl.folder / STORE_FILE).read_bytes() == before


def test_init_makes_no_key_encryption_key_for_a_store_whose_own_is_lost(fvctl: Fvctl) -> None:
    kek = load_config(fvctl.config).keys.file
    assert kek is not None
    kek.unlink()
    assert "Restore it from a backup" in fvctl.refused("init")
    assert not kek.exists()


@pytest.mark.parametrize("action", ["list", "audit", "export-jwks", "rotate-kek"])
def test_without_a_store_the_remedy_is_to_make_one(bare: Fvctl, action: str) -> None:
    assert "fvctl keys init" in bare.refused(action)


@pytest.mark.parametrize("kind", ["x25519", "p-256", "rsa", "enrolment"])
def test_an_added_key_is_staged_and_what_comes_next_is_said(fvctl: Fvctl, kind: str) -> None:
    added = fvctl("add", "--kind", kind)
    kid = added["kid"]
    assert added == {"kid": kid, "kind": kind, "state": "staged", "next": f"fvctl keys activate {kid}"}
    assert _states(fvctl)[kid] == "staged"


def test_a_key_is_active_at_once_where_that_is_asked_for(fvctl: Fvctl) -> None:
    added = fvctl("add", "--activate")
    assert added == {"kid": added["kid"], "kind": "x25519", "state": "active"}


def test_a_terminal_s_own_key_is_shown_once(fvctl: Fvctl) -> None:
    added = fvctl("add", "--kind", "dir", "--terminal", "till 1", "--expires", "2030-01-31")
    assert set(added["secret"]) == {"kty", "k", "alg", "kid"}
    assert "not shown again" in added["once"]
    row = next(row for row in fvctl("list") if row["kid"] == added["kid"])
    assert (row["terminal"], row["expires"]) == ("till 1", "2030-01-31")
    assert added["secret"]["k"] not in fvctl.text


def test_a_legacy_key_is_shown_once(fvctl: Fvctl) -> None:
    assert set(fvctl("add", "--kind", "legacy")["secret"]) == {"key", "iv"}


def test_the_published_key_is_refused_where_the_daemon_would_refuse_to_serve_with_it(fvctl: Fvctl) -> None:
    assert "sealed.allow_published_key: true" in fvctl.refused("add", "--published", "--activate")


def test_the_published_key_is_added_where_it_is_allowed_and_is_no_secret(fvctl: Fvctl) -> None:
    document = fvctl.config.read_text().replace("legacy: false", "legacy: true")
    fvctl.config.write_text(document.replace("allow_published_key: false", "allow_published_key: true"))
    assert "secret" not in fvctl("add", "--published", "--activate")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["add", "--kind", "dir"], "needs terminal"),
        (["add", "--kind", "legacy", "--terminal", "till"], "takes no terminal"),
        (["add", "--kind", "dir", "--terminal", "a\x7f"], "not allowed for a key: terminal"),
        (["add", "--kind", "dir", "--terminal", ""], "not allowed for a key: terminal"),
        (["add", "--kind", "dir", "--terminal", "a\udc80"], "not allowed for a key: terminal"),
        (["activate", "absent"], "See which there are: fvctl keys list"),
        (["retire", "absent"], "See which there are: fvctl keys list"),
        (["destroy", "absent"], "See which there are: fvctl keys list"),
    ],
)
def test_what_cannot_be_is_refused_and_the_store_stays(fvctl: Fvctl, arguments: list[str], told: str) -> None:
    before = (fvctl.folder / STORE_FILE).read_bytes()
    assert told in fvctl.refused(*arguments)
    assert (fvctl.folder / STORE_FILE).read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["burn"],
        ["add", "--kind", "authority"],
        ["add", "--kind", "rot13"],
        ["add", "--expires", "2030-02-30"],
        ["activate"],
        ["import"],
        ["list", "more"],
    ],
)
def test_wrong_usage_has_an_exit_code_of_its_own(fvctl: Fvctl, arguments: list[str]) -> None:
    assert fvctl.run(*arguments) == 64


def test_a_key_goes_its_way_from_staged_to_destroyed(fvctl: Fvctl) -> None:
    kid = fvctl("add")["kid"]
    for action, state in (("activate", "active"), ("retire", "retiring"), ("destroy", "destroyed")):
        assert fvctl(action, kid) == {"kid": kid, "state": state}
        assert _states(fvctl)[kid] == state


@pytest.mark.parametrize(
    ("before", "action", "told"),
    [
        ([], "retire", "Only a key that is active can become retiring."),
        (["activate"], "activate", "Only a key that is staged or retiring can become active."),
        (["activate"], "destroy", "if it is compromised, add --compromised."),
        (["destroy"], "activate", "is destroyed"),
        (["destroy"], "destroy", "is destroyed"),
    ],
)
def test_a_step_that_is_out_of_turn_is_refused_with_a_remedy(
    fvctl: Fvctl, before: list[str], action: str, told: str
) -> None:
    kid = fvctl("add")["kid"]
    for step in before:
        fvctl(step, kid)
    assert told in fvctl.refused(action, kid)


def test_a_compromised_key_is_destroyed_while_it_is_active(fvctl: Fvctl) -> None:
    kid = fvctl("add", "--activate")["kid"]
    assert fvctl("destroy", kid, "--compromised")["state"] == "destroyed"


def test_public_keys_are_exported_as_terminals_fetch_them(fvctl: Fvctl) -> None:
    active, _staged = fvctl("add", "--activate", "--kind", "p-256")["kid"], fvctl("add")["kid"]
    first = next(row["kid"] for row in fvctl("list") if row["kind"] == "x25519")
    exported = fvctl("export-jwks")
    assert [jwk["kid"] for jwk in exported["keys"]] == [active, first]
    assert not any(JWKRegistry.import_key(jwk).is_private for jwk in exported["keys"])


def test_the_enrolment_key_is_exported_alone(fvctl: Fvctl) -> None:
    exported = fvctl("export-jwks", "--enrolment")["keys"]
    enrolment = [row["kid"] for row in fvctl("list") if row["kind"] == "enrolment"]
    assert [jwk["kid"] for jwk in exported] == enrolment


def test_a_rotated_key_encryption_key_replaces_the_old_one(fvctl: Fvctl) -> None:
    kek = load_config(fvctl.config).keys.file
    assert kek is not None
    old, secrets = kek.read_bytes(), fvctl.secrets()[:-1]
    assert fvctl("rotate-kek") == {"rotated": True, "keys": 2}
    assert kek.read_bytes() != old
    assert [path.name for path in kek.parent.iterdir() if path.is_file()] == ["kek"]
    assert fvctl.secrets()[:-1] == secrets
    kek.write_bytes(old)
    assert "another key-encryption key" in fvctl.refused("list")


def _at_once(fvctl: Fvctl, action: str) -> list[int]:
    """Exit codes of an action that is run by many at the same time."""
    codes: list[int] = []
    command = ["keys", action, "--json", "--config", str(fvctl.config)]
    threads = [threading.Thread(target=lambda: codes.append(main(command))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(codes)


def test_rotations_at_the_same_time_lose_no_key(fvctl: Fvctl) -> None:
    secrets = fvctl.secrets()[:-1]
    assert _at_once(fvctl, "rotate-kek") == [0] * 6
    assert fvctl.secrets()[:-1] == secrets
    assert fvctl.run("audit") == 0


def test_of_several_that_make_a_store_at_the_same_time_one_succeeds(bare: Fvctl) -> None:
    assert _at_once(bare, "init") == [0, 2, 2, 2, 2, 2]
    assert len(bare.secrets()) == 3


def _sealed(fvctl: Fvctl, tmp_path: Path, content: bytes | Jwk, to: Jwk | None = None) -> Path:
    """A file with a JWE to the enrolment key, made by joserfc."""
    key = to or fvctl("export-jwks", "--enrolment")["keys"][0]
    plain = content if isinstance(content, bytes) else json.dumps(content).encode()
    public = JWKRegistry.import_key({name: value for name, value in key.items() if name in ("kty", "crv", "x")})
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": key["kid"]}
    path = tmp_path / "sealed.jwe"
    path.write_text(encrypt_compact(header, plain, public, algorithms=["ECDH-ES", "A256GCM"]) + "\n")
    return path


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


_MADE_ELSEWHERE: dict[str, Callable[[], Jwk]] = {
    "x25519": lambda: {**OKPKey.generate_key("X25519", private=True).as_dict(private=True), "alg": "ECDH-ES"},
    "p-256": lambda: {**ECKey.generate_key("P-256", private=True).as_dict(private=True), "alg": "ECDH-ES"},
    "rsa": lambda: {**RSAKey.generate_key(2048, private=True).as_dict(private=True), "alg": "RSA-OAEP-256"},
    "dir": lambda: {"kty": "oct", "alg": "dir", "k": _text(bytes(range(32)))},
    "legacy": lambda: {"kty": "oct", "alg": "legacy", "k": _text(b"k" * 32), "iv": _text(b"i" * 12)},
}


@pytest.mark.parametrize("kind", _MADE_ELSEWHERE)
def test_a_key_sealed_to_the_enrolment_key_is_taken_in(fvctl: Fvctl, tmp_path: Path, kind: str) -> None:
    jwk = _MADE_ELSEWHERE[kind]() | {"kid": "made-elsewhere"}
    terminal = ["--terminal", "till 1"] if kind == "dir" else []
    imported = fvctl("import", str(_sealed(fvctl, tmp_path, jwk)), "--activate", *terminal)
    assert imported == {"kid": "made-elsewhere", "kind": kind, "state": "active"}
    assert fvctl("audit")[-1]["operation"] == "import"
    private = {value for name, value in jwk.items() if name in ("d", "p", "q", "dp", "dq", "qi", "k", "iv")}
    assert not any(value in fvctl.printed for value in private)


def test_a_key_sealed_to_a_second_enrolment_key_is_taken_in_too(fvctl: Fvctl, tmp_path: Path) -> None:
    kid = fvctl("add", "--kind", "enrolment", "--activate")["kid"]
    second = next(jwk for jwk in fvctl("export-jwks", "--enrolment")["keys"] if jwk["kid"] == kid)
    fvctl("import", str(_sealed(fvctl, tmp_path, _MADE_ELSEWHERE["x25519"](), second)))


def _sealed_to_a_photo_key(fvctl: Fvctl, tmp_path: Path) -> Path:
    return _sealed(fvctl, tmp_path, _MADE_ELSEWHERE["x25519"](), fvctl("export-jwks")["keys"][0])


def _sealed_to_a_stranger(fvctl: Fvctl, tmp_path: Path) -> Path:
    kid = fvctl("export-jwks", "--enrolment")["keys"][0]["kid"]
    stranger = OKPKey.generate_key("X25519").as_dict(private=False)
    return _sealed(fvctl, tmp_path, _MADE_ELSEWHERE["x25519"](), {**stranger, "kid": kid})


def _weak(fvctl: Fvctl, tmp_path: Path) -> Path:
    private = rsa.generate_private_key(65537, 1024)  # noqa: S505 - weak on purpose
    numbers = private.private_numbers()
    public = numbers.public_numbers
    members = {"n": public.n, "e": public.e, "d": numbers.d, "p": numbers.p, "q": numbers.q}
    members |= {"dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
    texts = {name: _text(number.to_bytes(-(-number.bit_length() // 8), "big")) for name, number in members.items()}
    return _sealed(fvctl, tmp_path, {"kty": "RSA", "alg": "RSA-OAEP-256"} | texts)


def _garbage_inside(fvctl: Fvctl, tmp_path: Path) -> Path:
    return _sealed(fvctl, tmp_path, b"no JWK")


def _with_an_id_that_is_none(fvctl: Fvctl, tmp_path: Path) -> Path:
    return _sealed(fvctl, tmp_path, _MADE_ELSEWHERE["x25519"]() | {"kid": "../../etc/passwd"})


def _with_an_id_that_is_taken(fvctl: Fvctl, tmp_path: Path) -> Path:
    kid = fvctl("export-jwks")["keys"][0]["kid"]
    return _sealed(fvctl, tmp_path, _MADE_ELSEWHERE["x25519"]() | {"kid": kid})


def _garbage(_fvctl: Fvctl, tmp_path: Path) -> Path:
    (tmp_path / "garbage").write_bytes(b"a.b.c.d.e")
    return tmp_path / "garbage"


def _binary(_fvctl: Fvctl, tmp_path: Path) -> Path:
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    return tmp_path / "binary"


def _absent(_fvctl: Fvctl, tmp_path: Path) -> Path:
    return tmp_path / "absent"


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (_sealed_to_a_photo_key, "is not sealed to an enrolment key of this device"),
        (_sealed_to_a_stranger, "is not sealed to an enrolment key of this device"),
        (_garbage, "fvctl keys export-jwks --enrolment"),
        (_weak, "another kind or size"),
        (_garbage_inside, "no private JWK"),
        (_with_an_id_that_is_none, "not allowed for a key: kid"),
        (_with_an_id_that_is_taken, "Give it another kid"),
        (_binary, "cannot be read"),
        (_absent, "cannot be read"),
    ],
)
def test_an_import_that_is_none_is_refused_and_the_store_stays(
    fvctl: Fvctl, tmp_path: Path, made: Callable[[Fvctl, Path], Path], told: str
) -> None:
    path = made(fvctl, tmp_path)
    before = (fvctl.folder / STORE_FILE).read_bytes()
    assert told in fvctl.refused("import", str(path))
    assert (fvctl.folder / STORE_FILE).read_bytes() == before


def test_after_the_enrolment_key_is_destroyed_nothing_is_taken_in_and_the_remedy_works(
    fvctl: Fvctl, tmp_path: Path
) -> None:
    path = _sealed(fvctl, tmp_path, _MADE_ELSEWHERE["x25519"]())
    kid = fvctl("export-jwks", "--enrolment")["keys"][0]["kid"]
    fvctl("destroy", kid, "--compromised")
    assert "fvctl keys add --kind enrolment --activate" in fvctl.refused("import", str(path))
    fvctl("add", "--kind", "enrolment", "--activate")
    fvctl("import", str(_sealed(fvctl, tmp_path, _MADE_ELSEWHERE["x25519"]())))


def test_the_log_is_proven_and_shown(fvctl: Fvctl) -> None:
    kid = fvctl("add")["kid"]
    entries = fvctl("audit")
    assert [(entry["operation"], entry["kid"]) for entry in entries] == [("init", ""), ("add", kid)]
    assert all(len(entry["hash"]) == 64 for entry in entries)


def test_an_interrupted_operation_needs_doing_and_the_log_says_which(fvctl: Fvctl) -> None:
    log = fvctl.folder / AUDIT_FILE
    append(log, read_entries(log), [Operation("retire", "kid").entry()])
    assert fvctl.run("audit") == 1
    assert "the last 1 entries never took effect" in fvctl.err
    assert "remedy: run it again" in fvctl.err


def test_a_log_that_was_changed_is_refused(fvctl: Fvctl) -> None:
    log = fvctl.folder / AUDIT_FILE
    log.write_bytes(log.read_bytes().replace(b"uid", b"gid"))
    assert "find out who wrote to it" in fvctl.refused("audit")
    assert "find out who wrote to it" in fvctl.refused("add")


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (["add"], ["kid: x25519-", "kind: x25519", "state: staged", "next: fvctl keys activate x25519-"]),
        (["add", "--kind", "dir", "--terminal", "till"], ["kind: dir", "secret: {", "once: give it to the terminal"]),
        (["list"], ["kid", "kind", "state", "terminal", "expires", "enrolment", "active"]),
        (["rotate-kek"], ["rotated: True", "keys: 2"]),
        (["audit"], ["number", "time_utc", "operation", "actor", "init", "uid "]),
        (["export-jwks"], ['"kty": "OKP"']),
    ],
)
def test_people_read_the_same_fields(fvctl: Fvctl, arguments: list[str], fields: list[str]) -> None:
    assert fvctl.run(*arguments) == 0
    assert all(field in fvctl.text for field in fields), fvctl.text


def test_nothing_that_is_printed_is_secret_but_what_is_shown_once(fvctl: Fvctl, tmp_path: Path) -> None:
    kids = [fvctl("add", "--kind", kind)["kid"] for kind in ("x25519", "p-256", "enrolment")]
    direct = fvctl("add", "--kind", "dir", "--terminal", "till")
    fvctl("import", str(_sealed(fvctl, tmp_path, _MADE_ELSEWHERE["p-256"]())))
    fvctl("activate", kids[0])
    fvctl("rotate-kek")
    secrets = fvctl.secrets()
    for action in ("list", "audit", "export-jwks"):
        for form in ([], ["--json"]):
            fvctl.run(action, *form)
    shown = fvctl.printed.replace(direct["secret"]["k"], "", 1)
    forms = (bytes.hex, _text, lambda secret: base64.b64encode(secret).decode(), repr)
    cores = [core for secret in secrets for core in (secret, secret[-32:])]
    assert not [core for core in cores for form in forms if form(core)[2:30] in shown]


def test_the_authority_s_key_is_made_once(fvctl: Fvctl) -> None:
    config = load_config(fvctl.config)
    one, two = (
        authority_key(config).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()) for _ in range(2)
    )
    assert one == two
    assert [row["kind"] for row in fvctl("list")].count(KeyKind.AUTHORITY.value) == 1


def test_a_damaged_store_is_made_no_worse_by_a_rotation(fvctl: Fvctl) -> None:
    document = document_of(fvctl.folder)
    (fvctl.folder / STORE_FILE).write_text(json.dumps(document | {"generation": 7}))
    fvctl.refused("rotate-kek")
    kek = load_config(fvctl.config).keys.file
    assert kek is not None
    assert not kek.with_name("kek-next").exists()
