"""A wheel that would run on the CPU of a device with a GPU is refused, with what it lacks."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from daemon.errors import ReleaseRefused
from tools.releases.platforms import PLATFORMS
from tools.releases.runtime_wheel import refuse_unfit

TARGET = PLATFORMS["aarch64-py310-jetpack6"]
NAME = "onnxruntime_gpu-1.23.0-cp310-cp310-linux_aarch64.whl"
TENSORRT, CUDA = (f"onnxruntime/capi/libonnxruntime_providers_{name}.so" for name in ("tensorrt", "cuda"))
WHOLE = {TENSORRT: b"", CUDA: b"\x7fELF ... sm_72 ... sm_87 ..."}


def _wheel(folder: Path, name: str, members: dict[str, bytes]) -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w") as opened:
        for member, content in members.items():
            opened.writestr(member, content)
    return path


def test_a_wheel_with_tensorrt_and_the_gpu_s_code_fits(tmp_path: Path) -> None:
    refuse_unfit(_wheel(tmp_path, NAME, WHOLE), TARGET)


@pytest.mark.parametrize(
    ("name", "members", "seen"),
    [
        (NAME, {CUDA: WHOLE[CUDA]}, "no TensorRT provider"),
        (NAME, {TENSORRT: b"", CUDA: b"sm_90"}, "no code for sm_87"),
        (NAME, {TENSORRT: b""}, "no code for sm_87"),
        (NAME.replace("aarch64", "x86_64"), WHOLE, "not for cp310 on aarch64"),
        (NAME.replace("cp310", "cp312"), WHOLE, "not for cp310 on aarch64"),
        (NAME.replace("onnxruntime", "numpy"), WHOLE, "not onnxruntime"),
        ("onnxruntime.zip", WHOLE, "is no wheel"),
    ],
)
def test_a_wheel_that_does_not_fit_is_refused(tmp_path: Path, name: str, members: dict[str, bytes], seen: str) -> None:
    with pytest.raises(ReleaseRefused, match=seen):
        refuse_unfit(_wheel(tmp_path, name, members), TARGET)
