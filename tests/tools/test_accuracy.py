"""The gate for lower precision: half precision passes it, coarser does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from daemon.errors import EngineRefused
from daemon.inference.engine import MODEL_FILE
from daemon.inference.network import OnnxNetwork, open_network
from daemon.manifest import load_manifest
from tests.conftest import REPOSITORY, Site
from tests.daemon.inference.copies import CPU
from tools.accuracy import check_accuracy


def _rounded(engines: Path, name: str, bits: int) -> OnnxNetwork:
    """A network whose weights keep so many bits of their fraction; half precision keeps 10, single 23."""
    model = onnx.load_model_from_string((engines / name / MODEL_FILE).read_bytes())
    for tensor in model.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype == np.float32:
            fraction, exponent = np.frexp(value)
            kept = np.ldexp(np.round(fraction * 2**bits) / 2**bits, exponent).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(kept, tensor.name))
    return open_network(model.SerializeToString(), load_manifest(REPOSITORY / "trt_engines" / name), CPU)


@pytest.mark.parametrize(("name", "agreement"), [("yunet", "box_iou_to_fp32"), ("sface", "embedding_cosine_to_fp32")])
def test_a_network_in_half_precision_passes(
    name: str, agreement: str, site: Site, engines: Path, samples: dict[str, bytes]
) -> None:
    photos = {"obama": samples["obama"]}
    found = check_accuracy(_rounded(engines, name, 11), _rounded(engines, name, 24), photos)
    assert list(found) == [agreement]
    assert 0.98 < found[agreement] < 1


@pytest.mark.parametrize(("name", "bits"), [("yunet", 3), ("sface", 3)])
def test_a_network_in_coarser_precision_does_not(
    name: str, bits: int, site: Site, engines: Path, samples: dict[str, bytes]
) -> None:
    with pytest.raises(EngineRefused, match=f"network {name} on cpu: .*_to_fp32 is 0.*, at least 0.9"):
        check_accuracy(_rounded(engines, name, bits), _rounded(engines, name, 24), {"obama": samples["obama"]})
