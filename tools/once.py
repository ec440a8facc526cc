"""What is made at the first question, and is the same for all who ask later."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """A value that takes long to make; many threads may ask. A refusal is remembered like a value.

    Args:
        make: makes it.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[T] = []
        self._refused: Exception | None = None

    def __call__(self) -> T:
        """The value, or what was raised where it was to be made."""
        with self._lock:
            if not self._made and self._refused is None:
                try:
                    self._made.append(self._make())
                except Exception as error:  # noqa: BLE001 - raised below, to everybody who asks
                    self._refused = error
        if self._refused is not None:
            raise self._refused
        return self._made[0]
