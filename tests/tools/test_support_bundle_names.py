"""What is said is the product's own words; the rest has pseudonyms, the same for the same thing."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path

import pytest

from tests.tools.leaks import encodings, leaked
from tools.checks.finding import Status
from tools.support_bundle_names import Pseudonyms, words_of_the_product

WORDS = words_of_the_product()


@pytest.fixture
def names() -> Pseudonyms:
    """Those of a new bundle."""
    return Pseudonyms(WORDS)


@pytest.mark.parametrize(
    "text",
    [
        "the key store opens, with 3 keys in use",
        "network sface should run on tensorrt, but runs on cpu (onnxruntime 1.32.0 offers nothing)",
        "no daemon answers at 127.0.0.1:3000: [Errno 111] Connection refused",
        "/var/lib/faceverifyd/keys/keystore.json has mode 0644: others than its owner may use it; expected 0600",
        "Run: fvctl engines build",
        "port 3000 at [::1]:3000 since 2026-11-25T21:03:04.123+00:00",
        "admission.running + admission.waiting: 50, server.threads: 48, keepalive_s",
    ],
)
def test_what_the_product_says_stays_as_it_is(names: Pseudonyms, text: str) -> None:
    assert names.text(text) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/zimmer/zirkon/zirkon-1.jpg is gone", "/word-1/word-2/word-2-1.jpg is gone"),
        ("db.zirkon.example:5432 and DB.zirkon.example", "host-1:5432 and host-1"),
        ("10.1.2.3:3000, 10.1.2.3 and 10.0.0.0/8", "address-1:3000, address-1 and address-2/8"),
        ("fe80::17 and [fe80::17]:3000", "address-1 and address-1:3000"),
        ("https://zirkon:geheim@10.1.2.3/x", "https://address-1/x"),
        ("zirkon@branch.example writes", "branch.example writes"),
        ("id 216069908eb147ed9e5e2b79bb767117.", "id id-1."),
        ("5550123456789", "id-1"),
        ('server.zz: not known (seen: "a secret text")', "host-1: not known (seen: left out)"),
        ("Zürich, ZÜRICH", "word-1, word-1"),
    ],
)
def test_everything_else_gets_a_pseudonym(names: Pseudonyms, text: str, said: str) -> None:
    assert names.text(text) == said


def test_known_names_are_found_whatever_words_they_are_made_of(names: Pseudonyms) -> None:
    names.learn("terminal", "the key", "Till 3")
    assert (
        names.text("terminal The Key, not 'till 3'; the keys stay")
        == "terminal terminal-1, not 'terminal-2'; the keys stay"
    )


def test_the_longer_of_two_names_counts(names: Pseudonyms) -> None:
    names.learn("host", "zirkon", "zirkon.branch.example")
    assert names.text("zirkon.branch.example zirkon") == "host-2 host-1"


def test_two_bundles_know_nothing_of_each_other() -> None:
    one, two = Pseudonyms(WORDS), Pseudonyms(WORDS)
    one.learn("terminal", "till a", "till b")
    two.learn("terminal", "till b")
    assert (one.of("terminal", "till b"), two.of("terminal", "till b")) == ("terminal-2", "terminal-1")
    assert one.given["till b"] == "terminal-2"


@pytest.mark.parametrize("form", ["hex", "HEX", "base64", "base64url", "base32", "one number", "numbers"])
def test_no_key_gets_through_a_text(names: Pseudonyms, form: str) -> None:
    for _ in range(50):
        secret = secrets.token_bytes(32)
        said = names.text(f"wrong: {encodings(secret)[form].decode()} there")
        kept = {"numbers": [], "json of numbers": []}.get(form, leaked({"text": said.encode()}, {"key": secret}))
        assert kept == []


class Colour(Enum):
    """Something with a value."""

    RED = "strict"


@dataclass(frozen=True)
class Inner:
    """A record."""

    name: str
    path: Path
    day: date


def test_values_keep_their_form(names: Pseudonyms) -> None:
    record = Inner("zirkon", Path("/var/zirkon"), date(2026, 11, 25))
    value = {"keys": (record, Colour.RED, Status.OK, 1, 2.5, True, None), "zirkon": {"a": ["zirkon"]}}
    assert names.value(value) == {
        "keys": [
            {"name": "word-1", "path": "/var/word-1", "day": "2026-11-25"},
            "strict",
            "ok",
            1,
            2.5,
            True,
            None,
        ],
        "word-1": {"a": ["word-1"]},
    }


def test_no_key_and_no_photo_is_made_of_the_products_words() -> None:
    assert [word for word in WORDS if re.search(r"[0-9a-f]{16}", word)] == []
