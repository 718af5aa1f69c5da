"""The way to the server: its name, its port, its TLS.

Network. Each step opens a connection of its own, because what is wrong shows itself
in the handshake and not in an answer. Source: SMART App Launch 2.2, TLS 1.2 or newer.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from typing import Any

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from mappings.endpoint import EndpointKind
from middleware.fhir.addresses import leads_here
from middleware.fhir.checking.finding import Seen
from middleware.fhir.checking.talk import Talk
from middleware.fhir.reach import endpoint_reach

SOON_DAYS = 14
# X509_V_ERR_*: what OpenSSL says of a certificate that it refuses.
_CERTIFICATE = {
    9: "tls-not-yet-valid",
    10: "tls-expired",
    18: "tls-self-signed",
    62: "tls-wrong-name",
    64: "tls-wrong-name",
}
_OLD = ("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION", "NO_PROTOCOLS")


def check_name(talk: Talk) -> Seen:
    """Resolve the host of the FHIR base."""
    _, host, port = talk.address
    facts = {"host": host}
    try:
        found = talk.resolve(host, port)
    except (OSError, UnicodeError):
        found = ()
    if not found:
        return Seen("name-unknown", f"{host} has no address", facts=facts)
    told = f"{host} is {', '.join(found)}"
    known = [ipaddress.ip_address(text.partition("%")[0]) for text in found]
    allowed = [text for text in found if endpoint_reach(talk.endpoint).allows(text)]
    if any(address.is_link_local for address in known) and not allowed:
        return Seen("address-link-local", told, facts=facts)
    if not allowed:
        return Seen("address-refused", told, facts=facts)
    production = talk.endpoint.kind is EndpointKind.PRODUCTION
    if production and any(address.is_loopback for address in known):
        return Seen("address-loopback", told, facts=facts)
    return Seen("ok", told)


def check_port(talk: Talk) -> Seen:
    """Open a TCP connection to the FHIR base."""
    _, host, port = talk.address
    asked, facts = f"TCP connection to {host}:{port}", {"host": host, "port": str(port)}
    try:
        _open(talk).close()
    except ConnectionRefusedError:
        return Seen("connect-refused", f"port {port} refused", asked, facts)
    except TimeoutError:
        told = f"no connection within {talk.patience.connect:g} s"
        return Seen("connect-timeout", told, asked, facts)
    except OSError as error:
        told = f"no connection ({type(error).__name__})"
        return Seen("connect-unreachable", told, asked, facts)
    return Seen("ok", f"port {port} accepts connections")


def check_tls(talk: Talk) -> Seen:
    """Shake hands as the client does, and say what is wrong with it."""
    scheme, host, port = talk.address
    asked, facts = (
        f"TLS handshake with {host}:{port}",
        {"host": host, "base": talk.base},
    )
    if scheme == "http":
        return _check_plain(talk, facts)
    ca_file = talk.endpoint.profile.get("ca_file")
    try:
        context = ssl.create_default_context(cafile=ca_file or DEFAULT_CA_BUNDLE_PATH)
    except (OSError, ssl.SSLError):
        told = f"{ca_file} is not a readable PEM file"
        return Seen("ca-file-unusable", told, facts={"file": str(ca_file)})
    try:
        with _shake(talk, context) as secure:
            version, certificate = secure.version(), secure.getpeercert() or {}
            answered = _answers(secure, host)
        if not answered:
            _wait_for_alert(talk, context)
    except OSError as error:
        code = _diagnose(talk, error)
        return Seen(code, _reason_of(error), asked, facts)
    days = _days_left(talk, certificate)
    told = f"{version}, certificate good for {days} days"
    code = "ok" if days >= SOON_DAYS else "tls-expires-soon"
    return Seen(code, told, asked, facts)


def _open(talk: Talk) -> socket.socket:
    _, host, port = talk.address
    made = socket.create_connection((host, port), timeout=talk.patience.connect)
    made.settimeout(talk.patience.connect)
    return made


def _shake(talk: Talk, context: ssl.SSLContext) -> ssl.SSLSocket:
    raw = _open(talk)
    try:
        return context.wrap_socket(raw, server_hostname=talk.address[1])
    except OSError:
        raw.close()
        raise


def _answers(secure: ssl.SSLSocket, host: str) -> bool:
    """Tell whether the connection outlives a request; silence is for the next step."""
    hello = f"HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    try:
        secure.sendall(hello.encode())
        secure.recv(1)
    except (ConnectionError, ssl.SSLError):
        return False
    except OSError:
        return True
    return True


def _wait_for_alert(talk: Talk, context: ssl.SSLContext) -> None:
    """Raise what a server says behind the handshake to a client that says nothing.

    TLS 1.3 asks for a client's certificate there, and a request on its way would
    make the connection end before that is heard.
    """
    with _shake(talk, context) as secure:
        try:
            secure.recv(1)
        except ssl.SSLError as error:
            if "CERTIFICATE_REQUIRED" in str(error.reason):
                raise
        except OSError:
            return


def _diagnose(talk: Talk, error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE.get(error.verify_code, "tls-unknown-authority")
    if isinstance(error, TimeoutError):
        return "tls-silent"
    reason = str(getattr(error, "reason", "") or "")
    if "CERTIFICATE_REQUIRED" in reason:
        return "tls-client-certificate"
    if any(word in reason for word in _OLD):
        return "tls-old"
    if _say_hello(talk).startswith(b"HTTP/"):
        return "http-on-https-port"
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return "tls-handshake"
    return "tls-cut"


def _reason_of(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate was refused: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "the server accepted the connection and said nothing"
    reason = getattr(error, "reason", None)
    return f"the handshake failed ({reason or type(error).__name__})"


def _days_left(talk: Talk, certificate: dict[str, Any]) -> int:
    ends = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    return int((ends - talk.clock.now().timestamp()) // 86400)


def _say_hello(talk: Talk) -> bytes:
    """Speak plain HTTP and return the beginning of the answer."""
    host = talk.address[1]
    try:
        with _open(talk) as plain:
            plain.sendall(f"HEAD / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            return plain.recv(12)
    except OSError:
        return b""


def _check_plain(talk: Talk, facts: dict[str, str]) -> Seen:
    """See whether a base that begins with http is rightly so."""
    _, host, port = talk.address
    asked = f"HTTP request to {host}:{port}"
    answer = _say_hello(talk)
    if (not answer.startswith(b"HTTP/") or b" 400" in answer) and _takes_tls(talk):
        return Seen("https-on-http-port", f"port {port} speaks TLS", asked, facts)
    if not leads_here(talk.base):
        production = talk.endpoint.kind is EndpointKind.PRODUCTION
        code = "not-encrypted" if production else "plain-http"
        return Seen(code, "the FHIR base begins with http:", asked, facts)
    return Seen("ok", "plain HTTP, on this machine only")


def _takes_tls(talk: Talk) -> bool:
    """Tell whether there is TLS, whoever it may be: nothing is sent through it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with _open(talk) as raw, context.wrap_socket(raw):
            return True
    except OSError:
        return False
