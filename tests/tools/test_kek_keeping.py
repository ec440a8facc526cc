"""The key-encryption key is made and replaced where it is kept: in a file, in a token, or by systemd's own program."""

from __future__ import annotations

import dataclasses
import os
import shutil
import stat
import subprocess
import uuid
from pathlib import Path

import pytest

from daemon.config import KekSource, Keys, Pkcs11
from daemon.errors import KeyRefused
from daemon.sealed.kek import CREDENTIALS, KEK_BYTES, NEXT, Kek
from tests.conftest import need
from tests.softhsm import leave_half_made
from tools.kek_keeping import CredentialKeeper, FileKeeper, KekKeeper, TokenKeeper, kek_keeper

_NAME = "faceverifyd-kek"


def _settings(folder: Path) -> Keys:
    return Keys(folder / "keys", KekSource.CREDENTIAL, _NAME, None, None)


@pytest.fixture
def stores(tmp_path: Path) -> tuple[Path, Path]:
    """Folders for encrypted and for plain credentials; not made yet."""
    return tmp_path / "credstore.encrypted", tmp_path / "credstore"


def _keeper(stores: tuple[Path, Path], environment: dict[str, str] | None = None) -> CredentialKeeper:
    return CredentialKeeper(_settings(stores[0].parent), environment or {}, stores)


@pytest.fixture
def encrypted(stores: tuple[Path, Path]) -> CredentialKeeper:
    """A keeper that uses systemd-creds."""
    need("systemd-creds", shutil.which("systemd-creds") is not None)
    need("a test's right to use the machine's own key", os.geteuid() == 0)
    return _keeper(stores)


@pytest.fixture
def plain(stores: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> CredentialKeeper:
    """A keeper on a machine without systemd-creds."""
    monkeypatch.setenv("PATH", str(stores[0].parent / "no programs"))
    return _keeper(stores)


@pytest.fixture
def file(tmp_path: Path) -> FileKeeper:
    """A keeper of a file."""
    path = tmp_path / "folder" / _NAME
    return FileKeeper(dataclasses.replace(_settings(tmp_path), kek=KekSource.FILE, file=path), path)


@pytest.fixture
def labelled(token: Pkcs11) -> Pkcs11:
    """The token, with a label that nobody used."""
    return dataclasses.replace(token, key=uuid.uuid4().hex)


@pytest.fixture
def in_token(labelled: Pkcs11, tmp_path: Path) -> TokenKeeper:
    """A keeper of a key in a token."""
    return TokenKeeper(dataclasses.replace(_settings(tmp_path), kek=KekSource.PKCS11, pkcs11=labelled), labelled)


@pytest.fixture(params=["encrypted", "plain", "file", "in_token"])
def keeper(request: pytest.FixtureRequest) -> KekKeeper:
    """Each of them; nothing is made yet."""
    keeper: KekKeeper = request.getfixturevalue(request.param)
    return keeper


def _opens(kek: Kek, sealed: bytes) -> bool:
    return kek.open(sealed, b"") is not None


def test_where_nothing_was_made_there_is_nothing(keeper: KekKeeper) -> None:
    assert not keeper.has_one()
    assert not keeper.has_next()
    with pytest.raises(KeyRefused) as refused:
        keeper.keks()
    assert "fvctl keys init" in refused.value.remedy


def _next(keeper: KekKeeper, in_use: Kek) -> Kek:
    """The next key, after the daemon was started again if that is necessary."""
    following = keeper.next(in_use) or keeper.next(in_use)
    assert following is not None
    return following


def test_what_was_made_seals_and_opens(keeper: KekKeeper) -> None:
    sealed = keeper.first().seal(b"plain", b"")
    assert (keeper.has_one(), keeper.has_next()) == (True, False)
    assert [_opens(kek, sealed) for kek in keeper.keks()] == [True]


def test_the_next_key_is_another_beside_the_one_in_use(keeper: KekKeeper) -> None:
    in_use = keeper.first()
    sealed = in_use.seal(b"plain", b"")
    assert not _opens(_next(keeper, in_use), sealed)
    assert keeper.has_next()
    assert sorted(_opens(kek, sealed) for kek in keeper.keks()) == [False, True]


def test_the_next_key_takes_the_place_of_the_one_in_use(keeper: KekKeeper) -> None:
    following = _next(keeper, keeper.first())
    sealed = following.seal(b"plain", b"")
    keeper.keep_only(following)
    assert (keeper.has_one(), keeper.has_next()) == (True, False)
    assert [_opens(kek, sealed) for kek in keeper.keks()] == [True]


def test_a_rotation_that_stopped_after_the_store_was_sealed_goes_on_without_losing_it(keeper: KekKeeper) -> None:
    following = _next(keeper, keeper.first())
    sealed = following.seal(b"plain", b"")
    again = _next(keeper, following)
    assert any(_opens(kek, sealed) for kek in keeper.keks())
    sealed = again.seal(b"plain", b"")
    keeper.keep_only(again)
    assert [_opens(kek, sealed) for kek in keeper.keks()] == [True]


def test_a_next_key_in_a_token_is_made_anew(in_token: TokenKeeper) -> None:
    in_use = in_token.first()
    sealed = in_token.next(in_use).seal(b"plain", b"")
    in_token.next(in_use)
    assert [kek for kek in in_token.keks() if _opens(kek, sealed)] == []
    assert len(in_token.keks()) == 2


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [("encrypted", True, False), ("plain", False, True), ("file", False, False), ("in_token", False, False)],
)
def test_a_daemon_must_be_started_again_only_where_systemd_hands_over(
    request: pytest.FixtureRequest, name: str, before: bool, after: bool
) -> None:
    keeper: KekKeeper = request.getfixturevalue(name)
    in_use = keeper.first()
    assert (keeper.next(in_use) is None) == before
    following = keeper.next(in_use)
    assert following is not None
    assert keeper.keep_only(following) == after


def test_the_next_credential_is_the_one_on_the_disk_whatever_was_handed_over(
    encrypted: CredentialKeeper, stores: tuple[Path, Path]
) -> None:
    sealed = encrypted.first().seal(b"plain", b"")
    handed = stores[0].parent / "handed"
    handed.mkdir()
    (handed / _NAME).write_bytes(_decrypted(stores[0] / _NAME, _NAME))
    (handed / _NAME).chmod(0o400)
    with_handed = _keeper(stores, {CREDENTIALS: str(handed)})
    assert not _opens(_next(with_handed, with_handed.keks()[0]), sealed)


def test_what_is_left_of_an_interrupted_making_seals_no_store(in_token: TokenKeeper, labelled: Pkcs11) -> None:
    leave_half_made(labelled)
    kek = in_token.first()
    assert _opens(kek, kek.seal(b"plain", b""))
    assert len(in_token.keks()) == 2
    assert _opens(in_token.first(), kek.seal(b"plain", b""))


def test_a_key_in_a_file_is_its_owner_s_alone(file: FileKeeper, tmp_path: Path) -> None:
    file.first()
    path = tmp_path / "folder" / _NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes()) == KEK_BYTES


def _decrypted(path: Path, name: str) -> bytes:
    command = ["systemd-creds", "decrypt", f"--name={name}", "--newline=no", str(path), "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def test_systemd_decrypts_what_was_made_under_its_name(encrypted: CredentialKeeper, stores: tuple[Path, Path]) -> None:
    encrypted.first()
    path = stores[0] / _NAME
    key = _decrypted(path, _NAME)
    assert len(key) == KEK_BYTES
    assert key not in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not stores[1].exists()


def test_a_promoted_credential_is_encrypted_anew_for_its_new_name(
    encrypted: CredentialKeeper, stores: tuple[Path, Path]
) -> None:
    kek = _next(encrypted, encrypted.first())
    following = _decrypted(stores[0] / (_NAME + NEXT), _NAME + NEXT)
    encrypted.keep_only(kek)
    assert _decrypted(stores[0] / _NAME, _NAME) == following


def test_a_credential_that_was_only_renamed_is_refused(encrypted: CredentialKeeper, stores: tuple[Path, Path]) -> None:
    encrypted.next(encrypted.first())
    (stores[0] / (_NAME + NEXT)).rename(stores[0] / _NAME)
    with pytest.raises(KeyRefused, match="systemd-creds does not decrypt") as refused:
        encrypted.keks()
    assert "on the device whose credential it is" in refused.value.remedy


def test_a_damaged_credential_is_refused(encrypted: CredentialKeeper, stores: tuple[Path, Path]) -> None:
    encrypted.first()
    path = stores[0] / _NAME
    path.write_bytes(path.read_bytes()[:-24])
    with pytest.raises(KeyRefused, match="systemd-creds does not decrypt"):
        encrypted.keks()


def test_what_systemd_handed_over_is_taken(encrypted: CredentialKeeper, stores: tuple[Path, Path]) -> None:
    encrypted.first()
    sealed = encrypted.keks()[0].seal(b"plain", b"")
    handed = stores[0].parent / "handed"
    handed.mkdir()
    (handed / _NAME).write_bytes(_decrypted(stores[0] / _NAME, _NAME))
    (handed / _NAME).chmod(0o400)
    assert [_opens(kek, sealed) for kek in _keeper(stores, {CREDENTIALS: str(handed)}).keks()] == [True]


def test_without_systemd_creds_the_key_is_plain_and_root_s_alone(
    plain: CredentialKeeper, stores: tuple[Path, Path]
) -> None:
    plain.first()
    path = stores[1] / _NAME
    assert len(path.read_bytes()) == KEK_BYTES
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(stores[1].stat().st_mode)) == (0o600, 0o700)
    assert not stores[0].exists()


def test_whoever_may_not_look_is_told_to_be_root(plain: CredentialKeeper, stores: tuple[Path, Path]) -> None:
    need("a test's right to be somebody else", os.geteuid() == 0)
    plain.first()
    os.seteuid(65534)
    try:
        with pytest.raises(KeyRefused, match="cannot be looked at: Permission denied") as refused:
            plain.keks()
    finally:
        os.seteuid(0)
    assert refused.value.remedy == "Run fvctl as root."


def test_the_configuration_names_the_keeper(
    file: FileKeeper, in_token: TokenKeeper, token: Pkcs11, tmp_path: Path
) -> None:
    settings = _settings(tmp_path)
    assert isinstance(kek_keeper(settings, {}), CredentialKeeper)
    in_file = dataclasses.replace(settings, kek=KekSource.FILE, file=tmp_path / "kek")
    assert isinstance(kek_keeper(in_file, {}), FileKeeper)
    assert isinstance(kek_keeper(dataclasses.replace(settings, kek=KekSource.PKCS11, pkcs11=token), {}), TokenKeeper)
