"""Threads are there before they are needed."""

from __future__ import annotations

import threading

from daemon.pool import started_pool


def test_all_threads_run_before_anything_is_asked_of_them() -> None:
    with started_pool(5, "test-pool"):
        assert sum(thread.name.startswith("test-pool") for thread in threading.enumerate()) == 5


def test_no_thread_is_busy_afterwards() -> None:
    with started_pool(2, "test-pool") as pool:
        both = threading.Barrier(2)
        assert sorted(pool.map(lambda _number: both.wait(10), range(2))) == [0, 1]
