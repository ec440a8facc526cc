"""Every answer of the contract is explained, with what to do next."""

from __future__ import annotations

import pytest

from tests.end_to_end.contract import TABLE
from tools.asking import Answered
from tools.explanation import explain, fields_of, what_next

_ID = "0" * 32


def scored(score: float) -> Answered:
    return Answered(200, {"code": 1000, "verification_score": score, "request_id": _ID}, None, None)


def refused(code: int, field: str | None = None, status: int = 400) -> Answered:
    return Answered(status, {"code": code, "message": TABLE[code][0], "request_id": _ID}, field, None)


@pytest.mark.parametrize(
    ("score", "odds"),
    # By hand, from FMR(t) = 10^(3 - 10 t): 10^4.5, 10^5, 10^6; the table ends there.
    [
        (0.75, "about 1 in 31,623"),
        (0.8, "about 1 in 100,000"),
        (0.9, "about 1 in 1,000,000"),
        (1.0, "fewer than 1 in 1,000,000"),
    ],
)
def test_a_score_above_the_threshold_is_the_same_person_with_odds(score: float, odds: str) -> None:
    assert explain(scored(score)).startswith("the same person")
    assert f"{odds} strangers" in explain(scored(score))


@pytest.mark.parametrize("score", [0.0, 0.699, 0.7])
def test_a_score_up_to_the_threshold_is_not_the_same_person(score: float) -> None:
    assert explain(scored(score)).startswith("not the same person")


def test_after_a_comparison_nothing_needs_doing() -> None:
    assert what_next(scored(0.1)) is None


def test_a_refusal_is_explained_with_the_photo_at_fault() -> None:
    answer = refused(4000, "second_encrypted_image")
    assert explain(answer) == "not compared: detection failed (second_encrypted_image)"


def test_a_refusal_without_a_field_is_explained_without_one() -> None:
    assert explain(refused(5003)) == "not compared: service unavailable"


@pytest.mark.parametrize("code", sorted(TABLE))
def test_every_code_of_the_contract_has_a_next_step(code: int) -> None:
    assert what_next(refused(code))


def test_a_code_that_is_not_known_has_none() -> None:
    assert what_next(Answered(400, {"code": 9999, "message": "?", "request_id": _ID}, None, None)) is None


@pytest.mark.parametrize("field", ["first_encrypted_image", "second_encrypted_image"])
def test_a_photo_that_does_not_open_is_to_be_inspected(field: str) -> None:
    assert "fvctl photo inspect" in (what_next(refused(1200, field)) or "")


def test_a_parameter_at_fault_is_not_taken_for_a_photo() -> None:
    assert "inspect" not in (what_next(refused(1200, "auto_rotate")) or "")


def test_a_body_in_chunks_is_told() -> None:
    assert "Content-Length" in (what_next(refused(1200, status=411)) or "")


def test_headers_stand_beside_the_body_and_what_is_not_there_is_left_out() -> None:
    answer = Answered(503, refused(5003).body, None, "open;dur=1.00", "7")
    assert list(fields_of(answer)) == [
        "code",
        "message",
        "request_id",
        "http_status",
        "retry_after_s",
        "timing",
        "meaning",
        "next",
    ]
