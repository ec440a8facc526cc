"""A daemon is asked as terminals ask: nobody else sees the photos, and what is no daemon is told."""

from __future__ import annotations

import pytest

from daemon.errors import ConfigurationRefused
from daemon.sealed.legacy import LegacyFormat
from tests.running_daemon import RunningDaemon, free_port
from tests.web_server import COMPARED, web_server
from tools.asking import Daemon, sealed_form

_NO_DAEMON = b"<html>hello</html>"


def test_two_photos_are_compared(daemon: RunningDaemon, legacy: LegacyFormat, samples: dict[str, bytes]) -> None:
    answer = Daemon(daemon.url + "/").ask(sealed_form(legacy.seal, (samples["obama"], samples["obama2"])))
    assert (answer.status, answer.body["code"]) == (200, 1000)
    assert "embed" in (answer.timing or "")


def test_a_refused_request_is_an_answer(daemon: RunningDaemon) -> None:
    answer = Daemon(daemon.url).ask({"first_encrypted_image": "!"})
    assert (answer.status, answer.body["code"]) == (400, 1200)
    assert answer.field == "second_encrypted_image"


def test_the_published_keys_are_fetched(daemon: RunningDaemon) -> None:
    (key,) = Daemon(daemon.url).jwks()
    assert (key["kty"], key["crv"], key["use"]) == ("OKP", "X25519", "enc")


def test_a_set_without_a_key_says_how_to_make_one() -> None:
    with web_server({"keys": []}) as server, pytest.raises(ConfigurationRefused, match="publishes no key") as refused:
        Daemon(server.url).jwks()
    assert "fvctl keys add" in refused.value.remedy


def test_where_nothing_listens_the_failure_has_a_remedy() -> None:
    with pytest.raises(ConfigurationRefused, match="no daemon answers at") as refused:
        Daemon(f"http://127.0.0.1:{free_port()}").ask({})
    assert "--url" in refused.value.remedy


@pytest.mark.parametrize("url", ["ftp://127.0.0.1:3000", "127.0.0.1:3000", "file:///etc/passwd"])
def test_what_is_no_http_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationRefused, match="is no http address"):
        Daemon(url)
    with pytest.raises(ConfigurationRefused, match="is no http address"):
        Daemon("http://127.0.0.1:3000").jwks(url)


@pytest.mark.parametrize("status", [200, 404, 500])
def test_another_web_server_is_no_daemon(status: int) -> None:
    with web_server(_NO_DAEMON, status) as server:
        for act in (lambda: Daemon(server.url).ask({}), lambda: Daemon(server.url).jwks()):
            with pytest.raises(ConfigurationRefused, match="no daemon answers at"):
                act()


@pytest.mark.parametrize("score", [0.0, 0, 1.0])
def test_a_score_at_the_end_of_its_range_is_one(score: float) -> None:
    with web_server(COMPARED | {"verification_score": score}) as server:
        assert Daemon(server.url).ask({}).body["verification_score"] == score


@pytest.mark.parametrize("score", [-0.5, 1.5, "high", None, True])
def test_a_score_outside_its_range_is_no_daemon_s(score: object) -> None:
    with web_server(COMPARED | {"verification_score": score}) as server, pytest.raises(ConfigurationRefused):
        Daemon(server.url).ask({})


def test_a_token_is_shown_as_a_bearer_token_and_only_where_photos_are_compared() -> None:
    with web_server(COMPARED | {"keys": [{}]}) as server:
        terminal = Daemon(server.url, token="abc")
        terminal.ask({})
        terminal.jwks()
    assert [shown[1] for shown in server.shown] == ["Bearer abc", None]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_takes_neither_token_nor_photos_elsewhere(status: int) -> None:
    with web_server(COMPARED) as elsewhere, web_server(_NO_DAEMON, status) as server:
        server.headers = {"Location": elsewhere.url}
        with pytest.raises(ConfigurationRefused):
            Daemon(server.url, token="abc").ask({})
    assert elsewhere.shown == []


def test_when_to_come_back_is_kept() -> None:
    with web_server({"code": 5003, "message": "service unavailable", "request_id": ""}, 503) as server:
        server.headers = {"Retry-After": "7"}
        assert Daemon(server.url).ask({}).retry_after_s == "7"


def test_a_proxy_of_the_environment_sees_no_photos(daemon: RunningDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    with web_server(_NO_DAEMON) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        assert Daemon(daemon.url).ask({}).body["code"] == 1200
    assert proxy.shown == []
