"""Certificates of an authority of a site's own, for servers on loopback."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from middleware.clock import SystemClock


@dataclass(frozen=True)
class Issued:
    """A certificate with its key; ``issuer`` None signs itself."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def save(self, folder: Path, name: str) -> Path:
        """Write both as one PEM file."""
        pem = serialization.Encoding.PEM
        plain = serialization.NoEncryption()
        kind = serialization.PrivateFormat.PKCS8
        file = folder / f"{name}.pem"
        file.write_bytes(
            self.certificate.public_bytes(pem)
            + self.key.private_bytes(pem, kind, plain)
        )
        return file


def issue(
    issuer: Issued | None,
    *,
    first: float = -30,
    last: float = 365,
    host: str = "",
    also: str = "",
) -> Issued:
    """Issue a certificate for one or two hosts, or an authority's own without any."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host or "authority")])
    now = SystemClock().now()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=first))
        .not_valid_after(now + timedelta(days=last))
        .add_extension(x509.BasicConstraints(ca=not host, path_length=None), True)
    )
    if host:
        names: list[x509.GeneralName] = [
            x509.DNSName(each) for each in (host, also) if each
        ]
        if host == "localhost":
            names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
    signer = issuer.key if issuer else key
    return Issued(builder.sign(signer, hashes.SHA256()), key)


def server_context(issued: Issued, folder: Path) -> ssl.SSLContext:
    """What a server shows that certificate with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.save(folder, "server"))
    return context
