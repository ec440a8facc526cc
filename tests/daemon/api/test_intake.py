"""A body of any of the three types becomes a request, or an invalid argument that names its parameter."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote_plus

import falcon
import pytest
from falcon import testing
from hypothesis import given
from hypothesis import strategies as st

from daemon.api.intake import read_request
from daemon.errors import InvalidArgument
from daemon.records import Sender, VerificationRequest

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
MULTIPART = "multipart/form-data; boundary=edge"
FIRST, SECOND = "first_encrypted_image", "second_encrypted_image"
LIMIT = 1_000_000
SENDER = Sender("counter-1", legacy=True)


def _read(body: bytes, body_type: str | None, headers: Mapping[str, str] | None = None) -> VerificationRequest:
    said = {"Content-Type": body_type} if body_type else {}
    environ = testing.create_environ(method="POST", body=body, headers=said | dict(headers or {}))
    environ["CONTENT_LENGTH"] = str(len(body))  # falcon's test client leaves it out where there is no body
    request = falcon.Request(environ)
    request.context.sender = SENDER
    return read_request(request, LIMIT)


def _form(*pairs: tuple[str, str]) -> bytes:
    return "&".join(f"{name}={value}" for name, value in pairs).encode()


def _json(*pairs: tuple[str, Any]) -> bytes:
    return ("{" + ",".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in pairs) + "}").encode()


def _multipart(*pairs: tuple[str, str]) -> bytes:
    parts = [f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in pairs]
    return ("".join(parts) + "--edge--\r\n").encode()


WRITERS = {FORM: _form, MULTIPART: _multipart, JSON: _json}
every_type = pytest.mark.parametrize("body_type", WRITERS)


def _written(body_type: str, *more: tuple[str, Any]) -> bytes:
    return WRITERS[body_type]((FIRST, "AAAA"), (SECOND, "BBBB"), *more)


def _refused(body: bytes, body_type: str | None) -> str | None:
    with pytest.raises(InvalidArgument) as refused:
        _read(body, body_type)
    return refused.value.field


@every_type
def test_both_photos_are_read_in_the_contract_s_order(body_type: str) -> None:
    request = _read(WRITERS[body_type]((SECOND, "BBBB"), (FIRST, "AAAA")), body_type)
    assert [(photo.field, photo.text) for photo in request.photos] == [(FIRST, "AAAA"), (SECOND, "BBBB")]


@every_type
def test_switches_are_off_where_they_are_not_given(body_type: str) -> None:
    request = _read(_written(body_type), body_type)
    assert (request.auto_rotate, request.check_quality) == (False, False)


@pytest.mark.parametrize("body_type", [FORM, MULTIPART])
@pytest.mark.parametrize(
    ("text", "truth"),
    [("true", True), ("TRUE", True), ("True", True), ("1", True), ("false", False), ("FALSE", False), ("0", False)],
)
def test_boolean_text_is_read_in_any_case(body_type: str, text: str, truth: bool) -> None:
    request = _read(_written(body_type, ("auto_rotate", text), ("check_quality", text)), body_type)
    assert (request.auto_rotate, request.check_quality) == (truth, truth)


@pytest.mark.parametrize("body_type", [FORM, MULTIPART])
@pytest.mark.parametrize("text", ["", "yes", "2", "01", "true ", "on", "null", "t"])
def test_other_text_is_no_boolean(body_type: str, text: str) -> None:
    assert _refused(_written(body_type, ("auto_rotate", text)), body_type) == "auto_rotate"


@pytest.mark.parametrize("truth", [True, False])
def test_json_has_real_booleans(truth: bool) -> None:
    assert _read(_written(JSON, ("check_quality", truth)), JSON).check_quality is truth


@pytest.mark.parametrize("value", ["true", "false", "1", 1, 0, 1.0, None, [], {}, [True]])
def test_nothing_else_is_a_boolean_in_json(value: object) -> None:
    assert _refused(_written(JSON, ("check_quality", value)), JSON) == "check_quality"


@pytest.mark.parametrize("value", [None, 1, True, 1.5, [], ["AAAA"], {"a": "b"}, ""])
def test_a_photo_that_is_no_text_is_refused_in_json(value: object) -> None:
    assert _refused(_json((FIRST, value), (SECOND, "BBBB")), JSON) == FIRST


@every_type
@pytest.mark.parametrize("missing", [FIRST, SECOND])
def test_a_missing_photo_is_named(body_type: str, missing: str) -> None:
    given_photo = FIRST if missing == SECOND else SECOND
    assert _refused(WRITERS[body_type]((given_photo, "AAAA")), body_type) == missing


@every_type
@pytest.mark.parametrize("empty", [FIRST, SECOND])
def test_an_empty_photo_is_named(body_type: str, empty: str) -> None:
    photos = {FIRST: "AAAA", SECOND: "BBBB"} | {empty: ""}
    assert _refused(WRITERS[body_type](*photos.items()), body_type) == empty


@every_type
@pytest.mark.parametrize("name", [FIRST, SECOND])
def test_a_photo_given_twice_is_named(body_type: str, name: str) -> None:
    assert _refused(_written(body_type, (name, "AAAA")), body_type) == name


@every_type
@pytest.mark.parametrize("name", ["auto_rotate", "check_quality"])
def test_a_switch_given_twice_is_named(body_type: str, name: str) -> None:
    value = True if body_type == JSON else "true"
    assert _refused(_written(body_type, (name, value), (name, value)), body_type) == name


@every_type
def test_of_several_faults_the_first_photo_s_comes_first(body_type: str) -> None:
    assert _refused(WRITERS[body_type](("auto_rotate", "maybe")), body_type) == FIRST


@every_type
def test_unknown_parameters_are_ignored(body_type: str) -> None:
    request = _read(_written(body_type, ("app_id", "x"), ("app_id", "y")), body_type)
    assert request.photos[0].text == "AAAA"


@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1))
def test_percent_encoding_is_undone(text: str) -> None:
    # Encoded by the standard library, spaces as %20 because a plus sign stays one.
    encoded = quote_plus(text).replace("+", "%20")
    assert _read(_form((FIRST, encoded), (SECOND, "B")), FORM).photos[0].text == text


def test_a_bare_plus_sign_stays_a_plus_sign() -> None:
    # The vendor's curl sample sends base64 with plain -d.
    assert _read(_form((FIRST, "A+/="), (SECOND, "B")), FORM).photos[0].text == "A+/="


@given(st.binary(max_size=300))
@pytest.mark.parametrize("body_type", WRITERS)
def test_any_bytes_are_an_invalid_argument_and_no_fault(body_type: str, body: bytes) -> None:
    with pytest.raises(InvalidArgument):
        _read(body, body_type)


@given(st.binary(max_size=60), st.integers(0, 200))
def test_a_damaged_multipart_form_is_a_form_or_an_invalid_argument(damage: bytes, at: int) -> None:
    whole = _written(MULTIPART)
    with suppress(InvalidArgument):
        _read(whole[:at] + damage + whole[at + len(damage) :], MULTIPART)


@pytest.mark.parametrize(
    "body_type", [None, "", "text/plain", "application/xml", "multipart/mixed; boundary=edge", "application/jsonx"]
)
def test_a_body_of_another_type_is_refused(body_type: str | None) -> None:
    assert _refused(_written(FORM), body_type) is None


@pytest.mark.parametrize("body_type", ["Application/JSON; charset=utf-8", "application/json;charset=UTF-8"])
def test_the_type_s_case_and_parameters_do_not_matter(body_type: str) -> None:
    assert _read(_written(JSON), body_type).photos[1].text == "BBBB"


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"x"', b"{", b"[" * 5000, b"\xff", b'\xef\xbb\xbf{"a": 1}'])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    assert _refused(body, JSON) is None


def test_a_multipart_form_without_a_boundary_is_refused() -> None:
    assert _refused(_written(MULTIPART), "multipart/form-data") is None


def test_a_multipart_form_that_ends_early_is_refused() -> None:
    assert _refused(_written(MULTIPART)[:-30], MULTIPART) is None


@pytest.mark.parametrize("encoding", ["8bit", "Binary"])
def test_a_multipart_form_may_name_an_encoding_that_changes_nothing(encoding: str) -> None:
    # As Apache HttpClient 4 does; and without a space behind the colon.
    more = f"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()
    body = _written(MULTIPART).replace(b"\r\n\r\n", more).replace(b"Disposition: ", b"Disposition:")
    assert [photo.text for photo in _read(body, MULTIPART).photos] == ["AAAA", "BBBB"]


def test_text_that_is_not_utf8_is_refused() -> None:
    assert _refused(_form((FIRST, "%ff"), (SECOND, "B")), FORM) == FIRST


@pytest.mark.parametrize("unknown", ["x=%ff", "%ff=y", "x", "="])
def test_what_an_unknown_parameter_holds_does_not_matter(unknown: str) -> None:
    assert _read(_form((FIRST, "A"), (SECOND, "B")) + b"&" + unknown.encode(), FORM).photos[1].text == "B"


def test_a_number_longer_than_python_reads_does_not_matter_in_an_unknown_parameter() -> None:
    body = b'{"x": ' + b"9" * 5000 + b', "first_encrypted_image": "A", "second_encrypted_image": "B"}'
    assert _read(body, JSON).photos[0].text == "A"


@every_type
def test_as_many_unknown_parameters_as_anyone_needs_are_ignored(body_type: str) -> None:
    assert _read(_written(body_type, *[("x", "y")] * 1022), body_type).photos[0].text == "AAAA"


@every_type
def test_more_parameters_than_anyone_needs_are_refused(body_type: str) -> None:
    assert _refused(_written(body_type, *[("x", "y")] * 1023), body_type) is None


@pytest.mark.parametrize("empty", [b"&", b"&" * 900])
def test_empty_fields_of_a_form_do_not_count(empty: bytes) -> None:
    fields = _written(FORM, *[("x", "y")] * 1022).split(b"&")
    assert _read(empty + empty.join(fields) + empty, FORM).photos[1].text == "BBBB"


@pytest.mark.parametrize("nested", ["{},", "[],", '"{","[",', "[[],[]],"])
def test_nested_json_takes_no_more_memory_than_its_size(nested: str) -> None:
    body = b'{"x": [' + nested.encode() * (900_000 // len(nested)) + b"0]," + _written(JSON)[1:]
    tracemalloc.start()
    assert _refused(body, JSON) is None
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 3 * len(body)


@pytest.mark.parametrize("field", [b"&", b"&a", b"&ab=c"])
def test_a_form_of_many_fields_takes_no_more_memory_than_its_size(field: bytes) -> None:
    body = field * (900_000 // len(field))
    tracemalloc.start()
    assert _refused(body, FORM) in (None, FIRST)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 4 * len(body)


def test_a_body_without_its_length_is_refused() -> None:
    environ = testing.create_environ(method="POST", headers={"Content-Type": FORM})
    environ.pop("CONTENT_LENGTH", None)
    with pytest.raises(falcon.HTTPLengthRequired):
        read_request(falcon.Request(environ), LIMIT)


def test_a_chunked_body_is_refused_even_with_a_length() -> None:
    with pytest.raises(falcon.HTTPLengthRequired):
        _read(_written(FORM), FORM, {"Transfer-Encoding": "chunked"})


def test_a_body_at_the_limit_is_read_and_one_byte_more_is_not() -> None:
    body = _written(FORM, ("x", ""))
    assert _read(body.ljust(LIMIT, b"y"), FORM).photos[0].text == "AAAA"
    with pytest.raises(falcon.HTTPContentTooLarge):
        _read(body.ljust(LIMIT + 1, b"y"), FORM)


def test_a_body_over_the_limit_is_refused_before_its_type_is_looked_at() -> None:
    with pytest.raises(falcon.HTTPContentTooLarge):
        _read(bytes(LIMIT + 1), "text/plain")


def test_a_body_shorter_than_announced_is_refused() -> None:
    environ = testing.create_environ(method="POST", body=_written(FORM), headers={"Content-Type": FORM})
    environ["CONTENT_LENGTH"] = "5000"
    request = falcon.Request(environ)
    request.context.sender = SENDER
    with pytest.raises(InvalidArgument, match="ended early"):
        read_request(request, LIMIT)


def test_the_sender_is_who_the_credential_named() -> None:
    assert _read(_written(FORM), FORM).sender is SENDER
