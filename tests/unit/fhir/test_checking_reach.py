"""Names, ports and TLS that are wrong in one way each, over real sockets."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mappings.endpoint import BackendClient, EndpointKind
from middleware.fhir.checking.exchange import Patience
from middleware.fhir.checking.finding import Finding, Outcome
from middleware.fhir.checking.push import judge_hook
from tests.certificates import Issued, issue, server_context
from tests.unit.fhir.checked_ehr import SCOPE, Ehr, check
from tests.unit.fhir.scripted import QuietServer, Script, make_handler

HASTY = Patience(connect=0.4, answer=0.4)


@pytest.fixture(scope="module")
def authority() -> Issued:
    return issue(None)


@pytest.fixture(scope="module")
def ca_file(authority: Issued, tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(authority.save(tmp_path_factory.mktemp("ca"), "authority"))


@contextlib.contextmanager
def serve_tls(ehr: Ehr, context: ssl.SSLContext) -> Iterator[str]:
    """Serve the EHR over TLS as well; yield its base."""
    script = Script()
    script.answer = ehr.answer
    server = QuietServer(("127.0.0.1", 0), make_handler(script))
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    ehr.root = f"https://127.0.0.1:{server.server_port}"
    ehr.base = f"{ehr.root}/fhir"
    try:
        yield ehr.base
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def check_tls(
    ehr: Ehr, context: ssl.SSLContext, ca_file: str | None
) -> dict[str, Finding]:
    with serve_tls(ehr, context) as base:
        profile = {"ca_file": ca_file} if ca_file else {}
        backend = BackendClient("carecue", f"{ehr.root}/token", SCOPE)
        return check(ehr, ehr.endpoint(base=base, profile=profile, backend=backend))


def test_the_site_s_own_authority_is_trusted_everywhere(
    ehr: Ehr, authority: Issued, ca_file: str, tmp_path: Path
) -> None:
    context = server_context(issue(authority, host="localhost"), tmp_path)
    found = check_tls(ehr, context, ca_file)
    assert {item.outcome for item in found.values()} == {Outcome.OK}, found
    assert "good for 36" in found["TLS"].saw


CERTIFICATES: list[tuple[str, bool, Callable[[Issued], Issued]]] = [
    ("tls-unknown-authority", False, lambda ca: issue(ca, host="localhost")),
    ("tls-self-signed", False, lambda _: issue(None, host="localhost")),
    ("tls-expired", True, lambda ca: issue(ca, host="localhost", last=-1)),
    ("tls-not-yet-valid", True, lambda ca: issue(ca, host="localhost", first=2)),
    ("tls-wrong-name", True, lambda ca: issue(ca, host="ehr.example.org")),
    ("tls-expires-soon", True, lambda ca: issue(ca, host="localhost", last=5)),
]


@pytest.mark.parametrize(
    ("code", "trusted", "make"), CERTIFICATES, ids=[item[0] for item in CERTIFICATES]
)
def test_what_is_wrong_with_a_certificate(
    ehr: Ehr,
    authority: Issued,
    ca_file: str,
    tmp_path: Path,
    code: str,
    trusted: bool,
    make: Callable[[Issued], Issued],
) -> None:
    context = server_context(make(authority), tmp_path)
    found = check_tls(ehr, context, ca_file if trusted else None)
    assert found["TLS"].code == code, found["TLS"]
    assert "TLS 1.2" in found["TLS"].letter
    follows = found["CapabilityStatement"].outcome
    soon = code == "tls-expires-soon"
    assert follows is (Outcome.OK if soon else Outcome.SKIPPED)


def test_a_server_that_speaks_old_tls_only(
    ehr: Ehr, authority: Issued, ca_file: str, tmp_path: Path
) -> None:
    context = server_context(issue(authority, host="localhost"), tmp_path)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    assert check_tls(ehr, context, ca_file)["TLS"].code == "tls-old"


def test_a_server_without_a_cipher_of_ours(
    ehr: Ehr, authority: Issued, ca_file: str, tmp_path: Path
) -> None:
    context = server_context(issue(authority, host="localhost"), tmp_path)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0")
    assert check_tls(ehr, context, ca_file)["TLS"].code == "tls-handshake"


def test_a_server_that_wants_a_client_certificate(
    ehr: Ehr, authority: Issued, ca_file: str, tmp_path: Path
) -> None:
    context = server_context(issue(authority, host="localhost"), tmp_path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca_file)
    assert check_tls(ehr, context, ca_file)["TLS"].code == "tls-client-certificate"


def test_an_authority_file_that_is_none(ehr: Ehr, tmp_path: Path) -> None:
    file = tmp_path / "authority.pem"
    file.write_text("not a certificate")
    base = ehr.base.replace("http:", "https:")
    endpoint = ehr.endpoint(base=base, profile={"ca_file": str(file)})
    found = check(ehr, endpoint)
    assert found["TLS"].code == "ca-file-unusable"
    assert str(file) in found["TLS"].todo


def test_https_on_a_port_of_plain_http(ehr: Ehr) -> None:
    endpoint = ehr.endpoint(base=ehr.base.replace("http:", "https:"))
    assert check(ehr, endpoint)["TLS"].code == "http-on-https-port"


def test_http_on_a_port_of_tls(ehr: Ehr, authority: Issued, tmp_path: Path) -> None:
    context = server_context(issue(authority, host="localhost"), tmp_path)
    with serve_tls(ehr, context) as base:
        found = check(ehr, ehr.endpoint(base=base.replace("https:", "http:")))
    assert found["TLS"].code == "https-on-http-port"


# --- ports and names ----------------------------------------------------------------


@contextlib.contextmanager
def listen(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """Accept connections and give each to ``talk``; yield the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    kept: list[socket.socket] = []

    def run() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                kept.append(connection)
                talk(connection)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in (*kept, listener):
            connection.close()


def test_a_port_that_refuses(ehr: Ehr) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = check(ehr, ehr.endpoint(base=f"https://127.0.0.1:{port}/fhir"))
    assert found["connect"].code == "connect-refused"
    assert f"port {port}" in found["connect"].letter


def test_a_port_that_never_answers(ehr: Ehr) -> None:
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        # The queue of connections that nobody accepts is filled.
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        endpoint = ehr.endpoint(base=f"https://127.0.0.1:{address[1]}/fhir")
        found = check(ehr, endpoint, patience=HASTY)
    assert found["connect"].code == "connect-timeout"


@pytest.mark.parametrize(
    ("scheme", "step", "code"),
    [
        ("https", "TLS", "tls-silent"),
        ("http", "CapabilityStatement", "no-answer"),
    ],
)
def test_a_server_that_says_nothing(
    ehr: Ehr, scheme: str, step: str, code: str
) -> None:
    with listen(lambda _: None) as port:
        endpoint = ehr.endpoint(base=f"{scheme}://127.0.0.1:{port}/fhir")
        found = check(ehr, endpoint, patience=HASTY)
    assert found[step].code == code


@pytest.mark.parametrize(
    ("scheme", "step", "code"),
    [
        ("https", "TLS", "tls-cut"),
        ("http", "CapabilityStatement", "answer-cut"),
    ],
)
def test_a_server_that_cuts_every_connection(
    ehr: Ehr, scheme: str, step: str, code: str
) -> None:
    with listen(lambda connection: connection.close()) as port:
        endpoint = ehr.endpoint(base=f"{scheme}://127.0.0.1:{port}/fhir")
        found = check(ehr, endpoint, patience=HASTY)
    assert found[step].code == code


def unknown(host: str, port: int) -> tuple[str, ...]:
    raise socket.gaierror(socket.EAI_NONAME, f"{host}:{port}")


def test_a_name_that_nobody_knows(ehr: Ehr) -> None:
    endpoint = ehr.endpoint(base="https://ehr.hospital.example/fhir")
    found = check(ehr, endpoint, resolve=unknown)
    assert found["resolve"].code == "name-unknown"
    assert "ehr.hospital.example" in found["resolve"].todo
    later = [item for item in found.values() if item.step != "resolve"]
    assert {item.saw for item in later} == {"not tried, because resolve failed"}


def test_a_link_local_address_is_never_asked(ehr: Ehr) -> None:
    found = check(ehr, ehr.endpoint(base="http://169.254.169.254/fhir"))
    assert found["resolve"].code == "address-link-local"
    assert found["connect"].outcome is Outcome.SKIPPED


def test_a_network_without_a_way(ehr: Ehr) -> None:
    """The test run lets nothing out, as a network without a route would."""
    found = check(ehr, ehr.endpoint(base="https://203.0.113.7/fhir"))
    assert found["connect"].code == "connect-unreachable"


@pytest.mark.parametrize(
    ("kind", "code", "read"),
    [
        (EndpointKind.TEST, "plain-http", Outcome.OK),
        (EndpointKind.PRODUCTION, "not-encrypted", Outcome.SKIPPED),
    ],
)
def test_plain_http_over_a_network(
    ehr: Ehr, kind: EndpointKind, code: str, read: Outcome
) -> None:
    # It leads here, and no address says so.
    ehr.base = ehr.base.replace("127.0.0.1", "127.1")
    profile = {"authorization_hosts": ["127.0.0.1"], "private_network": True}
    found = check(ehr, ehr.endpoint(kind=kind, profile=profile))
    assert found["TLS"].code == code
    assert found["read"].outcome is read


def test_a_name_that_leads_here_is_not_asked_unless_that_is_written_down(
    ehr: Ehr,
) -> None:
    ehr.base = ehr.base.replace("127.0.0.1", "127.1")
    found = check(ehr, ehr.endpoint())
    assert found["resolve"].code == "address-refused"
    assert "private_network" in found["resolve"].todo
    assert found["connect"].outcome is Outcome.SKIPPED


def test_a_production_name_that_leads_here_is_told(ehr: Ehr) -> None:
    found = check(ehr, ehr.endpoint(kind=EndpointKind.PRODUCTION))
    assert found["resolve"].code == "address-loopback"
    assert found["read"].outcome is Outcome.OK


@pytest.mark.parametrize(
    ("public_url", "base", "code"),
    [
        ("http://localhost:8080", "https://ehr.example.org/fhir", "hook-loopback"),
        ("https://127.0.0.1", "https://ehr.example.org/fhir", "hook-loopback"),
        ("http://care.example.org", "https://ehr.example.org/fhir", "hook-http"),
        ("https://care.example.org", "https://ehr.example.org/fhir", None),
        ("http://care.example.org", "http://ehr.example.org/fhir", None),
        ("http://localhost:8080", "http://127.0.0.1:9/fhir", None),
    ],
)
def test_where_an_ehr_cannot_post_to(public_url: str, base: str, code: str) -> None:
    seen = judge_hook(public_url, base)
    assert (seen.code if seen else None) == code
