"""What a process keeps of memory: nothing of a photo, and little of what lies free. glibc alone knows how."""

from __future__ import annotations

import ctypes
import resource

_SET_DUMPABLE = 4
"""Source: prctl(2), PR_SET_DUMPABLE."""

_OVERWRITE_FREED, _WITH = -6, 0xFF
"""Source: mallopt(3), M_PERTURB."""

_ARENAS, _ARENAS_MAX = -8, 2
_OWN_MAPPING, _OWN_MAPPING_BYTES = -3, 8 << 20
_KEPT, _KEPT_BYTES = -1, 32 << 20
"""As many arenas as cores, each of which keeps 32 MiB at most of what is freed: a request takes 35 MB in pieces below
8 MiB, and to map them anew each time would cost it 19 ms. What is larger is mapped by itself.
Source of the numbers: mallopt(3), M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD."""


def keep_private() -> None:
    """No core dump, and what is freed is overwritten: decoders copy photos into memory that is not ours to wipe.

    A limit of zero does not stop the kernel where it hands cores to a program (core(5), "Piping core dumps to a
    program"); a process that is not dumpable has none, and no other process of its account can read its memory.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None)
    libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0)
    libc.mallopt(_OVERWRITE_FREED, _WITH)


def keep_small() -> None:
    """Memory that is freed goes back to the system, whichever of the threads it was that used it.

    glibc would keep what each thread has once used for that thread: with bodies of a megabyte and dozens of threads
    half a gigabyte.
    """
    libc = ctypes.CDLL(None)
    libc.mallopt(_ARENAS, _ARENAS_MAX)
    libc.mallopt(_OWN_MAPPING, _OWN_MAPPING_BYTES)
    libc.mallopt(_KEPT, _KEPT_BYTES)


def give_back() -> None:
    """Give what lies free between what is in use back to the system."""
    ctypes.CDLL(None).malloc_trim(0)
