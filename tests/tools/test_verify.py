"""`fvctl verify` seals in either format, with the key that is named, and says what the daemon answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from daemon.api.credentials import ANYONE
from daemon.config import load_config
from daemon.sealed.keys import KeyKind, KeyState
from daemon.sealed.legacy import PUBLISHED_IV, PUBLISHED_KEY
from tests.conftest import Site
from tests.running_daemon import RunningDaemon
from tools.cli import main
from tools.key_changes import adding
from tools.key_making import as_jwk, make_key
from tools.key_store import Operation
from tools.keys import key_store


class Fvctl:
    """`fvctl verify` against the running daemon."""

    def __init__(self, config: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self._command = ["verify", "--config", str(config), "--url", url]
        self._capsys = capsys

    def __call__(self, *arguments: str | Path) -> tuple[int, str, str]:
        code = main([*self._command, *map(str, arguments)])
        return code, *self._capsys.readouterr()


@pytest.fixture
def fvctl(site: Site, daemon: RunningDaemon, capsys: pytest.CaptureFixture[str]) -> Fvctl:
    return Fvctl(site.write("verify.yaml"), daemon.url, capsys)


@pytest.fixture
def photos(tmp_path: Path, samples: dict[str, bytes]) -> Path:
    """A folder of the sample photos."""
    for name, photo in samples.items():
        (tmp_path / f"{name}.jpg").write_bytes(photo)
    (tmp_path / "none.jpg").write_bytes(b"no photo")
    return tmp_path


def test_a_comparison_exits_0_whoever_is_on_the_photos(fvctl: Fvctl, photos: Path) -> None:
    code, out, _ = fvctl(photos / "obama.jpg", photos / "biden.jpg")
    assert code == 0
    assert "meaning: not the same person" in out


def test_text_and_json_have_the_same_fields(fvctl: Fvctl, photos: Path) -> None:
    text = fvctl(photos / "obama.jpg", photos / "obama3.jpg")[1]
    fields: dict[str, Any] = json.loads(fvctl(photos / "obama.jpg", photos / "obama3.jpg", "--json")[1])
    assert [line.partition(":")[0] for line in text.splitlines()] == list(fields)
    assert fields["meaning"].startswith("the same person")


def test_a_refused_photo_exits_1_and_is_named(fvctl: Fvctl, photos: Path) -> None:
    code, out, _ = fvctl(photos / "obama.jpg", photos / "none.jpg", "--json")
    fields = json.loads(out)
    assert code == 1
    assert fields["code"] == 2005
    assert fields["meaning"] == "not compared: invalid image type or corrupted (second_encrypted_image)"


def test_options_reach_the_daemon(fvctl: Fvctl, photos: Path) -> None:
    code, out, _ = fvctl(photos / "obama.jpg", photos / "obama2.jpg", "--auto-rotate", "--check-quality")
    assert code == 0
    assert "meaning: the same person" in out


def test_a_photo_that_is_not_there_exits_2(fvctl: Fvctl, photos: Path) -> None:
    code, out, err = fvctl(photos / "absent.jpg", photos / "obama.jpg")
    assert (code, out) == (2, "")
    assert "absent.jpg cannot be read: No such file or directory" in err


def _fields(fvctl: Fvctl, photos: Path, *arguments: str | Path) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(fvctl(photos / "obama.jpg", photos / "obama2.jpg", "--json", *arguments)[1])
    return fields


def test_without_options_photos_are_sealed_to_the_key_that_the_daemon_publishes(
    fvctl: Fvctl, photos: Path, daemon: RunningDaemon
) -> None:
    fields = _fields(fvctl, photos)
    published = daemon.get("/.well-known/jwks.json").json["keys"][0]["kid"]
    assert (fields["code"], fields["sealed_as"], fields["kid"]) == (1000, "jwe", published)


def test_the_legacy_format_takes_its_key_from_the_key_store(fvctl: Fvctl, photos: Path) -> None:
    fields = _fields(fvctl, photos, "--format", "legacy")
    assert (fields["code"], fields["sealed_as"]) == (1000, "legacy")
    assert "kid" not in fields


def test_a_legacy_key_in_a_file_is_used(fvctl: Fvctl, photos: Path) -> None:
    (photos / "legacy.json").write_text(json.dumps({"key": PUBLISHED_KEY, "iv": PUBLISHED_IV}))
    fields = _fields(fvctl, photos, "--legacy-key", photos / "legacy.json")
    assert (fields["code"], fields["sealed_as"]) == (1000, "legacy")


def test_a_wrong_legacy_key_is_answered_with_how_to_find_out(fvctl: Fvctl, photos: Path) -> None:
    (photos / "legacy.json").write_text(json.dumps({"key": "k" * 32, "iv": "i" * 12}))
    code, out, _ = fvctl(photos / "obama.jpg", photos / "obama2.jpg", "--legacy-key", photos / "legacy.json")
    assert code == 1
    assert "code: 1200" in out
    assert "field: first_encrypted_image" in out
    assert "next: The photo does not open" in out
    assert "kkkk" not in out


def test_a_terminal_s_own_key_is_used_as_fvctl_keys_printed_it(fvctl: Fvctl, photos: Path, site: Site) -> None:
    key = make_key(KeyKind.DIRECT, ANYONE.name)
    store, _ = key_store(load_config(site.write("verify-keys.yaml")))
    store.change(Operation("add", key.kid), adding(key, KeyState.ACTIVE, None))
    (photos / "added.json").write_text(json.dumps({"kid": key.kid, "secret": as_jwk(key)}))
    fields = _fields(fvctl, photos, "--jwk", photos / "added.json")
    assert (fields["code"], fields["kid"]) == (1000, key.kid)


def test_where_the_address_is_given_no_configuration_is_needed(
    daemon: RunningDaemon, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = str(photos / "obama.jpg")
    assert main(["verify", photo, photo, "--url", daemon.url, "--config", str(photos / "absent.yaml")]) == 0
    assert "meaning: the same person" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--format", "jwe", "--legacy-key", "k.json"],
        ["--format", "legacy", "--jwk", "k.json"],
        ["--format", "legacy", "--kid", "k"],
        ["--jwk", "k.json", "--jwks", "s.json"],
        ["--format", "zip"],
    ],
    ids=" ".join,
)
def test_a_key_of_the_other_format_is_wrong_usage(fvctl: Fvctl, photos: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        fvctl(photos / "obama.jpg", photos / "obama2.jpg", *arguments)
    assert ended.value.code == 64
