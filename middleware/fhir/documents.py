"""One JSON document by HTTP: without a token, a redirect or a member given twice."""

from __future__ import annotations

import json
from typing import Any

import requests

from mappings.errors import AuthorizationError
from middleware.ports import require_no_transaction

SECONDS = 10.0


def get_document(session: requests.Session, url: str) -> requests.Response:
    """Ask for a document; whatever answers is returned as it is."""
    headers = {"Accept": "application/json, application/fhir+json"}
    return session.get(
        url, headers=headers, timeout=(3.0, SECONDS), allow_redirects=False
    )


def fetch_document(
    session: requests.Session, url: str, *, missing_ok: bool = False
) -> dict[str, Any] | None:
    """Return a document; None where there is none and that is ``missing_ok``.

    Raises AuthorizationError, which names the URL and what came instead.
    """
    require_no_transaction("discovery")
    try:
        response = get_document(session, url)
    except requests.RequestException as error:
        raise AuthorizationError(
            f"A discovery document could not be read ({type(error).__name__}); it may "
            "be tried again",
            found=f"{url}: {type(error).__name__}",
        ) from None
    if missing_ok and response.status_code in {401, 403, 404, 405, 410, 501}:
        return None
    if response.status_code != 200:
        raise AuthorizationError(
            f"A discovery document was answered with {response.status_code}; redirects "
            "are not followed; nothing was stored",
            permanent=response.status_code < 500,
            found=f"{url}: {response.status_code}",
        )
    document = parse_document(response.content)
    if document is None:
        raise AuthorizationError(
            "A discovery document is not one JSON object with unique members; nothing "
            "was stored",
            permanent=True,
            found=f"{url}: {response.headers.get('Content-Type', 'no JSON')[:60]}",
        )
    return document


def parse_document(content: bytes) -> dict[str, Any] | None:
    """Parse an object; None for anything else, members given twice included."""
    try:
        parsed = json.loads(content, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is given twice")
    return members
