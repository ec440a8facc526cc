"""`fvctl verify` says what the daemon answered and what it means."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import ConfigurationRefused
from daemon.sealed.legacy import LegacyFormat
from tests.conftest import Site
from tests.running_daemon import RunningDaemon, free_port
from tools.cli import main
from tools.verify import Answered, ask, explain, sealed_form


def scored(score: float) -> Answered:
    return Answered(200, {"code": 1000, "verification_score": score, "request_id": "0" * 32}, None, None)


@pytest.mark.parametrize(
    ("score", "odds"),
    # By hand, from FMR(t) = 10^(3 - 10 t): 10^4.5, 10^5, 10^6; the table ends there.
    [
        (0.75, "about 1 in 31,623"),
        (0.8, "about 1 in 100,000"),
        (0.9, "about 1 in 1,000,000"),
        (1.0, "fewer than 1 in 1,000,000"),
    ],
)
def test_a_score_above_the_threshold_is_the_same_person_with_odds(score: float, odds: str) -> None:
    assert explain(scored(score)).startswith("the same person")
    assert f"{odds} strangers" in explain(scored(score))


@pytest.mark.parametrize("score", [0.0, 0.699, 0.7])
def test_a_score_up_to_the_threshold_is_not_the_same_person(score: float) -> None:
    assert explain(scored(score)).startswith("not the same person")


def test_a_refusal_is_explained_with_the_photo_at_fault() -> None:
    body = {"code": 4000, "message": "detection failed", "request_id": "0" * 32}
    answer = Answered(400, body, "second_encrypted_image", None)
    assert explain(answer) == "not compared: detection failed (second_encrypted_image)"


def test_a_refusal_without_a_field_is_explained_without_one() -> None:
    answer = Answered(503, {"code": 5003, "message": "service unavailable", "request_id": "0" * 32}, None, None)
    assert explain(answer) == "not compared: service unavailable"


def test_two_photos_of_one_person_are_the_same_person(
    daemon: RunningDaemon, legacy: LegacyFormat, samples: dict[str, bytes]
) -> None:
    answer = ask(daemon.url + "/", sealed_form(legacy.seal, (samples["obama"], samples["obama2"])))
    assert (answer.status, answer.body["code"]) == (200, 1000)
    assert explain(answer).startswith("the same person")
    assert "embed" in (answer.timing or "")


def test_a_refused_request_is_an_answer(daemon: RunningDaemon) -> None:
    answer = ask(daemon.url, {"first_encrypted_image": "!"})
    assert (answer.status, answer.body["code"]) == (400, 1200)
    assert answer.field == "second_encrypted_image"


def test_where_nothing_listens_the_failure_has_a_remedy() -> None:
    with pytest.raises(ConfigurationRefused, match="no daemon answers at") as refused:
        ask(f"http://127.0.0.1:{free_port()}", {})
    assert "--url" in refused.value.remedy


@pytest.mark.parametrize("url", ["ftp://127.0.0.1:3000", "127.0.0.1:3000", "file:///etc/passwd"])
def test_what_is_no_http_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationRefused, match="is no http address"):
        ask(url, {})


class Stranger(BaseHTTPRequestHandler):
    """A web server that is no daemon; keeps what terminals show."""

    shown: str | None = None
    status = 200
    body = b"<html>hello</html>"

    def do_POST(self) -> None:
        type(self).shown = self.headers.get("Authorization")
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the standard library
        """Say nothing."""


@pytest.fixture
def stranger() -> Iterator[str]:
    """Address of a web server that is no daemon."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        serving.join()


@pytest.mark.parametrize("status", [200, 404, 500])
def test_another_web_server_is_no_daemon(stranger: str, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setattr(Stranger, "status", status)
    with pytest.raises(ConfigurationRefused, match="no daemon answers at"):
        ask(stranger, {})


def test_a_token_is_shown_as_a_bearer_token(stranger: str) -> None:
    with pytest.raises(ConfigurationRefused):
        ask(stranger, {}, token="abc")
    assert Stranger.shown == "Bearer abc"


def test_a_proxy_of_the_environment_sees_no_photos(
    daemon: RunningDaemon, stranger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", stranger)
    monkeypatch.setenv("no_proxy", "")
    assert ask(daemon.url, {}).body["code"] == 1200


class Fvctl:
    """`fvctl verify` against the running daemon."""

    def __init__(self, config: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self._command = ["verify", "--config", str(config), "--url", url]
        self._capsys = capsys

    def __call__(self, *arguments: str | Path) -> tuple[int, str, str]:
        code = main([*self._command, *map(str, arguments)])
        return code, *self._capsys.readouterr()


@pytest.fixture
def fvctl(site: Site, daemon: RunningDaemon, capsys: pytest.CaptureFixture[str]) -> Fvctl:
    return Fvctl(site.write("verify.yaml"), daemon.url, capsys)


@pytest.fixture
def photos(tmp_path: Path, samples: dict[str, bytes]) -> Path:
    """A folder of the sample photos."""
    for name, photo in samples.items():
        (tmp_path / f"{name}.jpg").write_bytes(photo)
    (tmp_path / "none.jpg").write_bytes(b"no photo")
    return tmp_path


def test_a_comparison_exits_0_whoever_is_on_the_photos(fvctl: Fvctl, photos: Path) -> None:
    code, out, _ = fvctl(photos / "obama.jpg", photos / "biden.jpg")
    assert code == 0
    assert "meaning: not the same person" in out


def test_text_and_json_have_the_same_fields(fvctl: Fvctl, photos: Path) -> None:
    text = fvctl(photos / "obama.jpg", photos / "obama3.jpg")[1]
    fields: dict[str, Any] = json.loads(fvctl(photos / "obama.jpg", photos / "obama3.jpg", "--json")[1])
    assert [line.partition(":")[0] for line in text.splitlines()] == list(fields)
    assert fields["meaning"].startswith("the same person")


def test_a_refused_photo_exits_1_and_is_named(fvctl: Fvctl, photos: Path) -> None:
    code, out, _ = fvctl(photos / "obama.jpg", photos / "none.jpg", "--json")
    fields = json.loads(out)
    assert code == 1
    assert fields["code"] == 2005
    assert fields["meaning"] == "not compared: invalid image type or corrupted (second_encrypted_image)"


def test_options_reach_the_daemon(fvctl: Fvctl, photos: Path) -> None:
    code, out, _ = fvctl(photos / "obama.jpg", photos / "obama2.jpg", "--auto-rotate", "--check-quality")
    assert code == 0
    assert "meaning: the same person" in out


def test_a_photo_that_is_not_there_exits_2(fvctl: Fvctl, photos: Path) -> None:
    code, out, err = fvctl(photos / "absent.jpg", photos / "obama.jpg")
    assert (code, out) == (2, "")
    assert "absent.jpg cannot be read: No such file or directory" in err
