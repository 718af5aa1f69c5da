"""A text that nothing shows: a token, a client's secret, a password. Pure.

It is compared, kept and handed on like any value. It has no form as text, JSON or
pickle, so that no message, log, page or answer can hold what it holds. Where it is sent
or sealed it is revealed; `tests/architecture/test_secrets.py` names those places.
"""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """Holds a text; ``reveal`` alone gives it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text, to be sent or sealed and to go nowhere else."""
        return self._text

    def __repr__(self) -> str:
        return "[secret]"

    def __format__(self, spec: str) -> NoReturn:
        raise TypeError("a secret has no text to put into another")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not copied, pickled or handed to another process")

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)
