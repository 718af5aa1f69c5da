"""The public keys of clients: given at registration, or fetched from their URL.

It may not follow redirects, leave this machine or wait long; whatever goes wrong
is one ValueError that says so.
"""

import http.client
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import orjson
from joserfc.jwk import Key, KeySet

from middleware.sandbox.addresses import is_loopback
from middleware.sandbox.clients import Client
from middleware.sandbox.key_sets import read_key_set

TIMEOUT_SECONDS = 5.0
LARGEST_BODY = 64 * 1024
CACHE_SECONDS = 60.0


class ClientKeys:
    """Finds a client's key by its kid; fetched sets are kept for a minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fetched: dict[str, tuple[float, KeySet]] = {}

    def find(self, client: Client, kid: str) -> Key:
        """Answer the one key of the client with this kid.

        A kid that the kept set does not have makes it fetch the set once more.
        ValueError when there is none, or several, or the set cannot be had.
        """
        if client.jwks is not None:
            return _pick(read_key_set(client.jwks), kid)
        if client.jwks_uri is None:
            raise ValueError("the client registered no keys")
        kept = self._kept(client.jwks_uri)
        if kept is not None:
            try:
                return _pick(kept, kid)
            except ValueError:
                pass
        return _pick(self._fetch(client.jwks_uri), kid)

    def _kept(self, url: str) -> KeySet | None:
        with self._lock:
            fetched_at, keys = self._fetched.get(url, (0.0, None))
        if keys is None or time.monotonic() - fetched_at > CACHE_SECONDS:
            return None
        return keys

    def _fetch(self, url: str) -> KeySet:
        keys = read_key_set(fetch_json(url))
        with self._lock:
            self._fetched[url] = (time.monotonic(), keys)
        return keys


def fetch_json(url: str) -> Any:
    """Answer the JSON at a loopback URL; ValueError when it cannot be had."""
    if not is_loopback(url):
        raise ValueError("the key set's address is not on this machine")
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path, headers={"Accept": "application/json"})
        response = connection.getresponse()
        body = response.read(LARGEST_BODY + 1)
    except (OSError, http.client.HTTPException) as error:
        raise ValueError("the key set could not be fetched") from error
    finally:
        connection.close()
    if response.status != 200:
        raise ValueError(f"the key set's address answered {response.status}")
    if len(body) > LARGEST_BODY:
        raise ValueError(f"the key set has more than {LARGEST_BODY} bytes")
    return orjson.loads(body)


def _pick(keys: KeySet, kid: str) -> Key:
    found = [key for key in keys if key.kid == kid]
    if len(found) != 1:
        raise ValueError(f"the key set has {len(found)} keys with this kid")
    return found[0]
