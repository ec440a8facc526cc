"""A share of the fleet takes a release by itself; a device knows from its own id whether it is its turn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.errors import ReleaseRefused
from tools.releases.rollout import device_id, next_offer, turn_percent, why_not
from tools.releases.source import Offer
from tools.releases.state import NEW_DEVICE

SERVING = replace(NEW_DEVICE, current="1.0", floor="0.9")
DEVICE = "0123456789abcdef0123456789abcdef"


def _offer(version: str, rollout_percent: int = 100) -> Offer:
    return Offer(version, "x86_64-py311", rollout_percent, 0)


@pytest.mark.parametrize(
    ("offer", "why"),
    [
        (_offer("1.1"), ""),
        (_offer("1.10"), ""),
        (_offer("1.0"), "installed"),
        (_offer("0.9.1"), "older than what is installed"),
        (_offer("0.8"), "below the floor 0.9"),
        (_offer("1.2"), "did not prove itself here"),
    ],
)
def test_what_a_device_takes_by_itself(offer: Offer, why: str) -> None:
    assert why_not(offer, replace(SERVING, failed=("1.2",)), DEVICE) == why


def test_the_newest_whose_turn_it_is_is_next() -> None:
    offers = [_offer("3.0", 0), _offer("2.0"), _offer("1.5")]
    assert next_offer(offers, SERVING, DEVICE) == offers[1]
    assert next_offer(offers[:1], SERVING, DEVICE) is None


@pytest.mark.parametrize("share", [1, 10, 50, 90])
def test_a_share_of_the_fleet_is_that_share(share: int) -> None:
    taken = sum(turn_percent(f"device {number}", "2.0") < share for number in range(5000))
    # Four standard deviations of 5,000 draws are at most 2.9 %.
    assert abs(taken / 50 - share) < 3


def test_another_release_begins_with_other_devices() -> None:
    first = {number for number in range(1000) if turn_percent(f"device {number}", "2.0") < 10}
    second = {number for number in range(1000) if turn_percent(f"device {number}", "3.0") < 10}
    assert len(first & second) < len(first) / 2


def test_who_took_a_release_early_takes_it_at_a_larger_share_too() -> None:
    turn = turn_percent(DEVICE, "2.0")
    assert [bool(why_not(_offer("2.0", share), SERVING, DEVICE)) for share in (turn, turn + 1, 100)] == [
        True,
        False,
        False,
    ]


def test_a_device_without_an_id_is_refused(tmp_path: object) -> None:
    with pytest.raises(ReleaseRefused, match="machine-id"):
        device_id(tmp_path)  # type: ignore[arg-type]
