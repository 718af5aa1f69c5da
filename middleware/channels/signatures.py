"""Whether a call really comes from the provider: pure, in constant time.

Source: Twilio, "Webhooks security".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping


def write_twilio_signature(url: str, params: Mapping[str, str], token: str) -> str:
    """Return base64 HMAC-SHA1 over the URL and the form's fields, sorted by name."""
    text = url + "".join(f"{name}{params[name]}" for name in sorted(params))
    digest = hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def check_twilio_signature(
    url: str, params: Mapping[str, str], signature: str, token: str
) -> bool:
    """Tell whether the call was signed with our auth token.

    ``url`` is the public URL with its query, as the provider was given it. False
    without a token: an unset token must not admit everybody.
    """
    if not token:
        return False
    expected = write_twilio_signature(url, params, token)
    return hmac.compare_digest(expected.encode(), signature.encode())
