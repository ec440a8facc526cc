"""The key that a command line means is the one that seals; files that hold none are refused and not repeated."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import ConfigurationRefused, KeyRefused
from daemon.sealed.keys import KeyKind, public_jwk
from daemon.sealed.legacy import PUBLISHED_IV, PUBLISHED_KEY, LegacyFormat
from tests.conftest import Site
from tools.key_making import as_jwk, make_key
from tools.sealing_keys import Choice, Format, Jwk, add_key_arguments, chosen

_PUBLISHED = {"key": PUBLISHED_KEY, "iv": PUBLISHED_IV}


def _jwk(kid: str) -> dict[str, str]:
    jwk = public_jwk(kid, KeyKind.X25519, make_key(KeyKind.X25519).secret)
    assert jwk is not None
    return jwk


OLD, NEW = _jwk("old"), _jwk("new")


def _choose(*arguments: str | Path, config: Path | None = None, published: list[Jwk] | None = None) -> Choice:
    """What a command line chooses, where the daemon publishes these keys."""
    parser = argparse.ArgumentParser()
    add_key_arguments(parser)
    args = parser.parse_args([*map(str, arguments)])
    args.config = config
    return chosen(args, lambda url: [_jwk(url)] if url else published or [NEW, OLD])


def _file(folder: Path, content: Any) -> Path:  # noqa: ANN401 - JSON, or no JSON
    path = folder / "given.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_without_options_it_is_the_first_that_is_published() -> None:
    assert (_choose().format, _choose().kid) == (Format.JWE, "new")


def test_another_of_the_set_is_chosen_by_its_id() -> None:
    assert _choose("--kid", "old").kid == "old"


def test_an_id_that_is_not_in_the_set_is_told_with_those_that_are() -> None:
    with pytest.raises(KeyRefused, match="there: new, old"):
        _choose("--kid", "older")


def test_a_set_is_read_from_a_file(tmp_path: Path) -> None:
    assert _choose("--jwks", _file(tmp_path, {"keys": [OLD]})).kid == "old"


def test_an_empty_set_in_a_file_has_no_key(tmp_path: Path) -> None:
    with pytest.raises(KeyRefused, match="there: none"):
        _choose("--jwks", _file(tmp_path, {"keys": []}))


@pytest.mark.parametrize("address", ["http://127.0.0.1/set.json", "https://127.0.0.1/set.json"])
def test_a_set_is_fetched_from_an_address(address: str) -> None:
    assert _choose("--jwks", address).kid == address


def test_one_key_is_read_from_a_file(tmp_path: Path) -> None:
    assert _choose("--jwk", _file(tmp_path, OLD)).kid == "old"


def test_an_id_on_the_command_line_goes_before_that_of_the_file(tmp_path: Path) -> None:
    assert _choose("--jwk", _file(tmp_path, OLD), "--kid", "older").kid == "older"


def test_a_terminal_s_own_key_may_be_as_fvctl_keys_printed_it(tmp_path: Path) -> None:
    key = make_key(KeyKind.DIRECT, "till-3")
    choice = _choose("--jwk", _file(tmp_path, {"kid": key.kid, "secret": as_jwk(key), "once": "..."}))
    assert choice.kid == key.kid
    assert choice.seal(b"a photo").count(".") == 4


@pytest.mark.parametrize("content", [_PUBLISHED, {"kid": "legacy-1", "secret": _PUBLISHED}], ids=["bare", "printed"])
def test_a_legacy_key_in_a_file_seals_in_its_format(tmp_path: Path, legacy: LegacyFormat, content: object) -> None:
    choice = _choose("--legacy-key", _file(tmp_path, content))
    assert (choice.format, choice.kid) == (Format.LEGACY, None)
    assert choice.seal(b"a photo") == legacy.seal(b"a photo")


def test_without_a_file_the_legacy_key_is_the_device_s_own(site: Site, legacy: LegacyFormat) -> None:
    choice = _choose("--format", "legacy", config=site.write("sealing-keys.yaml"))
    assert choice.seal(b"a photo") == legacy.seal(b"a photo")


@pytest.mark.parametrize(
    ("option", "content"),
    [
        ("--jwk", "secret{"),
        ("--jwk", '["secret"]'),
        ("--jwks", {"keys": {"secret": "secret"}}),
        ("--jwks", {"keys": ["secret"]}),
        ("--jwks", {"kty": "oct", "k": "secret"}),
        ("--legacy-key", {"key": "secret", "iv": PUBLISHED_IV}),
        ("--legacy-key", {"key": PUBLISHED_KEY}),
        ("--legacy-key", "secret"),
    ],
)
def test_a_file_without_a_key_is_named_and_not_repeated(tmp_path: Path, option: str, content: object) -> None:
    with pytest.raises(KeyRefused, match=r"given\.json holds no") as refused:
        _choose(option, _file(tmp_path, content))
    assert "secret" not in refused.value.args[0]


@pytest.mark.parametrize("option", ["--jwk", "--jwks", "--legacy-key"])
def test_an_absent_file_is_named(tmp_path: Path, option: str) -> None:
    with pytest.raises(ConfigurationRefused, match=r"absent\.json cannot be read"):
        _choose(option, tmp_path / "absent.json")
