"""The legacy format: opens what was sealed, tells nothing where it does not, and guards its key."""

from __future__ import annotations

import base64
from types import TracebackType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import InvalidArgument, SealedPhotoRefused
from daemon.sealed.legacy import PUBLISHED_IV, PUBLISHED_KEY, LegacyFormat, LegacyKey

OTHER_KEY = "0123456789abcdef0123456789abcdeF"
OTHER_IV = "0123456789aF"


def _format() -> LegacyFormat:
    return LegacyFormat(LegacyKey(PUBLISHED_KEY.encode(), PUBLISHED_IV.encode()))


def _text(sealed: bytes) -> str:
    return base64.b64encode(sealed).decode()


def _seen(error: BaseException) -> tuple[Any, ...]:
    """All that a caller can tell of a refusal."""
    return type(error), str(error), error.args, error.__cause__


def test_a_nist_vector_opens() -> None:
    # Source: McGrew and Viega, "The Galois/Counter Mode of Operation", test case 14 (AES-256, no associated data),
    # which NIST SP 800-38D refers to: key and IV zero, one block of zeros.
    vector = bytes.fromhex("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919")
    assert LegacyFormat(LegacyKey(bytes(32), bytes(12))).open(_text(vector)) == bytes(16)


def test_a_nist_vector_is_what_sealing_makes() -> None:
    # Source: the same, test case 15.
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    plain = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"
    )
    sealed = bytes.fromhex(
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
        "b094dac5d93471bdec1a502270e3cc6c"
    )
    assert LegacyFormat(LegacyKey(key, bytes.fromhex("cafebabefacedbaddecaf888"))).seal(plain) == _text(sealed)


@given(st.binary(max_size=200))
def test_what_was_sealed_opens(photo: bytes) -> None:
    assert _format().open(_format().seal(photo)) == photo


def test_any_flipped_bit_gives_the_same_answer() -> None:
    sealed = base64.b64decode(_format().seal(b"photo"))
    refusals = set()
    for bit in range(len(sealed) * 8):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealedPhotoRefused) as refused:
            _format().open(_text(bytes(flipped)))
        refusals.add(_seen(refused.value))
    assert len(refusals) == 1


@pytest.mark.parametrize(
    "sealed",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(bytes(1), id="shorter than a tag"),
        pytest.param(bytes(16), id="a tag only"),
        pytest.param(base64.b64decode(_format().seal(b"photo"))[:-1], id="truncated"),
        pytest.param(base64.b64decode(_format().seal(b"photo")) + b"\0", id="something behind"),
        pytest.param(
            base64.b64decode(LegacyFormat(LegacyKey(OTHER_KEY.encode(), PUBLISHED_IV.encode())).seal(b"photo")),
            id="another key",
        ),
        pytest.param(
            base64.b64decode(LegacyFormat(LegacyKey(PUBLISHED_KEY.encode(), OTHER_IV.encode())).seal(b"photo")),
            id="another IV",
        ),
    ],
)
def test_whatever_does_not_open_gives_the_same_answer(sealed: bytes) -> None:
    with pytest.raises(SealedPhotoRefused) as refused:
        _format().open(_text(sealed))
    with pytest.raises(SealedPhotoRefused) as other:
        _format().open(_text(bytes(40)))
    assert _seen(refused.value) == _seen(other.value)


def test_a_refusal_shows_no_cause() -> None:
    with pytest.raises(SealedPhotoRefused) as refused:
        _format().open(_text(bytes(40)))
    assert refused.value.__context__ is None


def test_a_space_is_read_as_plus() -> None:
    # The vendor's curl sample sends a plus sign bare, and a form decoder makes it a space.
    text = next(text for n in range(256) if "+" in (text := _format().seal(bytes([n] * 60))))
    assert _format().open(text.replace("+", " ")) == _format().open(text)


@given(st.text(alphabet="AQgz09+/=-_\n é", max_size=12))
def test_only_canonical_base64_is_base64(text: str) -> None:
    # Source: the standard library's codec; canonical is what encoding gives back unchanged (RFC 4648, section 3.5).
    plus = text.replace(" ", "+")
    try:
        canonical = base64.b64encode(base64.b64decode(plus)).decode() == plus
    except ValueError:
        canonical = False
    with pytest.raises(InvalidArgument) as refused:
        _format().open(text)
    assert (type(refused.value) is SealedPhotoRefused) == canonical


def test_unused_bits_that_are_set_are_refused() -> None:
    text = _format().seal(b"photo")  # 5 + 16 bytes fill whole digits; one byte less leaves four unused bits
    assert text[-1] != "="
    text = _format().seal(b"phot")
    assert text[-1] == "="
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = last[last.index(text[-2]) + 1]
    with pytest.raises(InvalidArgument, match="not canonical base64"):
        _format().open(f"{text[:-2]}{other}=")


def _locals_of_open(trace: TracebackType | None) -> dict[str, Any]:
    while trace is not None and trace.tb_frame.f_code.co_name != LegacyFormat.open.__name__:
        trace = trace.tb_next
    assert trace is not None
    return trace.tb_frame.f_locals


def test_a_wrong_tag_leaves_only_zeros() -> None:
    sealed = bytearray(base64.b64decode(_format().seal(b"photo of a face")))
    sealed[-1] ^= 1
    # The refusal is caught with its frames, to look at the buffer that was decrypted into before the tag was known.
    with pytest.raises(SealedPhotoRefused) as refused:
        _format().open(_text(bytes(sealed)))
    assert _locals_of_open(refused.value.__traceback__)["plain"] == bytes(15)


def test_every_key_is_tried() -> None:
    older, newer = LegacyKey(OTHER_KEY.encode(), OTHER_IV.encode()), LegacyKey(b"k" * 32, b"i" * 12)
    both = LegacyFormat(newer, older)
    assert both.open(LegacyFormat(older).seal(b"photo")) == both.open(LegacyFormat(newer).seal(b"photo")) == b"photo"


def test_without_any_key_nothing_opens() -> None:
    with pytest.raises(SealedPhotoRefused):
        LegacyFormat().open(_format().seal(b"photo"))


def test_key_and_iv_are_kept_one_behind_the_other() -> None:
    assert LegacyKey.of((OTHER_KEY + OTHER_IV).encode()) == LegacyKey(OTHER_KEY.encode(), OTHER_IV.encode())


@pytest.mark.parametrize(("key", "iv"), [(PUBLISHED_KEY, OTHER_IV), (OTHER_KEY, PUBLISHED_IV)])
def test_either_half_of_the_published_pair_counts_as_published(key: str, iv: str) -> None:
    assert LegacyKey(key.encode(), iv.encode()).published


def test_a_key_shows_nothing_of_itself() -> None:
    assert repr(LegacyKey(OTHER_KEY.encode(), OTHER_IV.encode())) == "LegacyKey()"
