"""Language tags: which wording a patient's tag means, and which way it is written."""

from __future__ import annotations

import contextlib
import functools

from babel.core import Locale, UnknownLocaleError

RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ur"})
# What an ordinary reader of the language expects; only such a script may be left out.
USUAL_SCRIPT = {"en": "Latn", "es": "Latn", "vi": "Latn", "ar": "Arab"}
TRADITIONAL = frozenset({"TW", "HK", "MO"})
# ISO 639-2 codes and the Chinese macrolanguage's spoken form, as some charts have them.
OTHER_NAMES = {
    "eng": "en",
    "spa": "es",
    "vie": "vi",
    "ara": "ar",
    "zho": "zh",
    "chi": "zh",
    "cmn": "zh",
}
MARK = "\N{RIGHT-TO-LEFT MARK}"
TURN = "\N{LEFT-TO-RIGHT MARK}"
_TURNING = dict.fromkeys(map(ord, (MARK, TURN)))


def language_tags(tag: str) -> tuple[str, ...]:
    """Return the tags that a wording may have to be read by this patient, best first.

    zh, zh-CN and zh-Hans-CN are zh-Hans; zh-TW and zh-Hant are not. es-MX is es too.
    """
    parts = [part for part in tag.replace("_", "-").split("-") if part]
    base = parts[0].lower() if parts else ""
    base = OTHER_NAMES.get(base, base)
    script = next((part.title() for part in parts[1:] if len(part) == 4), "")
    regions = {part.upper() for part in parts[1:] if len(part) == 2}
    if base == "zh":
        script = script or ("Hant" if regions & TRADITIONAL else "Hans")
        return (f"zh-{script}",)
    if script == USUAL_SCRIPT.get(base):
        script = ""
    whole = "-".join([base, *parts[1:]]) if parts else ""
    return (whole,) if script else tuple(dict.fromkeys((whole, base)))


def is_right_to_left(tag: str) -> bool:
    """Tell whether the language is written from right to left."""
    return tag.partition("-")[0].lower() in RIGHT_TO_LEFT


def keep_left_to_right(value: str, tag: str) -> str:
    """Keep a phone number in its order within text from right to left.

    Digits after the mark count as left to right (UAX 9, rule W7), and what is between
    them with them. One mark is one sign less than an isolate's two.
    """
    return TURN + value if value and is_right_to_left(tag) else value


def without_marks(text: str) -> str:
    """Leave out the marks of direction that we put into texts."""
    return text.translate(_TURNING)


@functools.lru_cache(maxsize=64)
def locale_of(tag: str) -> Locale:
    """Return how the language writes days and times, in the United States if it says."""
    best = language_tags(tag)[-1].replace("-", "_")
    for name in (f"{best}_US", best, "en_US"):
        with contextlib.suppress(UnknownLocaleError, ValueError):
            return Locale.parse(name)
    return Locale.parse("en_US")
