"""Parts are read as senders in the field write them; what is cut off or encoded is an invalid argument."""

from __future__ import annotations

import email
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.api.multipart import parts_of
from daemon.errors import InvalidArgument

TYPE = "multipart/form-data; boundary=edge"

HTTPCLIENT_4_STRICT = (
    b"--edge\r\n"
    b'Content-Disposition: form-data; name="first_encrypted_image"\r\n'
    b"Content-Type: text/plain; charset=ISO-8859-1\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n"
    b"\r\n"
    b"AAAA\r\n"
    b"--edge\r\n"
    b'Content-Disposition: form-data; name="second_encrypted_image"; filename="two.jwe"\r\n'
    b"Content-Type: application/octet-stream\r\n"
    b"Content-Transfer-Encoding: binary\r\n"
    b"\r\n"
    b"BBBB\r\n"
    b"--edge--\r\n"
)
"""Source: Apache HttpClient 4.5, MultipartEntityBuilder in HttpMultipartMode.STRICT: addTextBody and addBinaryBody."""


def _parts(body: bytes, content_type: str = TYPE) -> list[tuple[str, bytes]]:
    return list(parts_of(body, content_type))


def _part(headers: bytes, content: bytes = b"AAAA") -> bytes:
    return b"--edge\r\n" + headers + b"\r\n\r\n" + content + b"\r\n--edge--\r\n"


def _named(more: bytes = b"") -> bytes:
    return b'Content-Disposition: form-data; name="x"' + more


def _refused(body: bytes, content_type: str = TYPE) -> None:
    with pytest.raises(InvalidArgument, match="not a multipart form"):
        _parts(body, content_type)


def test_what_apache_httpclient_4_sends_is_read() -> None:
    assert _parts(HTTPCLIENT_4_STRICT) == [("first_encrypted_image", b"AAAA"), ("second_encrypted_image", b"BBBB")]


@pytest.mark.parametrize("encoding", ["7bit", "8bit", "binary", "8BIT", "Binary", "7Bit"])
@pytest.mark.parametrize("space", ["", " ", "\t", "  "])
def test_encodings_that_change_nothing_are_accepted(encoding: str, space: str) -> None:
    header = f"\r\ncontent-transfer-encoding:{space}{encoding}{space}".encode()
    assert _parts(_part(_named(header))) == [("x", b"AAAA")]


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "x-uuencode", "8bits", ""])
def test_any_other_encoding_is_refused(encoding: str) -> None:
    _refused(_part(_named(f"\r\nContent-Transfer-Encoding: {encoding}".encode())))


@pytest.mark.parametrize(
    "header",
    [
        b'Content-Disposition:form-data; name="x"',
        b'Content-Disposition:\t form-data; name="x" \t',
        b'CONTENT-DISPOSITION: form-data; NAME="x"',
        b"content-disposition: form-data; name=x",
        b'Content-Disposition:form-data;name="x";filename="a.jpg"',
        b'Content-Disposition: form-data; filename="; name=y"; name="x"',
        b'Content-Type:text/plain\r\nContent-Disposition:form-data; name="x"\r\nContent-Length:4',
    ],
)
def test_a_name_is_read_however_its_header_is_spaced(header: bytes) -> None:
    assert _parts(_part(header)) == [("x", b"AAAA")]


def test_quotes_inside_of_a_name_are_read() -> None:
    assert _parts(_part(b'Content-Disposition: form-data; name="a \\"b\\"; c"')) == [('a "b"; c', b"AAAA")]


@pytest.mark.parametrize(
    "header",
    [b"", b"Content-Type: text/plain", b'Content-Disposition : form-data; name="x"', b"Content-Disposition: form-data"],
)
def test_a_part_without_a_name_has_an_empty_one(header: bytes) -> None:
    body = b"--edge\r\n" + header + (b"\r\n" if header else b"") + b"\r\nAAAA\r\n--edge--"
    assert _parts(body) == [("", b"AAAA")]


@pytest.mark.parametrize("boundary", ["edge", '"edge"', '"edge "', "edge; charset=utf-8"])
def test_a_boundary_may_be_quoted(boundary: str) -> None:
    assert _parts(_part(_named()), f"multipart/form-data; boundary={boundary}") == [("x", b"AAAA")]


@pytest.mark.parametrize("preamble", [b"\r\n", b"This is a form.\r\n", b"--edg\r\n--\r\n\r\n"])
def test_what_stands_before_the_first_boundary_is_passed_over(preamble: bytes) -> None:
    assert _parts(preamble + _part(_named())) == [("x", b"AAAA")]


@pytest.mark.parametrize("epilogue", [b"", b"\r\n", b'more\r\n--edge\r\nContent-Disposition: form-data; name="y"\r\n'])
def test_what_stands_behind_the_last_boundary_is_passed_over(epilogue: bytes) -> None:
    assert _parts(_part(_named()).removesuffix(b"\r\n") + epilogue) == [("x", b"AAAA")]


@pytest.mark.parametrize("content", [b"", b"\r\n", b"--edge", b"\r\n--edg", b"\r\n\r\n", b"\n--edge\n", b"\0\xff"])
def test_content_is_all_up_to_the_next_boundary(content: bytes) -> None:
    assert _parts(_part(_named(), content)) == [("x", content)]


@pytest.mark.parametrize("cut", range(1, len(_part(_named())) - 1))
def test_a_form_that_is_cut_off_before_its_last_boundary_ends_is_refused(cut: int) -> None:
    _refused(_part(_named())[: -cut - 2])


@pytest.mark.parametrize("behind", [b"-\r\n", b"x\r\n", b" \r\n", b"\n", b""])
def test_a_boundary_that_is_followed_by_something_else_is_refused(behind: bytes) -> None:
    _refused(b"--edge" + behind + _part(_named()).removeprefix(b"--edge\r\n"))


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", f"multipart/form-data; boundary={'b' * 71}"],
)
def test_a_boundary_that_is_missing_or_too_long_is_refused(content_type: str) -> None:
    _refused(_part(_named()).replace(b"edge", b"b" * 71), content_type)


def test_a_name_that_is_not_utf8_is_refused() -> None:
    _refused(_part(b'Content-Disposition: form-data; name="\xff"'))


@pytest.mark.parametrize(("padding", "parts"), [(8_200, 1), (1_000, 300)])
def test_headers_longer_than_anyone_needs_are_refused(padding: int, parts: int) -> None:
    part = b"--edge\r\n" + _named(b"\r\nX: ".ljust(padding, b"x")) + b"\r\n\r\nAAAA\r\n"
    assert _parts(part.replace(b"x" * 200, b"") * parts + b"--edge--")
    _refused(part * parts + b"--edge--")


@given(st.lists(st.tuples(st.from_regex("[a-z_]+", fullmatch=True), st.binary().filter(lambda it: b"edge" not in it))))
def test_what_is_written_is_read(fields: list[tuple[str, bytes]]) -> None:
    parts = [b"--edge\r\nContent-Disposition:form-data;name=%b\r\n\r\n%b\r\n" % (n.encode(), v) for n, v in fields]
    assert _parts(b"".join(parts) + b"--edge--") == fields


@given(st.text(alphabet='ab \r\n:;="-', max_size=40))
def test_python_s_own_parser_reads_the_same(content: str) -> None:
    body = _part(_named(), content.replace("\r", "").replace("\n", "\r\n").encode())
    whole = email.message_from_bytes(f"Content-Type: {TYPE}\r\n\r\n".encode() + body)
    (part,) = list(whole.walk())[1:]
    name = part.get_param("name", header="content-disposition")
    assert _parts(body) == [(name, part.get_payload(decode=True))]


def test_only_one_content_is_in_memory_beside_the_body() -> None:
    photo = bytes(4 << 20)
    body = _part(_named(), photo).removesuffix(b"--edge--\r\n") + _part(_named(), photo)
    tracemalloc.start()
    for _, content in parts_of(body, TYPE):
        del content
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 1.1 * len(photo)
