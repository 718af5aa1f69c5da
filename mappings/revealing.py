"""Words that may reveal a diagnosis, medicine, test, result or specialty, as data.

One CodeSystem for each language in ``library/linting``; a language more is a file more.
"""

from __future__ import annotations

import functools

from mappings.content import shipped_resources
from mappings.plan import NS

PREFIX = f"{NS}/CodeSystem/revealing-"


@functools.cache
def revealing_words() -> dict[str, tuple[str, ...]]:
    """Return the beginnings of words by language tag."""
    return {
        str(item["language"]): tuple(str(part["code"]) for part in item["concept"])
        for item in shipped_resources()
        if str(item.get("url")).startswith(PREFIX)
    }
