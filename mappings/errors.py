"""The error tree of the whole product, on the ground floor.

The adapter that meets a fault translates it into one of these; whoever retries reads
``permanent``. A message says what happened, what is safe and what to do, and never
carries patient data.
"""

from __future__ import annotations

from typing import Any, Literal

# Why a call of CDS Hooks got no card that it might have had.
CdsReason = Literal[
    "jwt-missing",
    "jwt-unreadable",
    "jwt-algorithm",
    "issuer-unknown",
    "key-url-unknown",
    "keys-unreachable",
    "signature-wrong",
    "audience-wrong",
    "jwt-time",
    "jwt-claims",
    "jwt-replayed",
    "body-wrong",
    "body-too-large",
    "service-unknown",
    "server-unknown",
    "token-foreign",
    "not-permitted",
    "stay-of-another",
    "card-unknown",
    "chart-unread",
    "too-late",
    "too-busy",
    "broken",
]


class CareCueError(Exception):
    """Anything that CareCue raises on purpose.

    ``permanent`` is the whole retry policy: True means that trying again with the
    same input cannot help.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.permanent = permanent


class ConfigurationError(CareCueError):
    """A setting, an endpoint or a content file is wrong: fix it and start again."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


class BadInputError(CareCueError):
    """What a caller gave cannot be understood; nothing was changed.

    ``field`` is the name of the form's field that is to be filled in otherwise, if one.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message, permanent=True)
        self.field = field


class ContentError(CareCueError):
    """A plan, value set or wording is not usable; it is off until it is mended."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


class FhirError(CareCueError):
    """A FHIR server answered with an error, or did not answer (``status`` None)."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        outcome: dict[str, Any] | None = None,
        permanent: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, permanent=permanent)
        self.status = status
        self.outcome = outcome
        self.retry_after = retry_after


class UnlocatedError(FhirError):
    """A server took a creation and did not say where it stands."""


class MergedError(FhirError):
    """A server answered for a record with the one that replaces it (``Patient/id``)."""

    def __init__(self, survivor: str) -> None:
        super().__init__(
            "the record that was asked for is merged into another; nothing is decided "
            "on the old one; what was planned goes over to the record that lives on",
            status=409,
            permanent=True,
        )
        self.survivor = survivor


class AnotherResourceError(FhirError):
    """A server answered a read with another resource than the one asked for."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            f"The FHIR server answered a read of {kind} with another resource (a merged "
            "record?); it was not used; look it up in the EHR",
            status=200,
            permanent=True,
        )


class CdsError(CareCueError):
    """A CDS Hooks call is refused with an HTTP ``status``; ``code`` is FHIR's issue type.

    ``reason`` is what logs and metrics say of it: nothing of the call itself.
    """

    def __init__(
        self, message: str, *, status: int, reason: CdsReason, code: str = "invalid"
    ) -> None:
        super().__init__(message, permanent=True)
        self.status = status
        self.reason: CdsReason = reason
        self.code = code


class ReferenceRefusedError(FhirError):
    """A reference or link points outside the endpoint's base: it is never followed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


class AuthorizationError(CareCueError):
    """An authorization server refused us, or its answer cannot be trusted.

    ``found`` is the fault in the terms of the protocol (a URL, a status), which need no
    translation; nothing secret is in it.
    """

    def __init__(
        self, message: str, *, permanent: bool = False, found: str = ""
    ) -> None:
        super().__init__(message, permanent=permanent)
        self.found = found


class UnreviewedHostError(AuthorizationError):
    """A document sends us to a host that no administrator has reviewed."""


class LaunchError(CareCueError):
    """A SMART launch cannot go on; ``code`` is the short code that a person reads.

    ``said`` is the EHR's own error, as text that a page may show; ``link`` is the
    page that it gives for it; ``found`` is what did not fit, in the terms of the
    protocol, which need no translation. ``launch_id`` is set once there is a launch,
    ``endpoint_id`` where only the EHR is known, ``alone`` to a page of ours that may
    work in a window of its own.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int = 400,
        said: str = "",
        link: str = "",
        found: str = "",
    ) -> None:
        super().__init__(message, permanent=True)
        self.code = code
        self.status = status
        self.said = said
        self.link = link
        self.found = found
        self.launch_id: str | None = None
        self.endpoint_id: str | None = None
        self.alone = ""


class NotificationError(CareCueError):
    """A notification cannot be understood.

    ``quarantine`` True means that it is FHIR's and plausibly meant for us: an
    authenticated sender is answered 200 and a person looks. Otherwise ``status`` is
    the HTTP status of the refusal.
    """

    def __init__(
        self, message: str, *, status: int = 400, quarantine: bool = True
    ) -> None:
        super().__init__(message, permanent=True)
        self.status = status
        self.quarantine = quarantine


class ChannelError(CareCueError):
    """A channel did not take a message.

    ``maybe_sent`` True means that the provider may have taken it before the fault: the
    message must not be sent again blindly. ``reason`` is a code of
    :data:`mappings.nudge.REASONS`.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        permanent: bool = False,
        maybe_sent: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, permanent=permanent)
        self.reason = reason
        self.maybe_sent = maybe_sent
        self.retry_after = retry_after


class StorageError(CareCueError):
    """The database cannot be reached, is of the wrong version or was fenced off."""


class FencedError(StorageError):
    """Another worker has taken this shard: nothing of this batch was kept."""

    def __init__(self, stage: str, shard: int) -> None:
        super().__init__(
            f"shard {shard} of {stage} was taken by another worker; this batch was "
            "rolled back and will be done there"
        )
