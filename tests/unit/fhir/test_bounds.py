from __future__ import annotations

import gzip
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import pytest
import requests

from mappings.errors import FhirError
from middleware.clock import FixedClock
from middleware.fhir.bounded import TooLargeError, TooSlowError, make_session
from middleware.fhir.client import FhirClient
from middleware.fhir.reach import Reach
from middleware.fhir.transport import Limits
from tests.unit.fhir.scripted import NOW, Reply, Script, encounter

HERE = Reach(loopback=True)


Raw = Callable[[BaseHTTPRequestHandler], None]


def drip(script: Script, head: bytes, piece: bytes) -> Raw:
    """Send the head, then one piece after another until the test is over."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(head)
        handler.wfile.flush()
        while not script.released.wait(0.01):
            handler.wfile.write(piece)
            handler.wfile.flush()

    return send


# A gzip member whose file name has no end.
GZIP_HEAD = b"\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x03"
HEADS = {
    "status line": (b"HTTP/1.1 200 ", b"O"),
    "headers": (b"HTTP/1.1 200 OK\r\nX-A: ", b"a"),
    "body with length": (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" "),
    "body without length": (b"HTTP/1.1 200 OK\r\n\r\n", b" "),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "compressed": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + GZIP_HEAD,
        b"n",
    ),
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_a_dripping_answer_is_cut(script: Script, head: tuple[bytes, bytes]) -> None:
    script.then(Reply(raw=drip(script, *head)))
    with make_session(HERE, seconds=0.3) as session, pytest.raises(TooSlowError):
        session.get(script.base, timeout=(1, 5))


def test_a_large_answer_is_not_read(script: Script) -> None:
    script.then(Reply(200, b" " * 200_000))
    with make_session(HERE, size=100_000) as session, pytest.raises(TooLargeError):
        session.get(script.base, timeout=(1, 5))


def test_a_compressed_bomb_is_not_read(script: Script) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    script.then(Reply(200, bomb, {"Content-Encoding": "gzip"}))
    with make_session(HERE, size=1_000_000) as session, pytest.raises(TooLargeError):
        session.get(script.base, timeout=(1, 5))


def test_a_compressed_answer_is_read(script: Script) -> None:
    script.then(Reply(200, gzip.compress(b"hello"), {"Content-Encoding": "gzip"}))
    with make_session(HERE) as session:
        assert session.get(script.base, timeout=(1, 5)).content == b"hello"


def test_a_connection_is_used_again(script: Script) -> None:
    script.then(Reply(200, b"hello"))
    with make_session(HERE) as session:
        for _ in range(3):
            assert session.get(script.base, timeout=(1, 5)).text == "hello"
    assert len({asked.port for asked in script.asked}) == 1


def test_a_truncated_answer_is_an_error(script: Script) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"
    script.then(Reply(raw=lambda handler: _write(handler, head)))
    with make_session(HERE) as session, pytest.raises(requests.ConnectionError):
        session.get(script.base, timeout=(1, 5))


def test_cookies_are_not_kept(script: Script) -> None:
    script.then(Reply(200, b"", {"Set-Cookie": "a=b; Path=/"}))
    with make_session(HERE) as session:
        session.get(script.base, timeout=(1, 5))
        session.get(script.base, timeout=(1, 5))
    assert "Cookie" not in script.asked[1].headers


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"", b"{", b"[" * 100_000])
def test_an_answer_that_is_no_object_is_a_fhir_error(
    script: Script, client: FhirClient, body: bytes
) -> None:
    script.then(Reply(200, body))
    with pytest.raises(FhirError) as caught:
        client.fetch("Encounter/e1")
    assert (caught.value.status, caught.value.permanent) == (200, False)


def test_a_byte_order_mark_is_read_over(script: Script, client: FhirClient) -> None:
    script.then(
        Reply(200, b'\xef\xbb\xbf{"resourceType":"Encounter","id":"e1"}'),
    )
    assert client.fetch("Encounter/e1")["id"] == "e1"


def test_a_large_answer_is_a_permanent_fhir_error(script: Script) -> None:
    script.then(Reply(200, encounter("e1" * 200)))
    client = FhirClient(
        script.base,
        lambda: None,
        clock=FixedClock(NOW),
        session=make_session(HERE, size=100),
        limits=Limits(first_pause=0.001),
    )
    with pytest.raises(FhirError, match="too large") as caught:
        client.fetch("Encounter/e1")
    assert (caught.value.permanent, len(script.asked)) == (True, 1)


def _write(handler: BaseHTTPRequestHandler, raw: bytes) -> None:
    handler.wfile.write(raw)
    handler.wfile.flush()
