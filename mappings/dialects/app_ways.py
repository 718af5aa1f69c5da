"""What is special about one server's SMART launches, as a value.

Pure data beside the dialect's Subscriptions. Sources: SMART App Launch 2.2; each
vendor's documentation and published discovery documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

Style = Literal["v1", "v2"]


@dataclass(frozen=True)
class AppWays:
    """One server's ways with apps.

    ``nonce_echoed`` False: its id_tokens carry no nonce. ``renewed_audience`` False:
    those that come with a refresh may name no audience. ``issuers`` are templates of
    id_token issuers that its documents do not name: ``{issuer}`` is the documents',
    ``{tenant}`` the last part of it, ``{root}`` the FHIR base without ``base_tail``.
    ``root_configuration``: its SMART configuration may stand at the host's root.
    ``scope_style`` and ``authorize_post`` say how it wants to be asked. ``framed`` True:
    launches are signed in within the frame; False: its sign-in cannot be shown there;
    None: it has to be found out. ``notes`` are sentences:
    what it does, and what the app does about it. ``meanings`` are codes of its
    OperationOutcomes in words.
    """

    nonce_echoed: bool = True
    renewed_audience: bool = True
    issuers: tuple[str, ...] = ()
    base_tail: str = ""
    root_configuration: bool = False
    scope_style: Style | None = None
    authorize_post: bool = False
    framed: bool | None = None
    notes: tuple[str, ...] = ()
    meanings: Mapping[str, str] = field(default_factory=dict)

    def derive_issuers(self, base: str, issuer: str | None) -> tuple[str, ...]:
        """Return the id_token issuers that follow from a base and a documents' issuer."""
        named = issuer or ""
        values = {
            "issuer": named.rstrip("/"),
            "tenant": urlsplit(named).path.rstrip("/").rpartition("/")[2],
            "root": base.removesuffix(self.base_tail),
        }
        return tuple(
            template.format(**values)
            for template in self.issuers
            if named or "{issuer}" not in template
        )
