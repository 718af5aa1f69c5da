"""Our own signing keys: RS384 and ES384, their public set, and how they are rotated.

Private parts leave only through ``dump``, for the caller to seal. Sources: SMART App
Launch 2.2 client-confidential-asymmetric; RFC 7517, RFC 7638.
"""

from __future__ import annotations

from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateNumbers,
    RSAPublicNumbers,
)
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeyParameters, RSAKey
from joserfc.util import base64_to_int

from mappings.errors import ConfigurationError

ALGORITHMS = ("RS384", "ES384")
_RSA_BITS = 3072
_RSA_PARTS = ("n", "e", "d", "p", "q", "dp", "dq", "qi")

SigningKey = RSAKey | ECKey


class SigningKeys:
    """Key pairs in order; the first of each algorithm signs, all are published.

    A rotation has three steps with time between them, so that no server meets a key
    that it could not have fetched: ``announce``, ``promote``, ``retire``. Each
    returns a new value.
    """

    def __init__(self, keys: tuple[SigningKey, ...]) -> None:
        algorithms = {key.alg for key in keys}
        if not algorithms.issuperset(ALGORITHMS):
            raise ConfigurationError(
                "The signing keys lack RS384 or ES384; create new ones and register "
                "their public set again"
            )
        self._keys = keys

    def __repr__(self) -> str:
        return f"SigningKeys({', '.join(str(key.kid) for key in self._keys)})"

    @classmethod
    def generate(cls) -> SigningKeys:
        """Make a fresh pair for each algorithm."""
        return cls(_generate_pair())

    @classmethod
    def load(cls, raw: bytes) -> SigningKeys:
        """Read what ``dump`` wrote; ConfigurationError when it is not that."""
        try:
            return cls(tuple(_import(jwk) for jwk in orjson.loads(raw)["keys"]))
        except (JoseError, ValueError, KeyError, TypeError):
            raise ConfigurationError(
                "The stored signing keys cannot be read; restore them from a backup "
                "or create new ones and register their public set again"
            ) from None

    def dump(self) -> bytes:
        """Return all keys, private parts included, as a JWK set: to be sealed."""
        return orjson.dumps({"keys": [key.as_dict(private=True) for key in self._keys]})

    def public_jwks(self) -> dict[str, Any]:
        """Return the JWK set for ``/.well-known/jwks.json``, without private parts."""
        return {"keys": [key.as_dict(private=False) for key in self._keys]}

    def signing_key(self, algorithm: str) -> SigningKey:
        """Return the key that signs; ConfigurationError for another algorithm."""
        for key in self._keys:
            if key.alg == algorithm:
                return key
        raise ConfigurationError(
            f"No key signs with {algorithm}; use RS384 or ES384 for this endpoint"
        )

    def announce(self) -> SigningKeys:
        """Publish a fresh pair that does not sign yet."""
        return SigningKeys((*self._keys, *_generate_pair()))

    def promote(self) -> SigningKeys:
        """Sign with the pair that was announced last; the old stay published."""
        count = len(ALGORITHMS)
        return SigningKeys((*self._keys[-count:], *self._keys[:-count]))

    def retire(self) -> SigningKeys:
        """Publish only the pair that signs."""
        return SigningKeys(tuple(self.signing_key(name) for name in ALGORITHMS))


def _generate_pair() -> tuple[SigningKey, ...]:
    rsa: KeyParameters = {"alg": "RS384", "use": "sig"}
    curve: KeyParameters = {"alg": "ES384", "use": "sig"}
    return (
        RSAKey.generate_key(_RSA_BITS, rsa, private=True, auto_kid=True),
        ECKey.generate_key("P-384", curve, private=True, auto_kid=True),
    )


def _import(jwk: dict[str, Any]) -> SigningKey:
    key = _import_rsa(jwk) if jwk["kty"] == "RSA" else ECKey.import_key(jwk)
    key.ensure_kid()
    return key


def _import_rsa(jwk: dict[str, Any]) -> RSAKey:
    """Read a pair that we made: it came out of a seal, so it is as it was.

    To prove again that its primes are some takes a third of a second.
    """
    part = {name: base64_to_int(jwk[name]) for name in _RSA_PARTS}
    numbers = RSAPrivateNumbers(
        p=part["p"],
        q=part["q"],
        d=part["d"],
        dmp1=part["dp"],
        dmq1=part["dq"],
        iqmp=part["qi"],
        public_numbers=RSAPublicNumbers(part["e"], part["n"]),
    )
    raw = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    return RSAKey(raw, jwk)
