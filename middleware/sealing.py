"""Sealing secrets at rest: AES-256-GCM under keys from one file.

The first key seals and any of them opens, so that a key is replaced by putting a new
one first. Keys never go into the database, a log or a message.
"""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mappings.errors import ConfigurationError, StorageError

KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = b"\x01"


class Sealer:
    """Seals and opens bytes; ``keys`` are 32 bytes each, the newest first."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ConfigurationError(
                "A sealing key is missing or is not 32 bytes long; nothing was sealed; "
                "check CARECUE_SECRET_KEY_FILE"
            )
        self._ciphers = tuple(AESGCM(key) for key in keys)

    def seal(self, plain: bytes) -> bytes:
        """Return version, nonce and ciphertext under the first key."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._ciphers[0].encrypt(nonce, plain, _VERSION)

    def open(self, sealed: bytes) -> bytes:
        """Return what was sealed under any of the keys; raises StorageError."""
        nonce = sealed[1 : 1 + _NONCE_BYTES]
        if sealed[:1] == _VERSION and len(nonce) == _NONCE_BYTES:
            for cipher in self._ciphers:
                try:
                    return cipher.decrypt(nonce, sealed[1 + _NONCE_BYTES :], _VERSION)
                except InvalidTag:
                    continue
        raise StorageError(
            "a stored secret cannot be opened with the present keys; it was left as it "
            "is; put the key that sealed it back into CARECUE_SECRET_KEY_FILE",
            permanent=True,
        )


def read_keys(path: Path) -> tuple[bytes, ...]:
    """Read the keys, one base64 line each; raises ConfigurationError.

    The file must be readable by its owner alone (mode 0600 or 0400).
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        lines = path.read_text(encoding="ascii", errors="replace").split()
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror}); nothing was opened; give the "
            "sealing keys in CARECUE_SECRET_KEY_FILE"
        ) from None
    if mode & 0o077:
        raise ConfigurationError(
            f"{path} can be read by others (mode {mode:04o}); its keys were not used; "
            f"run `chmod 600 {path}`, and replace the keys if somebody may have read it"
        )
    try:
        keys = tuple(base64.b64decode(line, validate=True) for line in lines)
    except ValueError:
        keys = ()
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise ConfigurationError(
            f"{path} does not hold keys (base64 of 32 bytes, one a line); nothing was "
            "opened; restore it from your backup"
        )
    return keys


def create_key_file(path: Path) -> bool:
    """Write a new key unless the file exists; return whether it was written."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    line = base64.b64encode(AESGCM.generate_key(bit_length=KEY_BYTES * 8))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "wb") as file:
        file.write(line + b"\n")
    return True
