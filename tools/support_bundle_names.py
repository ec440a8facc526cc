"""What may be said in a support bundle: words of the product itself, numbers, times; all else gets a pseudonym.

A pseudonym is the same for the same thing within one bundle, and tells nothing of it: things are numbered as they come.
Which is which is known here alone, and never leaves the device.
"""

from __future__ import annotations

import builtins
import dataclasses
import ipaddress
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any

import daemon
import tools

_MORE_WORDS = """
    activating active alive auto-restart condition config core-dump dead deactivating disabled dumped enabled exited
    exec-condition exit-code failed generated inactive indirect listening loaded masked not-found oom-kill plugged
    protocol reload reloading resources running signal start-limit-hit start-post start-pre start static stop success
    stop-sigterm timeout transient waiting watchdog utc mib gib kib ms no_shared_cipher http_request alert ssl tls
    unsupported_protocol wrong_version_number unexpected_eof_while_reading certificate_unknown bad_certificate
    unknown_ca
"""
"""Words of systemd and OpenSSL in what they say of a unit or a connection. Source: systemctl(1), openssl-errors."""

_TIME = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d| UTC)?)?"
_CHUNK = re.compile(rf"{_TIME}|[^\s\"'`<>()\[\]{{}},;=|]+|\[[0-9A-Fa-f:.]+\]")
PSEUDONYM = re.compile(r"(?:terminal|key|host|address|request|user|id|word|numbers)-\d{1,6}(?!\d)")
_NUMBER = re.compile(r"\d{1,9}(?:ms|s|min|h|d|px|x|[kmg]i?b)?", re.IGNORECASE)
_ID = re.compile(r"[0-9A-Fa-f-]{12,}|(?:[0-9A-Fa-f]{2}:){5,}[0-9A-Fa-f]{2}")
_ESCAPED = re.compile(r".*(?:\\|%[0-9A-Fa-f]{2})")
_PART_MIN, _DIGITS_MAX = 3, 4
"""Of a word that is put together: letters of each part, and digits in it."""

_HOST = re.compile(r"([\w-]+(?:\.[\w-]+)+)(:\d{1,5})?")
_RANDOM = re.compile(r"(?=.*[A-Z])(?=.*[a-z])(?=.*\d)[A-Za-z0-9+/=_-]{16,}")


def words_of_the_product() -> frozenset[str]:
    """Every word in the sources of the product, lower case: what it can say by itself is no secret."""
    folders = (Path(package.__file__ or "").parent for package in (daemon, tools))
    files = [path for folder in folders for kind in ("*.py", "*.md", "*.yaml") for path in folder.rglob(kind)]
    said = " ".join((*(path.read_text("utf-8") for path in files), *map(os.strerror, range(134)), *dir(builtins)))
    said = f"{_apart(said)} {said}{_MORE_WORDS}".lower()
    # Names that are put together too, `keepalive_s` or `sha256`; no hash and no key that a test or a manual prints.
    put_together = re.findall(r"(?<!\w)[a-z]{2,}(?:_[a-z0-9]{1,15})*\d{0,3}(?!\w)", said)
    found = {*re.findall(r"[a-z]+", said), *put_together}
    return frozenset(word for word in found if not re.fullmatch(r"[0-9a-f]{8,}|.{40,}", word))


def _apart(text: str) -> str:
    """Words that are written together, apart: `EngineRefused` is two."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)


class Pseudonyms:
    """Gives pseudonyms for one bundle.

    Args:
        words: what may be said as it is, lower case.
    """

    def __init__(self, words: frozenset[str]) -> None:
        self._words = words
        self._given: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._learned: set[str] = set()
        self._known: re.Pattern[str] | None = None

    @property
    def given(self) -> Mapping[str, str]:
        """What has a pseudonym, and which: the key, for the device's own technician alone."""
        return dict(self._given)

    def of(self, kind: str, name: str) -> str:
        """The pseudonym of a thing; `kind` says what it is where it has none yet."""
        key = name.casefold()
        if key not in self._given:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._given[key] = f"{kind}-{self._counts[kind]}"
        return self._given[key]

    def learn(self, kind: str, *names: str) -> None:
        """Names that are found wherever they stand in a text, whatever words they are made of."""
        for name in filter(None, names):
            self.of(kind, name)
            self._learned.add(name.casefold())
        longest_first = sorted(self._learned, key=len, reverse=True)
        joined = "|".join(map(re.escape, longest_first))
        self._known = re.compile(rf"(?<![^\W_])(?:{joined})(?![^\W_])", re.IGNORECASE) if joined else None

    def foreign(self) -> list[str]:
        """The names that were learned, but for those of the product's own words, which may stand there by chance."""
        return sorted(name for name in self._learned if not set(re.findall(r"[^\W\d_]+", name)) <= self._words)

    def text(self, text: str) -> str:
        """A text in which nothing stands but the product's words, numbers, times and pseudonyms."""
        # What was seen in a file of the site's own may be anything, a key included; so may what is before an @.
        shown = re.sub(r"\(seen: .*", "(seen: left out)", text)
        shown = re.sub(r"[^\s/]*@", "", shown)
        shown = re.sub(r"[^\w\n !-~]", "?", shown)
        shown = re.sub(r"(?:\d{1,3}\s*,\s*){5,}\d{1,3}", lambda found: self.of("numbers", found[0]), shown)
        if self._known:
            shown = self._known.sub(lambda found: self._given[found[0].casefold()], shown)
        return _CHUNK.sub(lambda found: self._chunk(found[0]), shown)

    def value(self, value: Any) -> Any:  # noqa: ANN401 - anything that JSON can hold
        """A value for JSON, all texts in it said as `text` says them; what is no such value is left out."""
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.value(inner) for name, inner in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.value(inner) for inner in value]
        if value is None or (isinstance(value, (bool, int, float)) and not isinstance(value, Enum)):
            return value
        return self.text(str(value.value) if isinstance(value, Enum) else _as_text(value))

    def _chunk(self, chunk: str) -> str:
        """One run of characters without a space."""
        if re.fullmatch(_TIME, chunk) or PSEUDONYM.fullmatch(chunk):
            return chunk
        scheme, separator, rest = chunk.partition("://")
        if separator:
            place, slash, path = rest.partition("/")
            return f"{self._word(scheme)}{separator}{self._chunk(place)}{slash}{self._chunk(path)}"
        address = self._address(chunk)
        if address:
            return address
        bare = chunk.rstrip(".:!?")
        if _ID.fullmatch(bare) or _ESCAPED.match(bare) or (_RANDOM.fullmatch(bare) and not self._is_said(bare)):
            return self.of("id", bare) + chunk[len(bare) :]
        host = _HOST.fullmatch(bare)
        if host and not bare[0].isdigit() and not self._is_said(host[1]):
            return self.of("host", host[1]) + (host[2] or "") + chunk[len(bare) :]
        return re.sub(r"\w+", lambda found: self._word(found[0]), chunk)

    def _address(self, chunk: str) -> str:
        """A network address with its port or length as a pseudonym; that of this machine as it is."""
        host, tail = chunk.rstrip(".,"), ""
        for pattern in (r"(.+)(/\d{1,3})", r"(\[.+\]|[\d.]+)(:\d{1,5})"):
            found = re.fullmatch(pattern, host)
            host, tail = (found[1], found[2] + tail) if found else (host, tail)
        with suppress(ValueError):
            address = ipaddress.ip_address(host.strip("[]"))
            return chunk if address.is_loopback or address.is_unspecified else self.of("address", str(address)) + tail
        return self.of("address", host) + tail if re.fullmatch(r"\d{1,3}(?:\.\d{1,3}){3}", host) else ""

    def _is_said(self, text: str) -> bool:
        return all(self._may_stand(word) for word in re.findall(r"\w+", text))

    def _word(self, word: str) -> str:
        return word if self._may_stand(word) else self.of("word", word)

    def _may_stand(self, word: str) -> bool:
        if _NUMBER.fullmatch(word):
            return True
        if word.lower() in self._words:
            return True
        # Put together of the product's words, and not of the short ones, which any key is made of.
        parts = [part for part in re.split(r"[_\d]+", _apart(word).replace(" ", "_")) if part]
        digits = sum(character.isdigit() for character in word)
        known = all(len(part) >= _PART_MIN and part.lower() in self._words for part in parts)
        return digits <= _DIGITS_MAX and bool(parts) and known


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)
