"""The last look at a finished bundle: where anything looks like a key, a photo, a token or a face, none is made.

Of how the content came to be it knows how pseudonyms look, and no more: a mistake there does not hide itself here. A
refusal says which file and line and what kind of thing it is, and never repeats it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from daemon.errors import DeviceError
from tools.support_bundle_names import PSEUDONYM

_MAGIC = {
    "a JPEG": b"\xff\xd8\xff",
    "a PNG": b"\x89PNG\r\n",
    "a GIF": b"GIF8[79]a",
    "a TIFF": b"II\\*\x00|MM\x00\\*",
    "a BMP": b"BM.{4}\x00\x00\x00\x00",
    "a WebP": b"RIFF.{4}WEBP",
    "a gzip file": b"\x1f\x8b\x08",
    "a DER key": b"\x30(?:\x82..|\x81.|\x2e)\x02\x01[\x00\x01][\x30\x04\x02]",
}
"""How files begin. Source: libmagic's `images` and `compress`; RFC 5208, section 5, for the last."""

_ENTROPY_MIN_BITS, _OF_LETTERS_BITS = 3.3, 4.1
"""Of a character in its run. Measured over 10,000 random runs each: in 999 of 1,000 it is above 3.5 for 20 characters
of base64, above 3.4 for 24 of base 36 and above 3.35 for 24 of base 32. Of letters alone, which names have too, the
second is asked: `OpenVINOExecutionProvider` has 4.05, the most of all names in the sources; of random runs 40 in 100 of
22 letters have more, 94 of 28, 99 of 32, all of 43, which is a token of ours.
"""


class LeakFound(DeviceError):
    """Something that must not leave the device stands in a finished bundle."""


@dataclass(frozen=True, slots=True)
class Leak:
    """Where something stands that must not leave, and what it looks like; never what it is."""

    file: str
    line: int
    kind: str


def _pattern(pattern: str) -> Callable[[str], Iterator[int]]:
    compiled = re.compile(pattern)
    return lambda text: (found.start() for found in compiled.finditer(text))


def _runs(
    alphabet: str, length: int, classes: Iterable[str], bits: float = _ENTROPY_MIN_BITS
) -> Callable[[str], Iterator[int]]:
    """Finds long runs of an alphabet that have characters of all classes, and look random."""
    compiled, wanted = re.compile(rf"[{alphabet}]{{{length},}}"), [re.compile(kind) for kind in classes]

    def found(text: str) -> Iterator[int]:
        """Where they begin."""
        for run in compiled.finditer(text):
            if all(kind.search(run[0]) for kind in wanted) and _entropy_bits(run[0]) > bits:
                yield run.start()

    return found


def _entropy_bits(text: str) -> float:
    """Shannon's entropy of a character of the text."""
    return -sum(times / len(text) * math.log2(times / len(text)) for times in Counter(text).values())


_ESCAPE = r"(?:\\u00[0189a-fA-F][0-9a-fA-F]|\\x[0-9a-fA-F]{2}|%[0-9A-F]{2})"

_RULES: dict[str, Callable[[str], Iterator[int]]] = {
    "a PEM block": _pattern(r"-----BEGIN|(?i:private\s+key)-----|openssh-key-v1"),
    "a private member of a JWK": _pattern(r"""\\?["'](?:d|k|p|q|dp|dq|qi|oth)\\?["']\s*:"""),
    "a sealed photo or a token in JOSE's form": _pattern(r"eyJ[A-Za-z0-9_-]{8,}"),
    "a bearer token": _pattern(r"(?i)bearer\s+[A-Za-z0-9._~+/-]{12,}"),
    "an address with a password": _pattern(r"[a-z]+://[^/\s:@]+:[^/\s@]+@"),
    "a run of hex digits": _pattern(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{24,}|(?:[0-9A-Fa-f]{2}[: -]){11,}[0-9A-Fa-f]{2}"),
    "a run of base64": _runs("A-Za-z0-9+/_=-", 20, ("[A-Z]", "[a-z]", "[0-9]")),
    "a run of base64 without digits": _runs("A-Za-z+/", 20, ("[A-Z].*[A-Z].*[A-Z]", "[a-z]"), _OF_LETTERS_BITS),
    "a run of base64url without digits": _runs("A-Za-z_-", 20, ("[A-Z].*[A-Z].*[A-Z]", "[a-z]"), _OF_LETTERS_BITS),
    "a random run": _runs("A-Za-z0-9", 24, ("[0-9]", "[A-Za-z].*[A-Za-z].*[A-Za-z]")),
    "a run of base32": _pattern(r"(?<![A-Za-z0-9])[A-Z2-7]{24,}"),
    "the base64 of a photo": _pattern(r"/9j/4|_9j_4|iVBORw0KGgo|R0lGOD[dl]h|SUkqAA|TU0AKg"),
    "the hex of a photo": _pattern(r"(?i)ffd8ff(?:e[0-8]|db)|89504e470d0a|474946383[79]61|49492a00|4d4d002a"),
    "bytes written as escapes": _pattern(rf"{_ESCAPE}(?:[^\n]{{0,8}}{_ESCAPE}){{2}}"),
    "a list of bytes": _pattern(r"(?:\b\d{1,3}\b\s*,\s*){15,}"),
    "a list of measurements, as a face is": _pattern(r"(?:-?\d+\.\d+(?:e-?\d+)?\s*,\s*){8,}"),
    "a number as long as a key": _pattern(r"(?<![\d.])\d{18,}"),
}
"""What it looks like to where it stands in a text."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff]")


def refuse_leaks(files: Mapping[str, bytes], names: Iterable[str] = ()) -> None:
    """Look at every file of a bundle.

    Args:
        files: content by name.
        names: what has a pseudonym: none of it may stand there as it is.

    Raises:
        LeakFound: something that must not leave stands in one; the bundle must not be made.
    """
    leaks = [leak for name, content in files.items() for leak in _leaks(name, content, tuple(names))]
    if leaks:
        seen = "\n".join(f"  {leak.file}, line {leak.line}: {leak.kind}" for leak in leaks)
        raise LeakFound(
            f"no bundle was made: something in it looks like what must not leave the device\n{seen}",
            "Leave that part out with --without FILE, and tell support of it by its name, line and kind alone.",
        )


def _leaks(file: str, content: bytes, names: tuple[str, ...]) -> Iterator[Leak]:
    for kind, magic in _MAGIC.items():
        for found in re.finditer(magic, content, re.DOTALL):
            yield Leak(file, content.count(b"\n", 0, found.start()) + 1, f"the bytes of {kind}")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        yield Leak(file, content.count(b"\n", 0, error.start) + 1, "bytes that are no text")
        return
    text = PSEUDONYM.sub(" ", text)  # several in a row look random, and are not
    rules = dict(_RULES) | {"bytes that are no text": lambda text: (found.start() for found in _CONTROL.finditer(text))}
    if names:
        joined = "|".join(re.escape(name) for name in names)
        rules["a name that has a pseudonym"] = _pattern(rf"(?i)(?<![^\W_])(?:{joined})(?![^\W_])")
    for kind, look in rules.items():
        lines = {text.count("\n", 0, start) + 1 for start in look(text)}
        yield from (Leak(file, line, kind) for line in sorted(lines))
