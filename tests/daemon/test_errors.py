"""The tree of errors: drawn as it is, each class in one family."""

from __future__ import annotations

import re

import pytest

from daemon import errors
from daemon.errors import DeviceError, FaceverifydError, KeyRefused, RequestError, SealedPhotoRefused, TryLater


def _classes() -> list[type[FaceverifydError]]:
    found = [value for value in vars(errors).values() if isinstance(value, type)]
    return [kind for kind in found if issubclass(kind, FaceverifydError)]


def test_the_tree_in_the_docstring_names_every_class_and_no_other() -> None:
    drawn = re.findall(r"^\W*([A-Z][A-Za-z]+)(?:  |$)", errors.__doc__ or "", flags=re.MULTILINE)
    assert sorted(drawn) == sorted(kind.__name__ for kind in _classes())


@pytest.mark.parametrize("kind", _classes())
def test_every_class_has_one_base(kind: type[FaceverifydError]) -> None:
    assert len(kind.__bases__) == 1


@pytest.mark.parametrize("kind", [kind for kind in _classes() if kind is not FaceverifydError])
def test_every_class_belongs_to_exactly_one_family(kind: type[FaceverifydError]) -> None:
    assert issubclass(kind, RequestError) != issubclass(kind, DeviceError)


def test_a_refusal_has_no_field_until_one_is_blamed() -> None:
    assert RequestError("reason").field is None


def test_a_refused_sealed_photo_says_the_same_every_time() -> None:
    assert str(SealedPhotoRefused()) == "the sealed photo does not open"


def test_try_later_keeps_when_to_come_back() -> None:
    assert TryLater("queue full", 3).retry_after_s == 3


def test_a_device_error_shows_its_remedy_below_what_was_seen() -> None:
    assert str(KeyRefused("seen", "Do this.")) == "seen\n  remedy: Do this."
