"""The demonstration takes the network that suits the processor."""

from __future__ import annotations

import pytest

from tools.demonstration import recognition_for


@pytest.mark.parametrize(
    ("flags", "network"),
    [
        ("flags : fpu avx2 avx512f avx512_vnni avx512_bf16", "sface_int8"),
        ("flags : fpu avx2 avx_vnni", "sface_int8"),
        ("Features : fp asimd aes asimddp", "sface_int8"),
        ("flags : fpu sse4_2 avx2 avx512f", "sface"),
        ("Features : fp asimd aes", "sface"),
        ("", "sface"),
    ],
)
def test_eight_bits_are_for_processors_that_multiply_them_without_overflow(flags: str, network: str) -> None:
    assert recognition_for(f"processor : 0\n{flags}\nprocessor : 1\n") == network
