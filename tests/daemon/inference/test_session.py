"""A session is wholly on its accelerator, or there is none."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort
import pytest

from daemon.config import Accelerator, Policy
from daemon.errors import EngineRefused
from daemon.inference.accelerators import Target
from daemon.inference.engine import MODEL_FILE
from daemon.inference.session import elsewhere, misplaced, open_session, session_options
from tests.conftest import Site
from tests.daemon.inference.copies import CPU


@pytest.fixture(scope="module")
def model(site: Site, engines: Path) -> bytes:
    """YuNet's device model."""
    return (engines / "yunet" / MODEL_FILE).read_bytes()


@pytest.mark.parametrize("accelerator", [Accelerator.TENSORRT, Accelerator.CUDA])
@pytest.mark.parametrize("policy", list(Policy))
def test_an_accelerator_that_is_not_there_is_refused_with_what_to_install_or_set(
    model: bytes, accelerator: Accelerator, policy: Policy
) -> None:
    with pytest.raises(EngineRefused, match=accelerator.value) as refused:
        open_session(model, Target(accelerator, policy, 1), {})
    assert "inference.accelerator: cpu" in refused.value.remedy
    assert "fvctl doctor --only onnxruntime_wheel" in refused.value.remedy


def test_a_session_on_the_cpu_is_where_it_should_be(model: bytes) -> None:
    assert misplaced(open_session(model, CPU, {}), Accelerator.CPU) == ""


def test_a_session_on_the_cpu_is_misplaced_for_an_accelerator(model: bytes) -> None:
    assert misplaced(open_session(model, CPU, {}), Accelerator.CUDA) == "runs on CPUExecutionProvider"


@pytest.mark.skipif(not hasattr(ort.InferenceSession, "get_provider_graph_assignment_info"), reason="onnxruntime 1.23")
def test_nodes_of_a_network_that_went_elsewhere_are_counted_and_named(model: bytes) -> None:
    options = session_options(CPU)
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    session = ort.InferenceSession(model, options, ["CPUExecutionProvider"])
    assert elsewhere(session, "CPUExecutionProvider") == ""
    assert elsewhere(session, "TensorrtExecutionProvider").startswith("53 x Conv on CPUExecutionProvider, ")
