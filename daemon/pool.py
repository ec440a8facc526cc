"""Threads that are there from the start."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor


def started_pool(threads: int, name: str) -> ThreadPoolExecutor:
    """A pool whose threads all run already.

    An executor starts a thread when it is first needed; where the system refuses one then, memory or task limit, a
    request fails that could have been served by those there are.

    Args:
        threads: how many, at least 1.
        name: what their names begin with.

    Raises:
        RuntimeError: the system refuses so many.
    """
    pool = ThreadPoolExecutor(threads, name)
    together = threading.Barrier(threads + 1)
    try:
        for _ in range(threads):
            pool.submit(together.wait)
    except RuntimeError:
        together.abort()  # those that wait already would keep the process from ending
        raise
    together.wait()
    return pool
