"""What is special about one FHIR server, as a value: Subscriptions, and app launches.

Pure data: nothing outside this folder knows a vendor's name. Sources: FHIR R4
Subscription; Subscriptions R5 Backport IG 1.1; each vendor's documentation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from mappings.dialects.app_ways import AppWays

Form = Literal["criteria", "backport", "r5"]
Content = Literal["empty", "id-only", "full-resource"]
Channel = Literal["rest-hook", "websocket"]
Spelling = Literal["query", "dotted", "bare"]
Proof = Literal["header", "hmac"]
Numbering = Literal["monotonic", "bundle-relative", "zero", "absent", "restarts"]
Filters = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Each:
    """One Subscription for each value that an endpoint's profile lists under ``key``.

    ``parameter`` is the filter and ``template`` its value, with ``{}`` for the listed
    one.
    """

    key: str
    parameter: str
    template: str = "{}"


@dataclass(frozen=True)
class TopicRule:
    """A topic that we know: the types it tells of and the filters it wants.

    ``whole`` is False where a topic tells of one kind of event only, so that several
    are needed for a type.
    """

    canonical: str
    types: tuple[str, ...]
    filters: Filters = ()
    each: Each | None = None
    whole: bool = True


@dataclass(frozen=True)
class Dialect:
    """One server's ways.

    ``software`` are words of CapabilityStatement.software.name or publisher.
    ``pushes`` False: it has no Subscriptions that we could ask for, and ``note`` says
    what there is instead. ``topic_versions`` are the FHIR versions in which topics
    work. ``heartbeat`` in seconds (None: it is not asked for), ``batch`` the most
    events in one Bundle. ``spelling`` is ``Type?a=b``, ``Type.a=b`` or ``a=b``.
    ``secret_header`` and ``secret_extension`` carry an HMAC's secret on the create.
    ``socket_bind`` is how a WebSocket is bound.
    ``suffix`` follows the FHIR base where Subscriptions live elsewhere; ``patience`` is
    how many seconds an activation may take. ``app`` is what is special about launches.
    """

    name: str
    title: str
    software: tuple[str, ...] = ()
    pushes: bool = True
    note: str = ""
    forms: tuple[Form, ...] = ("backport", "criteria")
    topic_versions: tuple[str, ...] = ("4.0", "4.3", "5.0")
    content: Content = "id-only"
    heartbeat: int | None = 300
    batch: int = 20
    spelling: Spelling = "query"
    socket_bind: Literal["text", "json"] = "text"
    proof: Proof = "header"
    secret_header: str | None = None
    secret_extension: str | None = None
    channel_extensions: tuple[dict[str, Any], ...] = ()
    numbering: Numbering = "monotonic"
    suffix: str = ""
    create_status: str = "requested"
    rules: tuple[TopicRule, ...] = ()
    patience: int = 300
    app: AppWays = field(default_factory=AppWays)
