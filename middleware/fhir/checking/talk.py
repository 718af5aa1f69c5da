"""What the steps of one check share: who is asked, and what was learned so far."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from mappings.endpoint import Endpoint
from mappings.secret import Secret
from middleware.fhir.checking.exchange import Caller, Exchange, Patience
from middleware.fhir.framing import Framing
from middleware.fhir.keys import SigningKeys
from middleware.ports import Clock

Resolver = Callable[[str, int], Sequence[str]]


def resolve_name(host: str, port: int) -> Sequence[str]:
    """Return a host's addresses as the system knows them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(item[4][0]) for item in found))


@dataclass(frozen=True)
class Needs:
    """What we have to be allowed: types that we read, and letters that we write.

    ``reads`` names each type with what is lost without it; ``safety`` are those
    without which every message is held; ``writes`` maps a type to SMART v2 letters.
    """

    reads: Mapping[str, str]
    safety: frozenset[str]
    focus: tuple[str, ...]
    writes: Mapping[str, str]


@dataclass
class Talk:
    """One check: its endpoint, its means, and what the earlier steps found.

    ``clock_moved`` says that our clock was moved on purpose and tells nothing.
    ``samples`` are one resource of each focus type that has any.
    """

    endpoint: Endpoint
    keys: SigningKeys
    clock: Clock
    needs: Needs
    public_url: str
    caller: Caller
    patience: Patience = field(default_factory=Patience)
    resolve: Resolver = resolve_name
    clock_moved: bool = False
    statement: dict[str, Any] | None = None
    metadata: Exchange | None = None
    skew: float | None = None
    configuration: dict[str, Any] | None = None
    token: Secret | None = None
    granted: str | None = None
    samples: dict[str, dict[str, Any]] = field(default_factory=dict)
    framing: Framing | None = None

    @property
    def sample(self) -> dict[str, Any] | None:
        """One of the samples; None where there is none at all."""
        return next(iter(self.samples.values()), None)

    @property
    def base(self) -> str:
        """The FHIR base."""
        return self.endpoint.fhir_base

    @property
    def address(self) -> tuple[str, str, int]:
        """Scheme, host and port of the FHIR base."""
        parts = urlsplit(self.base)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return parts.scheme, parts.hostname or "", port

    @property
    def jwks_url(self) -> str:
        """Where our public keys are served."""
        return f"{self.public_url.rstrip('/')}/.well-known/jwks.json"

    def get(self, path: str, *, shown: str | None = None) -> Exchange:
        """Ask for something under the base, with the token where there is one."""
        told = f"{self.base}/{shown}" if shown else None
        return self.caller.call(
            "GET", f"{self.base}/{path}", token=self.token, shown=told
        )
