"""What a decoding process may not do, and what it does not have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from daemon.photo.isolation import DecoderProcesses, Largest
from daemon.photo.order import Order
from daemon.photo.process import Bounds
from tests.daemon.photo.photo_files import photo_file

MEMORY = 100 << 20


@pytest.fixture(scope="module")
def template() -> Iterator[int]:
    """Process id of a template that has a helper."""
    decoders = DecoderProcesses(Bounds(MEMORY, 30.0), Largest(5 << 20, 5000))
    decoders.decode(memoryview(photo_file("PNG")), Order(8, 5000, 0, 1, 1250))
    yield decoders.template
    decoders.close()


@pytest.fixture(scope="module")
def helper(template: int) -> int:
    """Process id of the helper."""
    (child,) = Path(f"/proc/{template}/task/{template}/children").read_text().split()
    return int(child)


@pytest.fixture(autouse=True)
def _seen_by_root() -> None:
    """What such a process has is not shown to its own account, which is meant."""
    if os.geteuid() != 0:
        pytest.skip("only root may look into these processes")


def _limits(process: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{process}/limits").read_text().splitlines()[1:]
    return {line[:25].strip(): line[25:].split() for line in lines}


def _status(process: int) -> dict[str, str]:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_a_helper_can_open_no_file_and_leaves_no_core_dump(helper: int) -> None:
    limits = _limits(helper)
    assert limits["Max open files"][:2] == ["0", "0"]
    assert limits["Max core file size"][:2] == ["0", "0"]


def test_a_helper_gets_little_more_memory_than_it_may(template: int, helper: int) -> None:
    soft, hard, _ = _limits(helper)["Max data size"]
    assert soft == hard
    assert MEMORY < int(soft) < MEMORY + 2 * 1024 * int(_status(template)["VmData"].split()[0])


def test_neither_network_nor_configuration_nor_key_is_in_them(template: int, helper: int) -> None:
    for process in (template, helper):
        loaded = Path(f"/proc/{process}/maps").read_text()
        assert "PIL" in loaded
        assert not [name for name in ("onnxruntime", "pydantic", "cryptography", "_yaml", "cv2") if name in loaded]


def test_a_large_photo_leaves_its_memory_behind() -> None:
    decoders = DecoderProcesses(Bounds(400 << 20, 30.0), Largest(5 << 20, 5000))
    for kind in ("PNG", "JPEG"):
        photo = photo_file(kind, Image.new("RGB", (5000, 5000)))  # 100 MB while it is decoded
        decoders.decode(memoryview(photo), Order(8, 5000, 0, 1, 1250))
    (child,) = Path(f"/proc/{decoders.template}/task/{decoders.template}/children").read_text().split()
    assert int(_status(int(child))["VmRSS"].split()[0]) < 80 * 1024
    decoders.close()


def test_a_template_has_one_thread_so_that_it_can_fork(template: int) -> None:
    assert _status(template)["Threads"] == "1"


def test_a_helper_has_nothing_open_but_its_socket_and_its_memory(helper: int) -> None:
    opened = sorted(str(path.readlink()).partition(":")[0] for path in Path(f"/proc/{helper}/fd").iterdir())
    assert set(opened) == {"/dev/null", "/memfd", "socket"}
    assert opened.count("socket") == 1
