"""What NVIDIA's JetPack releases bring, as far as a release of ours depends on it."""

from __future__ import annotations

from typing import NamedTuple


class JetPack(NamedTuple):
    """One major JetPack release.

    Attributes:
        python: of its Ubuntu, the wheel's tag.
        tensorrt: the version whose parser reads the device models.
        cuda: major version that the wheel must be built for.
        opsets: of ONNX that its parser takes, both inclusive.
        ir_max: newest ONNX file format that its parser reads.
        architectures: of the Jetsons it runs on.
    """

    python: str
    tensorrt: str
    cuda: str
    opsets: tuple[int, int]
    ir_max: int
    architectures: tuple[str, ...]


# Sources: NVIDIA, JetPack 6.2 and 7.2 release notes (Python, CUDA, TensorRT); onnx-tensorrt, docs/operators.md of
# 10.0 (opset 9 to 20; its changelog names ONNX 1.17 for 10.6 only, so 10.3 is at 1.16) and of 10.15 (opset 9 to 24);
# ONNX, docs/Versioning.md (1.16 has IR 10, 1.19 has IR 12); compute capability of Orin 8.7, of Thor 11.0.
JETPACKS = {
    "6": JetPack("cp310", "10.3", "12", (9, 20), 10, ("sm_87",)),
    "7": JetPack("cp312", "10.16", "13", (9, 24), 12, ("sm_87", "sm_110")),
}
"""By major version."""
