"""Percent-encoding is undone exactly as the standard library does it."""

from __future__ import annotations

from urllib.parse import quote_plus, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.api.percent import unquoted


@given(st.lists(st.sampled_from([b"%", b"%2", b"%2B", b"%2f", b"%zz", b"+", b"=", b"4", b"1", b"A", b"\xff", b"%00"])))
def test_any_text_gives_what_the_standard_library_gives(parts: list[bytes]) -> None:
    text = b"".join(parts)
    assert unquoted(text) == unquote_to_bytes(text)


@given(st.binary(max_size=200))
def test_what_was_encoded_comes_back(content: bytes) -> None:
    assert unquoted(quote_plus(content, safe="").replace("+", "%20").encode()) == content


@pytest.mark.parametrize(
    ("text", "plain"),
    # By hand, RFC 3986, section 2.1; what is no encoding is left alone.
    [(b"", b""), (b"%", b"%"), (b"%4", b"%4"), (b"%41", b"A"), (b"%%41", b"%A"), (b"%2541", b"%41"), (b"a+b", b"a+b")],
)
def test_ends_and_what_only_looks_encoded(text: bytes, plain: bytes) -> None:
    assert unquoted(text) == plain
