"""What a token response must say before anybody gets in.

Pure but for the key set it is handed: signature, issuer, audience, nonce and expiry of
the id_token, then who the user is and whose chart it is. Sources: OpenID Connect Core
3.1.3.7, SMART App Launch 2.2 (scopes and launch context).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import ClaimError, JoseError

from mappings.dialects.registry import app_ways
from mappings.endpoint import Endpoint
from mappings.errors import LaunchError
from mappings.reference import FHIR_ID
from mappings.secret import Secret
from middleware.desk.viewer import mark
from smart_app.oauth import clean_text
from smart_app.signatures import decode_claims

LEEWAY_SECONDS = 30
# Of a token whose life is not said (RFC 6749 5.1 only recommends it).
DEFAULT_LIFE = timedelta(minutes=5)
LONGEST_LIFE = 99_999_999

LACKS = {
    "T2": mark(
        "The EHR answered without a usable access token. Nothing was opened. Open this "
        "app again from the chart."
    ),
    "T3": mark(
        "The EHR did not say which patient's chart is open. Nothing was opened. Open "
        "this app again from the chart."
    ),
    "T4": mark(
        "The EHR did not say who is signed in. Nothing was opened. Open this app again "
        "from the chart."
    ),
    "T5": mark(
        "The EHR's proof of who is signed in is not good. Nothing was opened. Open this "
        "app again from the chart."
    ),
}

Keys = Callable[[bool], dict[str, Any]]


@dataclass(frozen=True)
class Access:
    """What a checked token response gives: references are ``Type/id``.

    ``deviation`` is what it said of the token's life where that says nothing.
    """

    token: Secret
    expires_at: datetime
    patient: str | None
    encounter: str | None
    id_token: Secret
    scope: str
    need_patient_banner: bool
    refresh_token: Secret | None = None
    deviation: str | None = None


def read_access(
    answer: dict[str, Any], now: datetime, *, base: str, picks: bool = False
) -> Access:
    """Read the token response; LaunchError T2-T4 names what it lacks.

    With ``picks`` a patient may be missing, who is then chosen here.
    """
    token = _read_token(answer)
    patient = read_named("Patient", answer, base)
    if patient is None and not (picks and answer.get("patient") is None):
        raise _refuse("T3", name_value("patient", answer.get("patient")))
    id_token = answer.get("id_token")
    if not isinstance(id_token, str) or not id_token:
        raise _refuse("T4", "id_token")
    life = _read_life(answer.get("expires_in"))
    return Access(
        token=token,
        expires_at=now + (life or DEFAULT_LIFE),
        patient=patient,
        encounter=read_named("Encounter", answer, base),
        id_token=Secret(id_token),
        scope=read_granted(answer),
        need_patient_banner=not _is_false(answer.get("need_patient_banner")),
        refresh_token=read_refresh(answer),
        deviation=_name_unsaid(answer, life),
    )


def read_named(kind: str, answer: dict[str, Any], base: str) -> str | None:
    """Return the Patient or Encounter that a token response names, as ``Type/id``.

    SMART has the id alone. Some servers write a reference; one within ``base`` says the
    same, and any other is nobody.
    """
    value = answer.get(kind.lower())
    text = value if isinstance(value, str) else ""
    local = text.removeprefix(f"{base}/")
    identifier = local.removeprefix(f"{kind}/")
    known = FHIR_ID.match(identifier) and (local == text or identifier != local)
    return f"{kind}/{identifier}" if known else None


@dataclass(frozen=True)
class Renewed:
    """An access token that took another's place, with the same ``deviation``."""

    token: Secret
    expires_at: datetime
    deviation: str | None = None


def read_renewed(answer: dict[str, Any], now: datetime) -> Renewed:
    """Read the answer to a refresh; LaunchError T2 without a usable token."""
    token, life = _read_token(answer), _read_life(answer.get("expires_in"))
    expires_at = now + (life or DEFAULT_LIFE)
    return Renewed(token, expires_at, _name_unsaid(answer, life))


def read_granted(answer: dict[str, Any]) -> str:
    """Return the scope of a token response; empty where it says nothing of it.

    RFC 6749 writes one text; a list of words is taken as well. A word with letters that
    nobody can read grants nothing, and is kept nowhere.
    """
    value = answer.get("scope") or ""
    words = value if isinstance(value, list) else str(value).split()
    return " ".join(word for word in map(str, words) if word.isprintable() and word)


def read_refresh(answer: dict[str, Any]) -> Secret | None:
    """Return the refresh token of a token response; None where there is none."""
    value = answer.get("refresh_token")
    usable = isinstance(value, str) and value.isascii() and value.isprintable()
    return Secret(value) if usable and value else None


def verify_id_token(
    raw: Secret,
    keys: Keys,
    *,
    endpoint: Endpoint,
    issuers: tuple[str, ...],
    nonce: str | None,
    now: datetime,
) -> dict[str, Any]:
    """Return the claims of a good id_token; LaunchError T5 for any other.

    ``nonce`` is None for one that came with a refresh, which has none of its own.

    ``keys(fresh)`` gives the JWKS. It is asked afresh once, when no known key fits.
    """
    try:
        try:
            claims = decode_claims(raw.reveal(), keys(False))
        except (JoseError, ValueError, TypeError, KeyError):
            claims = decode_claims(raw.reveal(), keys(True))
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise _refuse("T5", "id_token: signature") from error
    rules = _write_rules(claims, endpoint, issuers, nonce)
    registry = jwt.JWTClaimsRegistry(
        now=int(now.timestamp()), leeway=LEEWAY_SECONDS, **rules
    )
    try:
        registry.validate(claims)
    except ClaimError as error:
        # A nonce that is not ours is nobody's business.
        value = None if error.claim == "nonce" else claims.get(error.claim)
        raise _refuse("T5", f"id_token: {name_value(error.claim, value)}") from error
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise _refuse("T5", "id_token") from error
    # It is kept, audited and shown to operators: no letter that a screen would obey.
    if not str(claims["sub"]).isprintable():
        raise _refuse("T5", name_value("id_token: sub", claims["sub"]))
    return claims


def _write_rules(
    claims: dict[str, Any],
    endpoint: Endpoint,
    issuers: tuple[str, ...],
    nonce: str | None,
) -> dict[str, Any]:
    rules: dict[str, Any] = {
        "iss": {"essential": True, "values": list(issuers)},
        "aud": {"essential": True, "value": endpoint.app.client_id},
        "sub": {"essential": True},
        "exp": {"essential": True},
        "iat": {"essential": True},
    }
    # OpenID Connect Core 3.1.3.7: azp names us, and several audiences need one.
    several = isinstance(claims.get("aud"), list) and len(claims["aud"]) > 1
    if several or "azp" in claims:
        rules["azp"] = {"essential": True, "value": endpoint.app.client_id}
    ways = app_ways(endpoint.profile)
    if nonce is None and not ways.renewed_audience and "aud" not in claims:
        rules.pop("aud")
    echoed = (endpoint.app.nonce_echoed and ways.nonce_echoed) or "nonce" in claims
    if nonce is not None and echoed:
        rules["nonce"] = {"essential": True, "value": nonce}
    return rules


def _is_false(value: Any) -> bool:
    # A zero equals False and says nothing clearly.
    return value is False or value == "false"


def _read_token(answer: dict[str, Any]) -> Secret:
    token, kind = answer.get("access_token"), answer.get("token_type")
    usable = isinstance(token, str) and token.isascii() and token.isprintable()
    if not usable or not token:
        raise _refuse("T2", "access_token")
    if str(kind).lower() != "bearer":
        raise _refuse("T2", name_value("token_type", kind))
    return Secret(str(token))


def _read_life(value: Any) -> timedelta | None:
    """Return a life in seconds; None for what is no positive number of them."""
    if isinstance(value, bool):
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    good = 1 <= seconds <= LONGEST_LIFE
    return timedelta(seconds=int(seconds)) if good else None


def _name_unsaid(answer: dict[str, Any], life: timedelta | None) -> str | None:
    return None if life else name_value("expires_in", answer.get("expires_in"))


def name_value(name: str, value: Any) -> str:
    """Return a member of a server's answer with what it holds, if anything; bounded."""
    text = (
        ""
        if value is None
        else clean_text(value if isinstance(value, str) else str(value))
    )
    return f"{name} {text}".strip()


def _refuse(code: str, found: str) -> LaunchError:
    return LaunchError(LACKS[code], code=code, status=502, found=found)
