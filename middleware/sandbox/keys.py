"""The sandbox's signing key, and the key set that it publishes.

It may not know clients or claims beyond signing them. The private key lives in
`data_dir/signing-key.json`, readable by its owner alone.
"""

import os
import threading
from pathlib import Path
from typing import Any

import orjson
from flask import Flask
from joserfc import jwt
from joserfc.jwk import RSAKey

FILE_NAME = "signing-key.json"
KEY_BITS = 2048


class SigningKeys:
    """One RSA key for RS256, made when first needed and kept in `data_dir`.

    PermissionError when others than the owner can read the file.
    """

    def __init__(self, data_dir: Path | None) -> None:
        self._path = None if data_dir is None else data_dir / FILE_NAME
        self._lock = threading.Lock()
        self._key: RSAKey | None = None

    def sign(self, claims: dict[str, Any]) -> str:
        """Answer the claims as a compact JWT, signed with RS256."""
        key = self._current()
        header = {"alg": "RS256", "kid": key.kid}
        return jwt.encode(header, claims, key, algorithms=["RS256"])

    def jwks(self) -> dict[str, Any]:
        """Answer the public key set (RFC 7517)."""
        public = self._current().as_dict(private=False)
        return {"keys": [{**public, "use": "sig", "alg": "RS256"}]}

    def _current(self) -> RSAKey:
        with self._lock:
            if self._key is None:
                self._key = self._load() or self._make()
            return self._key

    def _load(self) -> RSAKey | None:
        if self._path is None or not self._path.exists():
            return None
        if self._path.stat().st_mode & 0o077:
            raise PermissionError(
                f"{self._path.name} can be read by others; nothing was signed. "
                "Set its mode to 0600."
            )
        return RSAKey.import_key(orjson.loads(self._path.read_bytes()))

    def _make(self) -> RSAKey:
        key = RSAKey.generate_key(KEY_BITS, private=True)
        key.ensure_kid()
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(self._path, flags, 0o600), "wb") as file:
                file.write(orjson.dumps(key.as_dict(private=True)))
        return key


def register(app: Flask) -> None:
    """Put the keys into the application."""
    app.extensions["keys"] = SigningKeys(app.extensions["options"].data_dir)
