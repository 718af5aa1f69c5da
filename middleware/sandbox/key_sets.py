"""JSON Web Key Sets of others: read, or refused in one sentence.

It may not fetch; it reads what was fetched or registered. Source: RFC 7517.
"""

from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import KeySet


def read_key_set(body: Any) -> KeySet:
    """Answer a JWK Set; ValueError when it is none, or holds private keys."""
    try:
        keys = KeySet.import_key_set(body)
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise ValueError("the key set cannot be read") from error
    if any(key.is_private for key in keys):
        raise ValueError("the key set publishes a private key")
    return keys
