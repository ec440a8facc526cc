"""A key-encryption key seals as the standard says, and is read from files that are its owner's alone."""

from __future__ import annotations

import dataclasses
import os
import stat
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from daemon.config import KekSource, Keys, Pkcs11
from daemon.errors import KeyRefused
from daemon.sealed.kek import CREDENTIALS, NEXT, AesKek, Kek, kek_files, keks_of_files, load_keks

_KEY = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
_NONCE = bytes.fromhex("cafebabefacedbaddecaf888")
_PLAIN = bytes.fromhex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
)
_ASSOCIATED = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
_SEALED = _NONCE + bytes.fromhex(
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
    "76fc6ece0f4e1768cddf8853bb2d551b"
)
"""Test case 16 of McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", appendix B."""

_REMEDY = "Run: fvctl keys init"


def test_the_published_vector_opens() -> None:
    assert bytes(AesKek(_KEY).open(_SEALED, _ASSOCIATED) or b"") == _PLAIN


def test_what_is_sealed_is_nonce_ciphertext_and_tag_to_another_reader() -> None:
    sealed = AesKek(_KEY).seal(b"plain", b"associated")
    assert AESGCM(_KEY).decrypt(sealed[:12], sealed[12:], b"associated") == b"plain"


def test_no_nonce_is_used_twice() -> None:
    kek = AesKek(_KEY)
    assert len({kek.seal(b"", b"")[:12] for _ in range(1000)}) == 1000


@pytest.mark.parametrize("place", range(len(_SEALED)))
def test_a_changed_byte_does_not_open(place: int) -> None:
    changed = bytearray(_SEALED)
    changed[place] ^= 1
    assert AesKek(_KEY).open(bytes(changed), _ASSOCIATED) is None


@pytest.mark.parametrize("size", range(len(_SEALED)))
def test_what_is_cut_short_does_not_open(size: int) -> None:
    assert AesKek(_KEY).open(_SEALED[:size], _ASSOCIATED) is None


@pytest.mark.parametrize("associated", [b"", _ASSOCIATED[:-1], _ASSOCIATED + b"\0"])
def test_other_associated_data_does_not_open(associated: bytes) -> None:
    assert AesKek(_KEY).open(_SEALED, associated) is None


def test_another_key_does_not_open() -> None:
    assert AesKek(os.urandom(32)).open(_SEALED, _ASSOCIATED) is None


def test_a_key_serves_after_its_bytes_were_wiped() -> None:
    key = bytearray(_KEY)
    kek = AesKek(memoryview(key))
    key[:] = bytes(32)
    assert bytes(kek.open(_SEALED, _ASSOCIATED) or b"") == _PLAIN


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
def test_a_key_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(KeyRefused, match=f"has {size} bytes; expected 32"):
        AesKek(bytes(size))


def _in_file(folder: Path) -> tuple[Keys, dict[str, str]]:
    return Keys(folder / "keys", KekSource.FILE, "faceverifyd-kek", folder / "faceverifyd-kek", None), {}


def _as_credential(folder: Path) -> tuple[Keys, dict[str, str]]:
    settings = Keys(folder / "keys", KekSource.CREDENTIAL, "faceverifyd-kek", None, None)
    return settings, {CREDENTIALS: str(folder)}


Source = Callable[[Path], tuple[Keys, dict[str, str]]]
_SOURCES = pytest.mark.parametrize("source", [_in_file, _as_credential], ids=["file", "credential"])


def _write(folder: Path, suffix: str, key: bytes, mode: int = 0o600) -> Path:
    path = folder / f"faceverifyd-kek{suffix}"
    path.write_bytes(key)
    path.chmod(mode)
    return path


def _opened_by(keks: tuple[Kek, ...]) -> list[bool]:
    return [kek.open(_SEALED, _ASSOCIATED) is not None for kek in keks]


@_SOURCES
def test_the_key_in_use_comes_before_the_next_one(tmp_path: Path, source: Source) -> None:
    _write(tmp_path, "", _KEY)
    _write(tmp_path, NEXT, os.urandom(32))
    assert _opened_by(load_keks(*source(tmp_path))) == [True, False]


@_SOURCES
def test_the_next_key_alone_serves(tmp_path: Path, source: Source) -> None:
    _write(tmp_path, NEXT, _KEY)
    assert _opened_by(load_keks(*source(tmp_path))) == [True]


@_SOURCES
def test_a_missing_key_is_refused_with_a_remedy(tmp_path: Path, source: Source) -> None:
    with pytest.raises(KeyRefused, match="is missing") as refused:
        load_keks(*source(tmp_path))
    assert refused.value.remedy.startswith(_REMEDY)


def test_without_credentials_the_remedy_names_the_unit(tmp_path: Path) -> None:
    with pytest.raises(KeyRefused, match="CREDENTIALS_DIRECTORY is not set") as refused:
        load_keks(_as_credential(tmp_path)[0], {})
    assert "LoadCredentialEncrypted= (systemd 250 and newer) or LoadCredential=" in refused.value.remedy


@_SOURCES
@pytest.mark.parametrize("mode", [0o604, 0o620, 0o644, 0o666, 0o601])
@pytest.mark.parametrize("suffix", ["", NEXT])
def test_a_key_that_others_may_use_is_refused(tmp_path: Path, source: Source, mode: int, suffix: str) -> None:
    _write(tmp_path, "", _KEY)
    _write(tmp_path, suffix, _KEY, mode)
    with pytest.raises(KeyRefused, match=f"has mode {mode:04o}"):
        load_keks(*source(tmp_path))


def test_a_file_that_its_group_may_read_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, "", _KEY, 0o440)
    with pytest.raises(KeyRefused, match="has mode 0440"):
        load_keks(*_in_file(tmp_path))


def test_a_credential_handed_over_by_an_acl_is_taken(tmp_path: Path) -> None:
    # As systemd 254 and newer do it; the entries and their numbers: acl(5) and linux/posix_acl.h.
    path = _write(tmp_path, "", _KEY, 0o400)
    nobody, unnamed = 65534, 0xFFFFFFFF
    entries = [(0x01, 4, unnamed), (0x02, 4, nobody), (0x04, 0, unnamed), (0x10, 4, unnamed), (0x20, 0, unnamed)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(path, "system.posix_acl_access", acl)
    except OSError as error:
        pytest.skip(f"no ACLs here: {error.strerror}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o440
    assert _opened_by(load_keks(*_as_credential(tmp_path))) == [True]


@_SOURCES
def test_a_key_that_may_only_be_read_is_as_systemd_hands_it_over(tmp_path: Path, source: Source) -> None:
    _write(tmp_path, "", _KEY, 0o400)
    assert _opened_by(load_keks(*source(tmp_path))) == [True]


@_SOURCES
@pytest.mark.parametrize("size", [0, 31, 33, 1000])
def test_a_key_of_another_size_is_refused_and_not_cut(tmp_path: Path, source: Source, size: int) -> None:
    _write(tmp_path, "", bytes(size))
    with pytest.raises(KeyRefused, match="bytes; expected 32"):
        load_keks(*source(tmp_path))


@_SOURCES
def test_what_is_no_file_is_refused(tmp_path: Path, source: Source) -> None:
    (tmp_path / "faceverifyd-kek").mkdir()
    with pytest.raises(KeyRefused, match=r"cannot be read: .*: Is a directory"):
        load_keks(*source(tmp_path))


def test_a_key_is_found_at_every_moment_of_a_rotation(tmp_path: Path) -> None:
    settings, environment = _in_file(tmp_path)
    path, following = _write(tmp_path, "", _KEY), tmp_path / f"faceverifyd-kek{NEXT}"
    sealed = [AesKek(_KEY).seal(b"", b"")]
    ended = threading.Event()

    def rotate() -> None:
        while not ended.is_set():
            key = os.urandom(32)
            _write(tmp_path, ".making", key).replace(following)
            sealed.append(AesKek(key).seal(b"", b""))  # the store, from now on
            following.replace(path)

    rotating = threading.Thread(target=rotate)
    rotating.start()
    try:
        for _ in range(4000):
            before = sealed[-1]
            found = keks_of_files(settings, environment)
            opens = any(kek.open(before, b"") is not None for kek in found)
            assert opens or sealed[-1] is not before
    finally:
        ended.set()
        rotating.join()


def test_a_next_key_that_takes_the_place_of_the_other_between_two_readings_is_not_missed(tmp_path: Path) -> None:
    settings, environment = _in_file(tmp_path)
    following = _write(tmp_path, NEXT, _KEY)
    os.mkfifo(tmp_path / "faceverifyd-kek", 0o600)  # whoever reads it waits for what follows

    def promote() -> None:
        with (tmp_path / "faceverifyd-kek").open("wb") as read_before_it_was_replaced:
            following.unlink()
            read_before_it_was_replaced.write(os.urandom(32))

    promoting = threading.Thread(target=promote)
    promoting.start()
    found = keks_of_files(settings, environment)
    promoting.join()
    assert _opened_by(found) == [False, True]


def test_the_files_that_decide_are_named_whether_they_are_there_or_not(tmp_path: Path) -> None:
    named = (tmp_path / "faceverifyd-kek", tmp_path / f"faceverifyd-kek{NEXT}")
    assert kek_files(*_in_file(tmp_path)) == kek_files(*_as_credential(tmp_path)) == named


def test_of_a_token_the_file_that_decides_is_that_of_its_pin(tmp_path: Path) -> None:
    token = Pkcs11(tmp_path / "module", "token", "kek", tmp_path / "pin")
    settings = dataclasses.replace(_in_file(tmp_path)[0], kek=KekSource.PKCS11, pkcs11=token)
    assert kek_files(settings, {}) == (tmp_path / "pin",)
