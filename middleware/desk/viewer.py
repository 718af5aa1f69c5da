"""Who looks at the page: their language, and every sentence said in it.

The catalogues are read as they are (``locale/*.po``, gettext), once for the process:
there is no build step. A sentence without a translation is said in English.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from babel import Locale, UnknownLocaleError
from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

from middleware.decisions.languages import language_tags

CATALOGUES = Path(__file__).parent / "locale"
LANGUAGES = {"en": "English", "es": "Español"}
# What is handed to patients is in more languages: their catalogues hold that alone.
HANDED = LANGUAGES | {"vi": "Tiếng Việt", "zh-Hans": "简体中文", "ar": "العربية"}
HOME = {"en": "en_US", "es": "es_US", "vi": "vi", "zh-Hans": "zh_Hans", "ar": "ar"}
Style = Literal["standard", "or"]
ISOLATE, POP = "\u2068", "\u2069"


def mark(text: str) -> str:
    """Return the sentence as it is, and so mark it for translation where it is said."""
    return text


@dataclass(frozen=True)
class Viewer:
    """A person at the page: ``tag`` is the BCP-47 tag of the language they read."""

    tag: str
    locale: Any
    translations: Any

    @property
    def language(self) -> str:
        """Return the language of the sentences, as a catalogue's name."""
        return str(self.locale.language)

    @property
    def direction(self) -> str:
        """Return ``ltr`` or ``rtl``."""
        return str(self.locale.text_direction)

    def say(self, sentence: str, **values: object) -> str:
        """Return the sentence in the viewer's language, with its values put in."""
        return self._fill(self.translate(sentence), values)

    def say_many(self, one: str, many: str, number: int, **values: object) -> str:
        """Return the form of a sentence that goes with ``number`` (``%(number)s``)."""
        text = self.translations.ngettext(one, many, number)
        return self._fill(text, {"number": number, **values})

    def translate(self, sentence: str) -> str:
        """Return the sentence with its places still open; the empty one stays empty."""
        return str(self.translations.gettext(sentence)) if sentence else ""

    def join(self, parts: Sequence[str], style: Style = "standard") -> str:
        """Return a list as the language writes it: ``standard`` (and) or ``or``."""
        # A region's own data may hold a part of the pattern only.
        locale = Locale(self.language)
        return str(format_list(list(parts), style, locale)) if parts else ""

    def isolate(self, text: str) -> str:
        """Keep a text that runs the other way from turning the sentence around it.

        From right to left that is also a number: its sign and hyphens would change sides.
        """
        turned = {"R", "AL"} if self.direction == "ltr" else {"L", "EN"}
        other = any(unicodedata.bidirectional(letter) in turned for letter in text)
        return f"{ISOLATE}{text}{POP}" if other else text

    def _fill(self, text: str, values: dict[str, object]) -> str:
        put = {
            name: self.isolate(_end_once(text, name, value))
            if isinstance(value, str)
            else value
            for name, value in values.items()
        }
        return text % put if put else text


def _end_once(text: str, name: str, value: str) -> str:
    """Leave the full stop to the sentence, where both end here: ``8 p.m.`` and it."""
    return value.removesuffix(".") if f"%({name})s." in text else value


@cache
def viewer_of(tag: str) -> Viewer:
    """Return the viewer of a BCP-47 tag; dates follow its region where it has one.

    A language without a catalogue is read in English.
    """
    primary = tag.replace("_", "-").partition("-")[0].lower()
    if primary not in LANGUAGES:
        return viewer_of("en-US")
    return _viewer(tag, primary)


def find_handed(tag: str) -> str:
    """Return which catalogue a patient's BCP-47 tag is handed, empty for none of ours."""
    return next((one for one in language_tags(tag) if one in HANDED), "")


@cache
def reader_of(tag: str) -> Viewer:
    """Return who reads what is handed over in a BCP-47 tag; without ours, in English."""
    found = find_handed(tag)
    return _viewer(language_tags(tag)[0], found) if found else viewer_of("en-US")


def _viewer(tag: str, catalogue: str) -> Viewer:
    try:
        locale = Locale.parse(tag, sep="-") if "-" in tag else None
    except (ValueError, UnknownLocaleError):
        locale = None
    locale = locale or Locale.parse(HOME[catalogue])
    return Viewer(str(locale).replace("_", "-"), locale, _translations(catalogue))


def choose_tag(wanted: Iterable[str]) -> str:
    """Return the first wanted tag (best first) that has a catalogue, else English."""
    known = (tag for tag in wanted if tag.partition("-")[0].lower() in LANGUAGES)
    return next(known, "en-US")


@cache
def _translations(language: str) -> Any:
    with (CATALOGUES / f"{language}.po").open("rb") as source:
        catalogue = read_po(source, locale=HOME[language])
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)
