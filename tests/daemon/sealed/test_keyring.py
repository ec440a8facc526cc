"""Which keys open now, which are published, and which stores a daemon refuses to serve with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.config import Config, KekSource, Sealed, load_config
from daemon.errors import KeyRefused, SealedPhotoRefused
from daemon.sealed.jwe import JweFormat
from daemon.sealed.kek import CREDENTIALS
from daemon.sealed.keyring import LEGACY_WARNING, PUBLISHED_WARNING, KeyRing, load_ring
from daemon.sealed.keys import KeyKind, KeyState, OpeningKey, public_jwk
from daemon.sealed.keystore import KeyRecord
from daemon.sealed.legacy import LegacyFormat, LegacyKey
from tests.conftest import Site
from tests.key_stores import QUICK_KINDS, key_of, new_kek
from tools.key_changes import adding, moving, new_record, resealing
from tools.key_making import published_key
from tools.key_store import KeyStore, Operation
from tools.keys import key_store
from tools.sealing import jwe_sealer

TODAY = date(2026, 3, 1)
KEK = new_kek()


def _held(key: OpeningKey, state: KeyState, expires: date | None = None) -> tuple[KeyRecord, OpeningKey]:
    return new_record(KEK, key, state, expires), key


def _ring(*held: tuple[KeyRecord, OpeningKey], today: Callable[[], date] = lambda: TODAY) -> KeyRing:
    return KeyRing(list(held), today)


def _kids(ring: KeyRing) -> list[str]:
    return [jwk["kid"] for jwk in ring.jwks()["keys"]]


def test_active_keys_open_and_are_published_the_newest_first() -> None:
    older, newer = key_of(KeyKind.X25519), key_of(KeyKind.P256)
    ring = _ring(_held(older, KeyState.ACTIVE), _held(newer, KeyState.ACTIVE))
    assert list(ring.opening()) == [older.kid, newer.kid]
    assert _kids(ring) == [newer.kid, older.kid]


def test_a_retiring_key_opens_and_is_not_published() -> None:
    key = key_of(KeyKind.X25519)
    ring = _ring(_held(key, KeyState.RETIRING))
    assert list(ring.opening()) == [key.kid]
    assert _kids(ring) == []


@pytest.mark.parametrize("kind", [KeyKind.DIRECT, KeyKind.LEGACY])
def test_a_symmetric_key_is_never_published(kind: KeyKind) -> None:
    assert _kids(_ring(_held(key_of(kind), KeyState.ACTIVE))) == []


@pytest.mark.parametrize(("days", "lives"), [(-1, True), (0, True), (1, False)])
def test_a_key_lives_up_to_and_including_the_day_it_expires(days: int, lives: bool) -> None:
    key, legacy = key_of(KeyKind.X25519), key_of(KeyKind.LEGACY)
    held = [_held(each, KeyState.ACTIVE, TODAY) for each in (key, legacy)]
    ring = _ring(*held, today=lambda: TODAY + timedelta(days))
    assert list(ring.opening()) == ([key.kid, legacy.kid] if lives else [])
    assert _kids(ring) == ([key.kid] if lives else [])
    assert isinstance(legacy.secret, bytes)
    sealed = LegacyFormat(LegacyKey.of(legacy.secret)).seal(b"photo")
    if lives:
        assert ring.legacy().open(sealed) == b"photo"
    else:
        with pytest.raises(SealedPhotoRefused):
            ring.legacy().open(sealed)


def test_a_key_expires_while_the_daemon_runs() -> None:
    days = [TODAY]
    ring = _ring(_held(key_of(KeyKind.X25519), KeyState.ACTIVE, TODAY), today=lambda: days[-1])
    assert len(ring.opening()) == 1
    jwe = Sealed(jwe=True, freshness=None, legacy=False, allow_published_key=False)
    ring.require(jwe)
    days.append(TODAY + timedelta(1))
    assert len(ring.opening()) == 0
    with pytest.raises(KeyRefused, match="no key opens it"):
        ring.require(jwe)


def test_the_active_legacy_key_seals_and_the_retiring_one_still_opens() -> None:
    retiring, active = key_of(KeyKind.LEGACY), key_of(KeyKind.LEGACY)
    legacy = _ring(_held(retiring, KeyState.RETIRING), _held(active, KeyState.ACTIVE)).legacy()
    for key in (retiring, active):
        assert isinstance(key.secret, bytes)
        assert legacy.open(LegacyFormat(LegacyKey.of(key.secret)).seal(b"photo")) == b"photo"
    assert isinstance(active.secret, bytes)
    assert legacy.seal(b"photo") == LegacyFormat(LegacyKey.of(active.secret)).seal(b"photo")


def test_warnings_name_the_legacy_format_and_the_published_key(config: Config) -> None:
    legacy, jwe = config.sealed, dataclasses.replace(config.sealed, legacy=False)
    own, published = (_ring(_held(key, KeyState.ACTIVE)) for key in (key_of(KeyKind.LEGACY), published_key()))
    assert own.warnings(legacy) == (LEGACY_WARNING,)
    assert published.warnings(legacy) == (LEGACY_WARNING, PUBLISHED_WARNING)
    assert published.warnings(jwe) == ()


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A configuration for the CPU whose engines are never built."""
    folder = tmp_path_factory.mktemp("config")
    return load_config(Site(folder, folder / "no engines").write())


def _configured(folder: Path, config: Config, **sealed: Any) -> Config:  # noqa: ANN401 - booleans
    keys = dataclasses.replace(config.keys, store=folder / "keys", file=folder / "kek")
    return dataclasses.replace(config, keys=keys, sealed=dataclasses.replace(config.sealed, **sealed))


def _stored(config: Config, *keys: tuple[OpeningKey, KeyState]) -> KeyStore:
    store, keeper = key_store(config)
    kek = keeper.first()
    store.create(tuple(new_record(kek, key, state) for key, state in keys), kek)
    return store


def _load(config: Config) -> KeyRing:
    return load_ring(config, lambda: TODAY, {})


def test_staged_and_destroyed_keys_open_nothing(tmp_path: Path, config: Config) -> None:
    configured = _configured(tmp_path, config, legacy=False)
    active, staged, destroyed = (key_of(KeyKind.X25519) for _ in range(3))
    store = _stored(configured, (active, KeyState.ACTIVE), (staged, KeyState.STAGED), (destroyed, KeyState.RETIRING))
    store.change(Operation("destroy"), moving(destroyed.kid, KeyState.DESTROYED))
    ring = _load(configured)
    assert list(ring.opening()) == _kids(ring) == [active.kid]


def test_a_key_that_has_expired_opens_nothing_and_is_still_told(tmp_path: Path, config: Config) -> None:
    configured = _configured(tmp_path, config, legacy=False)
    active, expired = (key_of(KeyKind.X25519) for _ in range(2))
    store = _stored(configured, (active, KeyState.ACTIVE))
    store.change(Operation("add"), adding(expired, KeyState.RETIRING, TODAY - timedelta(days=1)))
    ring = _load(configured)
    assert list(ring.opening()) == [active.kid]
    assert [record.kid for record in ring.records()] == [active.kid, expired.kid]


def test_the_ring_holds_no_key_that_opens_no_photo(tmp_path: Path, config: Config) -> None:
    configured = _configured(tmp_path, config)
    keys = [key_of(kind) for kind in (*QUICK_KINDS, KeyKind.AUTHORITY)]
    _stored(configured, *((key, KeyState.ACTIVE) for key in keys))
    kinds = [key.kind for key in _load(configured).opening().values()]
    assert kinds == [KeyKind.X25519, KeyKind.P256, KeyKind.DIRECT, KeyKind.LEGACY]


def test_a_photo_sealed_to_the_enrolment_key_never_opens(tmp_path: Path, config: Config) -> None:
    configured = _configured(tmp_path, config, legacy=False)
    enrolment, first = key_of(KeyKind.ENROLMENT), key_of(KeyKind.X25519)
    _stored(configured, (enrolment, KeyState.ACTIVE), (first, KeyState.ACTIVE))
    jwk = public_jwk(enrolment.kid, enrolment.kind, enrolment.secret)
    assert jwk is not None
    sealed = jwe_sealer(jwk)(b"photo")
    for keys in (_load(configured).opening(), {enrolment.kid: enrolment}):
        with pytest.raises(SealedPhotoRefused):
            JweFormat(None).open(sealed, keys, "")


@pytest.mark.parametrize(
    ("kind", "state", "sealed", "told"),
    [
        (KeyKind.ENROLMENT, KeyState.ACTIVE, {"legacy": False}, "sealed.jwe is on"),
        (KeyKind.X25519, KeyState.STAGED, {"legacy": False}, "sealed.jwe is on"),
        (KeyKind.X25519, KeyState.ACTIVE, {}, "sealed.legacy is on"),
        (KeyKind.LEGACY, KeyState.ACTIVE, {}, "sealed.jwe is on"),
    ],
)
def test_a_format_without_a_key_is_refused_with_a_remedy(
    tmp_path: Path, config: Config, kind: KeyKind, state: KeyState, sealed: dict[str, bool], told: str
) -> None:
    configured = _configured(tmp_path, config, **sealed)
    _stored(configured, (key_of(kind), state))
    ring = _load(configured)
    with pytest.raises(KeyRefused, match=told) as refused:
        ring.require(configured.sealed)
    assert "fvctl keys add" in refused.value.remedy


def test_a_key_that_has_expired_is_no_key(tmp_path: Path, config: Config) -> None:
    configured = _configured(tmp_path, config, legacy=False)
    key = key_of(KeyKind.X25519)
    store = _stored(configured)
    store.change(Operation("add"), adding(key, KeyState.ACTIVE, TODAY - timedelta(1)))
    ring = _load(configured)
    with pytest.raises(KeyRefused, match="no key opens it"):
        ring.require(configured.sealed)


def test_the_published_key_is_refused_unless_it_is_allowed(tmp_path: Path, config: Config) -> None:
    configured = _configured(tmp_path, config, jwe=False)
    _stored(configured, (published_key(), KeyState.ACTIVE))
    assert _load(configured).legacy().published
    with pytest.raises(KeyRefused, match="vendor's manual prints"):
        _load(_configured(tmp_path, config, jwe=False, allow_published_key=False))


class Rotating(Mapping[str, str]):
    """An environment in which a rotation passes once its credentials were looked at for the first time."""

    def __init__(self, credentials: Path, rotate: Callable[[], object]) -> None:
        self._variables = {CREDENTIALS: str(credentials)}
        self._rotate = rotate
        self.asked = 0

    def __getitem__(self, name: str) -> str:
        self.asked += 1
        if self.asked == 2:  # the second reading of the key-encryption key: the new one is there by now
            self._rotate()
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


def test_a_store_that_was_sealed_anew_between_two_readings_still_loads(tmp_path: Path, config: Config) -> None:
    configured = _configured(tmp_path, config, legacy=False)
    key = key_of(KeyKind.X25519)
    store = _stored(configured, (key, KeyState.ACTIVE))
    _, keeper = key_store(configured)
    following = keeper.next(store.opened().kek)
    assert following is not None
    (tmp_path / "kek-next").replace(tmp_path / "new")
    store.change(Operation("rotate-kek"), resealing(following), following)

    credential = dataclasses.replace(configured.keys, kek=KekSource.CREDENTIAL, credential="kek")
    environment = Rotating(tmp_path, lambda: (tmp_path / "new").replace(tmp_path / "kek"))
    ring = load_ring(dataclasses.replace(configured, keys=credential), lambda: TODAY, environment)
    assert list(ring.opening()) == [key.kid]
