"""Makes a sound photo unsound, as a seeded random generator says."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

_NUMBERS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 5000, 5001, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
_MARKS = (
    *(b"\xff\xd8\xff\xe0", b"\xff\xda\x00\x08\x01\x01\0\0\x3f\0", b"\xff\xd9", b"\x89PNG\r\n\x1a\n", b"IDAT", b"IEND"),
    *(b"GIF89a", b"!\xf9\x04\x01\0\0\0\0", b"BM", b"II*\0", b"MM\0*", b"Exif\0\0", b"%PDF-1.7", b"PK\x03\x04"),
)

Mutation = Callable[[bytearray, random.Random], None]


def mutated(seeds: Sequence[bytes], dice: random.Random) -> bytes:
    """A photo with one to eight mutations."""
    photo = bytearray(dice.choice(seeds))
    for _ in range(dice.choice((1, 1, 1, 2, 3, 5, 8))):
        dice.choice(_MUTATIONS)(photo, dice)
    if dice.random() < 0.03:
        photo += dice.choice(seeds)  # two photos in one
    return bytes(photo) or b"\0"


def _place(photo: bytearray, dice: random.Random) -> int:
    """A place, in every second case one of the first hundred, where headers are."""
    return dice.randrange(max(1, min(len(photo), 100) if dice.random() < 0.5 else len(photo)))


def _flip(photo: bytearray, dice: random.Random) -> None:
    for _ in range(dice.randint(1, 4)):
        at = _place(photo, dice)
        photo[at : at + 1] = bytes([dice.randrange(256)])


def _number(photo: bytearray, dice: random.Random) -> None:
    kind = dice.choice(("<H", ">H", "<I", ">I"))
    size = struct.calcsize(kind)
    at = _place(photo, dice)
    photo[at : at + size] = struct.pack(kind, dice.choice(_NUMBERS) % (1 << 8 * size))


def _cut(photo: bytearray, dice: random.Random) -> None:
    del photo[_place(photo, dice) :]


def _remove(photo: bytearray, dice: random.Random) -> None:
    at = _place(photo, dice)
    del photo[at : at + dice.randint(1, 64)]


def _repeat(photo: bytearray, dice: random.Random) -> None:
    at = _place(photo, dice)
    part = photo[at : at + dice.randint(1, 200)]
    photo[at:at] = part * dice.choice((1, 2, 10, 100))


def _insert(photo: bytearray, dice: random.Random) -> None:
    at = _place(photo, dice)
    photo[at:at] = dice.choice((dice.choice(_MARKS), dice.randbytes(dice.randint(1, 64)), bytes(dice.randint(1, 400))))


def _move(photo: bytearray, dice: random.Random) -> None:
    at, to = _place(photo, dice), _place(photo, dice)
    size = dice.randint(1, 64)
    part = photo[at : at + size]
    photo[to : to + len(part)] = part


_MUTATIONS: tuple[Mutation, ...] = (_flip, _flip, _number, _number, _cut, _remove, _repeat, _insert, _move)
