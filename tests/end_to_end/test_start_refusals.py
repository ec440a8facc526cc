"""The daemon does not start where it must not serve, and says why and what to do."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.config import Accelerator, load_config
from daemon.inference.accelerators import Basis, Precision, engine_identity
from daemon.inference.engine import MODEL_FILE, read_record
from daemon.inference.platform import read_platform
from daemon.manifest import load_manifest
from daemon.sealed.keystore import STORE_FILE
from tests.conftest import REPOSITORY, Site
from tests.running_daemon import RunningDaemon
from tools.publication import write_record

Changes = dict[str, Any]
"""Section to what a test changes in it."""

_NETWORKS = REPOSITORY / "trt_engines"


def _refusal(site: Site, changes: Changes) -> dict[str, Any]:
    """The journal line with which a daemon of this configuration refuses to start."""
    return _refusal_of(RunningDaemon(site.write("refused.yaml", **changes), site.folder / "refused.log"))


def _refusal_of(daemon: RunningDaemon) -> dict[str, Any]:
    with pytest.raises(RuntimeError, match="gunicorn ended"), daemon:
        pass
    assert daemon.process.returncode != 0
    assert "Traceback" not in daemon.log.read_text()
    lines = [event for event in daemon.events if event["event"] == "start_refused"]
    assert len(lines) == 1, daemon.log.read_text()
    assert lines[0]["remedy"]
    return lines[0]


def _absent_store(folder: Path, _engines: Path) -> Changes:
    return {"keys": {"store": str(folder / "absent")}}


def _store_of(folder: Path, change: Callable[[str], str]) -> Changes:
    """A store and its key-encryption key like the site's, made anew, and the store's text changed."""
    made = Site(folder, folder / "no engines")
    store = folder / "keys" / STORE_FILE
    store.write_text(change(store.read_text()))
    return {"keys": made.document["keys"]}


def _readable_store(folder: Path, _engines: Path) -> Changes:
    changes = _store_of(folder, str)
    (folder / "keys" / STORE_FILE).chmod(0o644)
    return changes


def _changed_store(folder: Path, _engines: Path) -> Changes:
    return _store_of(folder, lambda text: text.replace('"retiring"', '"active"').replace('"active"', '"retiring"'))


def _damaged_store(folder: Path, _engines: Path) -> Changes:
    return _store_of(folder, lambda text: text[:-9])


def _absent_kek(folder: Path, _engines: Path) -> Changes:
    return {"keys": {"file": str(folder / "absent")}}


def _another_kek(folder: Path, _engines: Path) -> Changes:
    kek = folder / "another"
    kek.write_bytes(bytes(32))
    kek.chmod(0o600)
    return {"keys": {"file": str(kek)}}


def _absent_credential(_folder: Path, _engines: Path) -> Changes:
    return {"environment": "production", "keys": {"kek": "credential"}}


def _kek_in_a_file_in_production(_folder: Path, _engines: Path) -> Changes:
    return {"environment": "production"}


def _published_key(_folder: Path, _engines: Path) -> Changes:
    return {"sealed": {"allow_published_key": False}}


def _no_engine(folder: Path, _engines: Path) -> Changes:
    return {"inference": {"engines": str(folder / "none")}}


def _damaged_engine(folder: Path, engines: Path) -> Changes:
    shutil.copytree(engines, folder / "damaged")
    model = folder / "damaged" / "sface" / MODEL_FILE
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    return {"inference": {"engines": str(folder / "damaged")}}


def _foreign_calibration(folder: Path, _engines: Path) -> Changes:
    shutil.copytree(_NETWORKS, folder / "networks")
    calibration = folder / "networks" / "sface" / "calibration.yaml"
    document = yaml.safe_load(calibration.read_text())
    document["recognition"] = "0" * 64
    calibration.write_text(yaml.safe_dump(document))
    return {"inference": {"networks": str(folder / "networks")}}


def _unknown_key(_folder: Path, _engines: Path) -> Changes:
    return {"photo": {"max_megabytes": 5}}


def _without_formats(_folder: Path, _engines: Path) -> Changes:
    return {"sealed": {"legacy": False, "jwe": False}}


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        (_absent_store, "KeyRefused", "there is no key store"),
        (_readable_store, "KeyRefused", "mode 0644"),
        (_changed_store, "KeyRefused", "was changed"),
        (_damaged_store, "KeyRefused", "cannot be read"),
        (_absent_kek, "KeyRefused", "key-encryption key is missing"),
        (_another_kek, "KeyRefused", "another key-encryption key"),
        (_absent_credential, "KeyRefused", "no credentials were handed over"),
        (_kek_in_a_file_in_production, "ConfigurationRefused", "keys.kek"),
        (_published_key, "KeyRefused", "vendor's manual"),
        (_no_engine, "EngineRefused", "no engine for network yunet"),
        (_damaged_engine, "EngineRefused", "is damaged"),
        (_foreign_calibration, "CalibrationRefused", "another recognition network"),
        (_unknown_key, "ConfigurationRefused", "photo.max_megabytes"),
        (_without_formats, "ConfigurationRefused", "sealed:"),
    ],
)
def test_start_is_refused_with_reason_and_remedy(
    site: Site, tmp_path: Path, engines: Path, change: Callable[[Path, Path], Changes], error: str, told: str
) -> None:
    line = _refusal(site, change(tmp_path, engines))
    assert line["error"] == error
    assert told in line["reason"]


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.0.0.1:99999"])
def test_start_where_nobody_can_listen_is_refused_for_good(site: Site, bind: str) -> None:
    config = site.write("unbound.yaml")
    daemon = RunningDaemon(config, site.folder / "unbound.log")
    site.write(config.name, server={"bind": [bind]})  # instead of the address that was free
    line = _refusal_of(daemon)
    assert daemon.process.returncode == 4  # the unit does not start it again
    assert line["error"] == "ConfigurationRefused"
    assert f"server.bind: Value error, '{bind}' must be HOST:PORT" in line["reason"]


def test_start_on_another_accelerator_than_the_engines_are_for_is_refused(site: Site) -> None:
    line = _refusal(site, {"inference": {"accelerator": "tensorrt", "policy": "strict"}})
    assert line["error"] == "EngineRefused"
    assert "for cpu" in line["reason"]


def _claim_tensorrt(engines: Path, site: Site) -> None:
    """Rewrite the engines' records as if they had been built for TensorRT on this machine."""
    settings = load_config(site.write()).inference
    basis = Basis(Accelerator.TENSORRT, Precision.FP16, read_platform(Accelerator.TENSORRT))
    for name in (settings.detection, settings.recognition):
        record = read_record(engines / name)
        identity = engine_identity(record.model_hash, load_manifest(settings.networks / name), basis)
        write_record(engines / name, dataclasses.replace(record, identity=identity, basis=basis))


def test_start_is_refused_where_the_accelerator_is_not_there(site: Site, tmp_path: Path, engines: Path) -> None:
    import onnxruntime

    if "TensorrtExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine has TensorRT")
    shutil.copytree(engines, tmp_path / "claimed")
    _claim_tensorrt(tmp_path / "claimed", site)
    changes = {"accelerator": "tensorrt", "policy": "strict", "engines": str(tmp_path / "claimed")}
    line = _refusal(site, {"inference": changes})
    assert line["error"] == "EngineRefused"
    assert "tensorrt" in line["reason"]
