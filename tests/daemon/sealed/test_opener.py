"""Which format a sealed photo is taken for, and who may use which."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import pytest

from daemon.config import Sealed
from daemon.errors import InvalidArgument, KeyRefused, SealedPhotoRefused
from daemon.records import Sender
from daemon.sealed.keyring import KeyRing
from daemon.sealed.keys import KeyKind, KeyState, OpeningKey
from daemon.sealed.keystore import KeyRecord
from daemon.sealed.legacy import LegacyFormat, LegacyKey
from daemon.sealed.opener import Opener

SECRET = b"an installation's own 32 bytes!!" + b"own 12 bytes"
LEGACY = LegacyFormat(LegacyKey.of(SECRET))
TERMINAL, WITHOUT_LEGACY = Sender("till-1", legacy=True), Sender("till-2", legacy=False)


class Recording:
    """A JWE format that opens whatever has a dot, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str], str]] = []

    def open(self, text: str, keys: Mapping[str, OpeningKey], sender: str) -> bytearray:
        self.asked.append((text, list(keys), sender))
        return bytearray(b"opened")


TODAY = date(2026, 3, 1)
BOTH = (KeyKind.LEGACY, KeyKind.DIRECT)


def _opener(
    jwe: bool = True, legacy: bool = True, kinds: tuple[KeyKind, ...] = BOTH, expires: date | None = None
) -> tuple[Opener, Recording]:
    """One key of each kind, named after it."""
    held = [
        (
            KeyRecord(kind.value, kind, KeyState.ACTIVE, None, "", "", expires, ""),
            OpeningKey(kind.value, kind, None, SECRET),
        )
        for kind in kinds
    ]
    ring, recording = KeyRing(held, lambda: TODAY), Recording()
    return Opener(Sealed(jwe, None, legacy, False), recording, lambda: ring), recording


def test_text_with_a_dot_is_a_jwe_for_the_terminal_that_sent_it() -> None:
    opener, jwe = _opener()
    with opener.open("a.b", TERMINAL) as photo:
        assert bytes(photo) == b"opened"
    assert jwe.asked == [("a.b", ["legacy", "dir"], "till-1")]


def test_text_without_a_dot_is_in_the_legacy_format() -> None:
    opener, jwe = _opener()
    with opener.open(LEGACY.seal(b"photo"), TERMINAL) as photo:
        assert bytes(photo) == b"photo"
    assert jwe.asked == []


@pytest.mark.parametrize("text", [LEGACY.seal(b"photo"), "?", ""])
def test_a_terminal_that_may_not_use_the_legacy_format_is_refused_whatever_it_sends(text: str) -> None:
    with pytest.raises(SealedPhotoRefused):
        _opener()[0].open(text, WITHOUT_LEGACY)


@pytest.mark.parametrize(("expires", "opens"), [(TODAY, True), (TODAY - timedelta(days=1), False)])
@pytest.mark.parametrize("text", ["a.b", LEGACY.seal(b"photo")])
def test_a_format_whose_last_key_has_ended_is_a_fault_of_the_device(text: str, expires: date, opens: bool) -> None:
    opener, _ = _opener(expires=expires)
    if opens:
        opener.open(text, TERMINAL)
    else:
        with pytest.raises(KeyRefused, match="no key opens it"):
            opener.open(text, TERMINAL)


def test_a_format_without_a_key_does_not_stop_the_other_one() -> None:
    with _opener(kinds=(KeyKind.DIRECT,))[0].open("a.b", TERMINAL) as photo:
        assert bytes(photo) == b"opened"
    with _opener(kinds=(KeyKind.LEGACY,))[0].open(LEGACY.seal(b"photo"), TERMINAL) as photo:
        assert bytes(photo) == b"photo"


def test_a_terminal_that_may_not_use_the_legacy_format_does_not_learn_whether_it_has_a_key() -> None:
    with pytest.raises(SealedPhotoRefused):
        _opener(kinds=(KeyKind.DIRECT,))[0].open(LEGACY.seal(b"photo"), WITHOUT_LEGACY)


def test_a_format_that_is_turned_off_opens_nothing() -> None:
    with pytest.raises(SealedPhotoRefused):
        _opener(legacy=False)[0].open(LEGACY.seal(b"photo"), TERMINAL)
    with pytest.raises(InvalidArgument):  # a dot is no base64 either
        _opener(jwe=False)[0].open("a.b", TERMINAL)
