"""A release stays only if it serves in time, answers right, is fast enough and does not fall over."""

from __future__ import annotations

import pytest

from daemon.errors import ReleaseRefused
from tools.releases.gate import pass_gate
from tools.releases.manifest import Proof

PROOF = Proof(ready_s=1.0, watched_s=0.02, comparison_ms=100.0, commands=(("selftest",),))


class Service:
    """A service as systemd would tell of it."""

    def __init__(self, restarts: list[int], serving: bool = True) -> None:
        self._restarts, self._serving = restarts, serving

    def enable(self) -> None:
        """Nothing to do."""

    def restart(self, within_s: float) -> None:
        """Nothing to do."""

    def stop(self) -> None:
        """Nothing to do."""

    def is_serving(self) -> bool:
        return self._serving

    def restarts(self) -> int:
        return self._restarts.pop(0) if len(self._restarts) > 1 else self._restarts[0]

    def machine_stops(self) -> bool:
        return False


def _fails(command: object) -> None:
    raise ReleaseRefused(f"{command} fails", "Send it to support.")


def test_what_shows_all_of_it_stays() -> None:
    asked: list[object] = []
    assert pass_gate(PROOF, Service([0]), lambda: 50.0, asked.append) == 50.0
    assert asked == [("selftest",)]


def test_what_is_too_slow_goes() -> None:
    with pytest.raises(ReleaseRefused, match="takes 150 ms, its manifest allows 100 ms"):
        pass_gate(PROOF, Service([0]), lambda: 150.0, lambda _: None)


def test_what_is_started_again_meanwhile_goes() -> None:
    with pytest.raises(ReleaseRefused, match="without a restart"):
        pass_gate(PROOF, Service([0, 1]), lambda: 50.0, lambda _: None)


def test_what_does_not_serve_goes() -> None:
    with pytest.raises(ReleaseRefused, match="without a restart"):
        pass_gate(PROOF, Service([0], serving=False), lambda: 50.0, lambda _: None)


def test_what_fails_its_self_test_goes() -> None:
    with pytest.raises(ReleaseRefused, match="selftest"):
        pass_gate(PROOF, Service([0]), lambda: 50.0, _fails)
