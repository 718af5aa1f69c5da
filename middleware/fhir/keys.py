"""Our own signing keys: RS384 and ES384, their public set, and how they are rotated.

Private parts leave only through ``dump``, for the caller to seal. Sources: SMART App
Launch 2.2 client-confidential-asymmetric; RFC 7517, RFC 7638.
"""

from __future__ import annotations

from typing import Any

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from mappings.errors import ConfigurationError

ALGORITHMS = ("RS384", "ES384")
_RSA_BITS = 3072

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
    rsa = RSAKey.generate_key(_RSA_BITS, private=True)
    curve = ECKey.generate_key("P-384", private=True)
    return (
        _import({**rsa.as_dict(private=True), "alg": "RS384"}),
        _import({**curve.as_dict(private=True), "alg": "ES384"}),
    )


def _import(jwk: dict[str, Any]) -> SigningKey:
    kind: type[RSAKey | ECKey] = RSAKey if jwk["kty"] == "RSA" else ECKey
    thumbprint = kind.import_key(jwk).thumbprint()
    return kind.import_key({**jwk, "kid": thumbprint, "use": "sig"})
