"""A key-encryption key inside a token: it seals as others do, and never leaves."""

from __future__ import annotations

import dataclasses
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pkcs11
import pytest
from pkcs11 import Attribute, KeyType, ObjectClass

from daemon.config import Pkcs11
from daemon.errors import KeyRefused
from daemon.sealed.kek import AesKek, Kek
from daemon.sealed.keys import KeyKind, KeyState, secret_bytes
from daemon.sealed.keystore import open_store
from daemon.sealed.token import TokenKek, count, generate, keep_only, session, token_keks
from tests.key_stores import QUICK_KINDS, key_of, make_store
from tests.softhsm import PIN, leave_half_made

_KNOWN = bytes(range(32))


@pytest.fixture
def settings(token: Pkcs11) -> Pkcs11:
    """The token, with a label that nobody used."""
    return dataclasses.replace(token, key=uuid.uuid4().hex)


@pytest.fixture
def kek(settings: Pkcs11) -> TokenKek:
    """A new key in the token."""
    return generate(settings)


def _opened(kek: Kek, sealed: bytes, associated: bytes = b"") -> bytes | None:
    plain = kek.open(sealed, associated)
    return None if plain is None else bytes(plain)


def test_what_is_sealed_opens(kek: TokenKek) -> None:
    assert _opened(kek, kek.seal(b"plain", b"associated"), b"associated") == b"plain"


def test_the_seal_of_nothing_opens(kek: TokenKek) -> None:
    assert _opened(kek, kek.seal(b"", b"associated"), b"associated") == b""


def test_a_token_and_a_key_in_memory_seal_alike(settings: Pkcs11) -> None:
    with session(settings, writing=True) as opened:
        opened.create_object(
            {
                Attribute.CLASS: ObjectClass.SECRET_KEY,
                Attribute.KEY_TYPE: KeyType.AES,
                Attribute.LABEL: settings.key,
                Attribute.VALUE: _KNOWN,
                Attribute.TOKEN: True,
            }
        )
    (inside,), outside = token_keks(settings), AesKek(_KNOWN)
    assert _opened(outside, inside.seal(b"plain", b"associated"), b"associated") == b"plain"
    assert _opened(inside, outside.seal(b"plain", b"associated"), b"associated") == b"plain"


@pytest.mark.parametrize("place", [0, 11, 12, 16, 17, -1])
def test_a_changed_byte_does_not_open(kek: TokenKek, place: int) -> None:
    changed = bytearray(kek.seal(b"plain", b"associated"))
    changed[place] ^= 1
    assert _opened(kek, bytes(changed), b"associated") is None


@pytest.mark.parametrize("size", [0, 5, 12, 20, 27])
def test_what_is_cut_short_does_not_open(kek: TokenKek, size: int) -> None:
    assert _opened(kek, kek.seal(b"plain", b"")[:size], b"") is None


def test_other_associated_data_does_not_open(kek: TokenKek) -> None:
    assert _opened(kek, kek.seal(b"plain", b"one"), b"two") is None


def test_another_key_of_the_token_does_not_open(settings: Pkcs11, kek: TokenKek) -> None:
    assert _opened(generate(settings), kek.seal(b"plain", b""), b"") is None


def test_the_key_cannot_be_taken_out(settings: Pkcs11, kek: TokenKek) -> None:
    with session(settings) as opened:
        key = opened.get_key(object_class=ObjectClass.SECRET_KEY, label=settings.key)
        assert (key[Attribute.SENSITIVE], key[Attribute.EXTRACTABLE]) == (True, False)
        assert (key[Attribute.ALWAYS_SENSITIVE], key[Attribute.NEVER_EXTRACTABLE]) == (True, True)
        with pytest.raises(pkcs11.exceptions.AttributeSensitive):
            key[Attribute.VALUE]


def test_all_keys_of_the_label_are_found_and_no_others(settings: Pkcs11, kek: TokenKek) -> None:
    generate(dataclasses.replace(settings, key=settings.key + "-other"))
    following = generate(settings)
    found = token_keks(settings)
    assert {each.key_id for each in found} == {kek.key_id, following.key_id}
    assert sorted(_opened(each, kek.seal(b"plain", b""), b"") is not None for each in found) == [False, True]
    assert count(settings) == 2


def test_the_others_are_removed_and_the_one_that_is_kept_opens_as_before(settings: Pkcs11, kek: TokenKek) -> None:
    other = dataclasses.replace(settings, key=settings.key + "-other")
    generate(other)
    generate(settings)
    sealed = kek.seal(b"plain", b"")
    keep_only(settings, kek)
    assert [_opened(each, sealed, b"") for each in token_keks(settings)] == [b"plain"]
    assert count(other) == 1


def test_what_is_left_of_an_interrupted_making_is_no_hindrance(settings: Pkcs11, kek: TokenKek) -> None:
    leave_half_made(settings)
    leave_half_made(settings)
    sealed = kek.seal(b"plain", b"")
    assert sorted(_opened(each, sealed, b"") or b"" for each in token_keks(settings)) == [b"", b"", b"plain"]
    keep_only(settings, kek)
    assert count(settings) == 1


def test_a_key_that_has_gone_opens_nothing_and_seals_nothing(settings: Pkcs11, kek: TokenKek) -> None:
    sealed = kek.seal(b"plain", b"")
    keep_only(settings, generate(settings))
    assert _opened(kek, sealed, b"") is None
    with pytest.raises(KeyRefused, match="has lost the key"):
        kek.seal(b"plain", b"")


def test_nothing_is_removed_where_the_key_to_keep_has_gone(settings: Pkcs11, kek: TokenKek) -> None:
    following = generate(settings)
    keep_only(settings, following)
    with pytest.raises(KeyRefused, match="has lost the key"):
        keep_only(settings, kek)
    assert [each.key_id for each in token_keks(settings)] == [following.key_id]


def test_threads_take_turns(kek: TokenKek) -> None:
    opened: list[bytes | None] = []
    sealed = kek.seal(b"plain", b"")
    threads = [threading.Thread(target=lambda: opened.append(_opened(kek, sealed, b""))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [b"plain"] * 8


def test_a_store_under_a_token_gives_every_key_back(settings: Pkcs11, kek: TokenKek, tmp_path: Path) -> None:
    keys = [key_of(kind) for kind in (*QUICK_KINDS, KeyKind.RSA)]
    make_store(tmp_path, kek, *((key, KeyState.ACTIVE) for key in keys))
    held = open_store(tmp_path, token_keks(settings)).opened([KeyState.ACTIVE])
    assert [secret_bytes(key.secret) for _, key in held] == [secret_bytes(key.secret) for key in keys]


def _absent_module(settings: Pkcs11, folder: Path) -> Pkcs11:
    return dataclasses.replace(settings, module=folder / "absent.so")


def _no_module(settings: Pkcs11, folder: Path) -> Pkcs11:
    (folder / "text.so").write_text("no library")
    return dataclasses.replace(settings, module=folder / "text.so")


def _absent_token(settings: Pkcs11, _folder: Path) -> Pkcs11:
    return dataclasses.replace(settings, token="absent")


def _absent_key(settings: Pkcs11, _folder: Path) -> Pkcs11:
    return dataclasses.replace(settings, key="absent")


def _pin(settings: Pkcs11, folder: Path, content: bytes, mode: int = 0o600) -> Pkcs11:
    path = folder / "pin"
    path.write_bytes(content)
    path.chmod(mode)
    return dataclasses.replace(settings, pin=path)


def _wrong_pin(settings: Pkcs11, folder: Path) -> Pkcs11:
    return _pin(settings, folder, b"654321")


def _empty_pin(settings: Pkcs11, folder: Path) -> Pkcs11:
    return _pin(settings, folder, b"")


def _binary_pin(settings: Pkcs11, folder: Path) -> Pkcs11:
    return _pin(settings, folder, b"\xff\xfe")


def _readable_pin(settings: Pkcs11, folder: Path) -> Pkcs11:
    return _pin(settings, folder, PIN.encode(), 0o640)


def _absent_pin(settings: Pkcs11, folder: Path) -> Pkcs11:
    return dataclasses.replace(settings, pin=folder / "absent")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (_absent_module, "refuses: "),
        (_no_module, "refuses: "),
        (_absent_token, "the token absent refuses: NoSuchToken"),
        (_absent_key, "has no key absent"),
        (_wrong_pin, "refuses: PinIncorrect"),
        (_empty_pin, "refuses: "),
        (_binary_pin, "PIN cannot be read"),
        (_readable_pin, "has mode 0640"),
        (_absent_pin, "cannot be read: No such file"),
    ],
)
def test_a_token_that_does_not_serve_is_refused_with_a_remedy(
    settings: Pkcs11, tmp_path: Path, harm: Callable[[Pkcs11, Path], Pkcs11], told: str
) -> None:
    harmed = harm(settings, tmp_path)
    with pytest.raises(KeyRefused, match=told) as refused:
        token_keks(harmed)
    assert refused.value.remedy
    assert PIN not in str(refused.value)
