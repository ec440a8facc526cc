"""Envelopes that must not open: sealed photos changed at random, and forged ones whose tag is right.

The texts that open are known, all of them: a mutation that gives one of them back is drawn again, and every other text
that opens is a defect. Nothing here can seal to a key honestly but `forgery`, whose headers are all against a rule.
"""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable, Iterator
from typing import Any

from daemon.sealed.keys import OpeningKey
from tests.daemon.sealed.forgery import Sealing, digits, sealing_to

BASE64URL = string.ascii_letters + string.digits + "-_"
Members = dict[str, Any]

# Small-order points of X25519, as they are sent. Source: https://cr.yp.to/ecdh.html, "validate".
LOW_ORDER = [
    bytes(32),
    b"\1" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    (2**255 - 20).to_bytes(32, "little"),
    (2**255 - 19).to_bytes(32, "little"),
    (2**255 - 18).to_bytes(32, "little"),
]
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
"""P-256's field. Source: NIST SP 800-186, section 3.2.1.3."""

FOREIGN_MEMBERS = [
    "zip", "crit", "b64", "jwk", "jku", "x5c", "x5t", "x5t#S256", "x5u", "url", "p2s", "p2c", "iv", "tag", "exp", "nbf",
    "aud", "iss", "sub", "ppt", "svt", "skid", "ALG", "Enc", "KID", "kid\0", "\ufeffkid", "\u0430lg", "__proto__",
]  # fmt: skip
ALGORITHMS = [
    "none", "RSA1_5", "RSA-OAEP", "RSA-OAEP-384", "RSA-OAEP-512", "A128KW", "A256KW", "A256GCMKW", "ECDH-ES+A256KW",
    "ECDH-1PU", "ecdh-es", "DIR", "PBES2-HS256+A128KW", "PBES2-HS512+A256KW", "HS256", "HPKE-0",
]  # fmt: skip
ENCRYPTIONS = ["A128GCM", "A192GCM", "A128CBC-HS256", "A256CBC-HS512", "a256gcm", "C20P", "none", "A256GCM\0"]
ODD_VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    1.5,
    "",
    " ",
    [],
    {},
    [[]],
    {"a": {}},
    "é",
    "\0",
    "\ud800",
    "x" * 600,
]
ODD_NUMBERS = ["NaN", "Infinity", "-Infinity", "-1", "1e400", "253402300800", "9" * 400, "9" * 3000, "1" * 10_000, "١٢"]
ODD_JSON = [
    b"", b"null", b"[]", b'"alg"', b"{", b"{}", b"[" * 4000, b'{"alg":' * 500, b'{"epk":' * 100 + b"1" + b"}" * 100,
    b"\xff\xfe", b'{"alg":"\xc0\xae"}', b'{"alg":"\xed\xa0\x80"}', b"{'alg':'dir'}", b'{"alg":"dir",}', b"{}{}", b"\0",
]  # fmt: skip


class Mutator:
    """Draws envelopes that must not open.

    Args:
        draw: where chance comes from; the same seed draws the same kinds and places.
        texts: sealed photos that open.
        ring: the device's keys.
        own: ids of the keys that open for the sender.
    """

    def __init__(self, draw: random.Random, texts: list[str], ring: dict[str, OpeningKey], own: list[str]) -> None:
        self._draw = draw
        self._texts = texts
        self._opening = frozenset(texts)
        self._kids = list(ring)
        self._sealings = [sealing_to(ring[kid]) for kid in own for _ in range(3)]
        self._others = {kid: sealing_to(ring[kid]) for kid in ring if kid not in own}

    def drawn(self, count: int) -> Iterator[tuple[str, str]]:
        """So many envelopes, each with what was done to it."""
        kinds: list[Callable[[], str]] = [
            self._bits, self._digit, self._cut, self._spliced, self._crossed, self._spelled, self._resized, self._dots,
            self._foreign_member, self._twice, self._missing, self._odd_value, self._odd_number, self._algorithm,
            self._wrong_kid, self._epk, self._odd_json, self._too_large, self._odd_iv, self._stray_key, self._noise,
        ]  # fmt: skip
        while count:
            kind = self._draw.choice(kinds)
            text = kind()
            if text not in self._opening:
                count -= 1
                yield kind.__name__.strip("_"), text

    def _text(self) -> str:
        return self._draw.choice(self._texts)

    def _parts(self) -> list[str]:
        return self._text().split(".")

    def _sealing(self, *algorithms: str) -> Sealing:
        return self._draw.choice(
            [made for made in self._sealings if not algorithms or made.header["alg"] in algorithms]
        )

    def _forged(self, sealing: Sealing, **changed: object) -> str:
        return sealing.seal(json.dumps(sealing.header | changed).encode("utf-8", "surrogatepass"))

    # Texts whose tag cannot be right.

    def _bits(self) -> str:
        text = bytearray(self._text(), "ascii")
        for _ in range(self._draw.choice([1, 1, 1, 2, 8])):
            text[self._draw.randrange(len(text))] ^= 1 << self._draw.randrange(8)
        return text.decode("latin-1")

    def _digit(self) -> str:
        text = self._text()
        place = self._draw.randrange(len(text))
        new: str = self._draw.choice([*BASE64URL, ".", "=", "+", "/", " ", "\0", "é", "\u0663"])
        return text[:place] + new + text[place + 1 :]

    def _cut(self) -> str:
        text = self._text()
        start = self._draw.randrange(len(text))
        return self._draw.choice(
            [text[:start], text[start:], text[:start] + text[start + self._draw.randrange(1, 9) :]]
        )

    def _spliced(self) -> str:
        text = self._text()
        place = self._draw.randrange(len(text) + 1)
        new = "".join(self._draw.choices(BASE64URL + ".= \n\t\r", k=self._draw.choice([1, 2, 4, 16, 500])))
        return text[:place] + new + text[place:]

    def _crossed(self) -> str:
        one, other = self._parts(), self._parts()
        places = self._draw.sample(range(5), self._draw.randrange(1, 5))
        for place in places:
            one[place] = other[self._draw.choice([place, place, self._draw.randrange(5)])]
        return ".".join(one)

    def _spelled(self) -> str:
        text, place = self._text(), self._draw.randrange(5)
        parts = text.split(".")
        parts[place] += self._draw.choice(["=", "==", "\n", " ", "%3D", "A"])
        tables = [str.maketrans("-_", "+/"), str.maketrans(".", "\u3002"), str.maketrans("A", "\uff21")]
        spelled = [
            ".".join(parts),
            self._last_digit_moved(text.split("."), place),
            f" {text}",
            f"{text}\n",
            f'"{text}"',
        ]
        return self._draw.choice([*spelled, *(text.translate(table) for table in tables), text.swapcase(), text + text])

    def _last_digit_moved(self, parts: list[str], place: int) -> str:
        """Other unused bits, where a part has some: the same bytes to a lax reader."""
        if len(parts[place]) % 4:
            last = BASE64_VALUE.index(parts[place][-1])
            parts[place] = parts[place][:-1] + BASE64_VALUE[last ^ self._draw.choice([1, 2, 3])]
        return ".".join(parts)

    def _resized(self) -> str:
        parts, place = self._parts(), self._draw.randrange(5)
        parts[place] = digits(
            self._draw.randbytes(self._draw.choice([0, 1, 8, 11, 12, 13, 15, 16, 17, 255, 256, 257, 5000]))
        )
        return ".".join(parts)

    def _dots(self) -> str:
        parts = self._parts()
        kept = parts[: self._draw.randrange(5)]
        more = parts + [self._draw.choice(["", "AA"])] * self._draw.choice([1, 2, 1000, 50_000])
        return self._draw.choice(
            [".".join(kept), ".".join(more), "." * self._draw.randrange(50_000), ".".join(parts[::-1])]
        )

    def _noise(self) -> str:
        size = self._draw.choice([0, 1, 4, 40, 400])
        return "".join(
            chr(self._draw.choice([self._draw.randrange(128), self._draw.randrange(0x11000)])) for _ in range(size)
        )

    # Forgeries: the tag is right.

    def _foreign_member(self) -> str:
        name = self._draw.choice(FOREIGN_MEMBERS)
        return self._forged(self._sealing(), **{name: self._draw.choice([*ODD_VALUES, "DEF", ["exp"], 4096])})

    def _twice(self) -> str:
        sealing = self._sealing()
        text, name = json.dumps(sealing.header), self._draw.choice(list(sealing.header))
        spelled = self._draw.choice([name, f"\\u{ord(name[0]):04x}{name[1:]}"])
        again = f'"{spelled}":{json.dumps(self._draw.choice([sealing.header[name], "x"]))}'
        changed = self._draw.choice([f"{text[:-1]},{again}}}", f"{{{again},{text[1:]}"])
        if "epk" in sealing.header and self._draw.random() < 0.3:
            changed = text.replace('"crv"', '"crv":"P-256","crv"')
        return sealing.seal(changed.encode())

    def _missing(self) -> str:
        sealing = self._sealing()
        header = dict(sealing.header)
        del header[self._draw.choice(list(header))]
        return sealing.seal(json.dumps(header).encode())

    def _odd_value(self) -> str:
        name = self._draw.choice(["alg", "enc", "kid", "typ", "cty", "jti", "epk", "apu", "apv"])
        value = self._draw.choice([value for value in ODD_VALUES if not (name == "cty" and value == " ")])
        sealing = self._sealing("dir", "RSA-OAEP-256") if name in ("apu", "apv") else self._sealing()
        return self._forged(sealing, **{name: value})

    def _odd_number(self) -> str:
        sealing = self._sealing()
        name = self._draw.choice(["iat", "iat", "jti", "kid"])
        header = {member: value for member, value in sealing.header.items() if member != name}
        return sealing.seal(f'{json.dumps(header)[:-1]},"{name}":{self._draw.choice(ODD_NUMBERS)}}}'.encode())

    def _algorithm(self) -> str:
        sealing = self._sealing()
        others = {"ECDH-ES", "RSA-OAEP-256", "dir"} - {sealing.header["alg"]}
        alg, enc = self._draw.choice([*ALGORITHMS, *sorted(others)]), self._draw.choice(ENCRYPTIONS)
        return self._forged(sealing, **self._draw.choice([{"alg": alg}, {"enc": enc}, {"alg": alg, "enc": enc}]))

    def _wrong_kid(self) -> str:
        if self._draw.random() < 0.5:
            # Sealed as it should be to a key that does not open for this sender, by its own kid or an unknown one.
            sealing = self._others[self._draw.choice([kid for kid in self._others if not kid.startswith("other-")])]
            return self._forged(sealing, kid=self._draw.choice([sealing.header["kid"], "unknown"]))
        sealing = self._sealing()
        kids = [
            *(kid for kid in self._kids if kid != sealing.header["kid"]),
            "unknown",
            "",
            "k" * 129,
            "vector-dir ",
            "\u0661",
        ]
        return self._forged(sealing, kid=self._draw.choice(kids))

    def _epk(self) -> str:
        sealing = self._sealing("ECDH-ES")
        honest = sealing.header["epk"]
        odd: list[Any] = [
            [honest], honest["x"], {"epk": honest}, {"kty": honest["kty"]},
            *(honest | {"x": x} for x in (honest["x"] + "=", honest["x"][:-1], [honest["x"]])),
            *(honest | {"x": digits(bytes(size))} for size in (31, 33)),
            *(honest | {"crv": curve} for curve in ("P-384", "X448", "Ed25519")),
            *(honest | more for more in ({"d": honest["x"]}, {"kid": "x"}, {"kty": "oct"})),
        ]  # fmt: skip
        return self._forged(sealing, epk=self._draw.choice([*odd, *self._points()]))

    def _points(self) -> list[Members]:
        """Keys that are no point, or a point that says nothing of the secret."""
        numbers = [0, 1, P - 1, P, P + 1, 2**256 - 1, self._draw.getrandbits(256)]
        x, y = (digits(self._draw.choice(numbers).to_bytes(32, "big")) for _ in range(2))
        point = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        high = bytearray(self._draw.choice(LOW_ORDER))
        high[31] |= self._draw.choice([0, 0x80])
        return [point, {"kty": "OKP", "crv": "X25519", "x": digits(high)}, {**point, "kty": "OKP"}]

    def _odd_json(self) -> str:
        sealing = self._sealing()
        honest = json.dumps(sealing.header).encode()
        odd = [
            *ODD_JSON,
            b"\xef\xbb\xbf" + honest,
            honest + b"\0",
            honest + b"{}",
            honest.decode().encode("utf-16"),
            honest[:-1],
        ]
        return sealing.seal(self._draw.choice(odd))

    def _too_large(self) -> str:
        sealing = self._sealing()
        honest = json.dumps(sealing.header).encode()
        return sealing.seal(honest + b" " * self._draw.choice([4097 - len(honest), 5000, 100_000]))

    def _odd_iv(self) -> str:
        sealing = self._sealing()
        size = self._draw.choice([8, 11, 13, 16, 32, 128])  # all of them work in GCM
        return sealing.seal(json.dumps(sealing.header).encode(), iv=self._draw.randbytes(size))

    def _stray_key(self) -> str:
        sealing = self._sealing("dir", "ECDH-ES")
        text = sealing.seal(json.dumps(sealing.header).encode()).split(".")
        text[1] = digits(self._draw.randbytes(self._draw.choice([1, 32, 40, 256])))
        return ".".join(text)


BASE64_VALUE = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
"""Digits by value. Source: RFC 4648, section 5."""
