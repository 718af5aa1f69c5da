"""The last look at a finished text: short enough, and revealing nothing.

No diagnosis, medicine, test, result or specialty may stand in a message; the sender
comes first; a text message says how to stop.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator

from mappings.revealing import revealing_words
from middleware.decisions.languages import without_marks

GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENDED = frozenset("^{}\\[~]|€\f")
MAX_SEGMENTS = 2
_PLACEHOLDER = re.compile(
    r"\{\{|\}\}|\{%|\$\{|\[[A-Z_ ]{3,}\]|\b(?:None|null|undefined)\b"
)
_STOP = re.compile(r"(?<![A-Za-z])STOP(?![A-Za-z])")

_LINK = re.compile(r"(?:https?://|\b[\w-]+(?:\.[\w-]+)+/)[^\s\u200e\u200f]*", re.ASCII)
# Nobody is congratulated by a machine: it never knows enough. A birthday is greeted.
_CONGRATULATES = re.compile(
    r"\b(?:congrat|felicidad|felicita|enhorabuena)|恭喜|祝贺|祝賀|تهانينا|مبروك|تهنئ|"
    r"\bchúc mừng\b(?! sinh nhật)"
)
_ACCENTED = frozenset({"vi"})
# What may stand before a word in Arabic and is written with it.
_CLITICS = "(?:[وفبلك]|ال|وال|بال|فال|كال|لل|ولل)?"


@functools.cache
def _patterns() -> tuple[re.Pattern[str], tuple[re.Pattern[str], ...]]:
    """Return the patterns for the text without accents and for the text as it is."""
    plain: list[str] = []
    arabic: list[str] = []
    accented: list[str] = []
    inside: list[str] = []
    for language, words in revealing_words().items():
        folded = [word.casefold() for word in words]
        if language.startswith("zh"):
            inside += folded
        elif language in _ACCENTED:
            accented += folded
        else:
            bare = (_plain(word).casefold() for word in words)
            (arabic if language == "ar" else plain).extend(bare)
    without = rf"\b(?:{_any_of(plain)}|{_CLITICS}(?:{_any_of(arabic)}))"
    # By itself what begins with one of some signs is looked for only where one stands.
    as_it_is = (rf"\b(?:{_any_of(accented)})", _any_of(inside))
    return re.compile(without), tuple(map(re.compile, as_it_is))


def _any_of(words: Iterable[str]) -> str:
    """Return a pattern for any of the words that reads their first sign only once.

    As plain alternatives all of them are tried at each place: a millisecond a text.
    """
    rests: dict[str, set[str]] = {}
    for word in words:
        rests.setdefault(word[0], set()).add(re.escape(word[1:]))
    return "|".join(
        f"{re.escape(first)}(?:{'|'.join(sorted(rest))})"
        for first, rest in sorted(rests.items())
    )


def is_revealing(text: str) -> bool:
    """Tell whether a word may reveal a diagnosis, medicine, test, result or specialty."""
    plain, whole = _patterns()
    accented = unicodedata.normalize("NFC", text).casefold()
    bare = _plain(text).casefold()
    return bool(plain.search(bare)) or any(one.search(accented) for one in whole)


def is_gsm(text: str) -> bool:
    """Tell whether every character is in the GSM-7 alphabet (3GPP TS 23.038)."""
    return all(item in GSM_BASIC or item in GSM_EXTENDED for item in text)


def count_segments(text: str) -> int:
    """Return how many SMS segments a text needs: 160/153 septets or 70/67 UTF-16."""
    if is_gsm(text):
        length = sum(2 if item in GSM_EXTENDED else 1 for item in text)
        single, joined = 160, 153
    else:
        length = len(text.encode("utf-16-be")) // 2
        single, joined = 70, 67
    return 1 if length <= single else -(-length // joined)


def fold_to_gsm(text: str) -> str:
    """Replace letters outside GSM-7 by their nearest ones (María to Maria)."""
    found = []
    for item in text:
        if item in GSM_BASIC or item in GSM_EXTENDED:
            found.append(item)
            continue
        plain = unicodedata.normalize("NFKD", item)
        kept = "".join(part for part in plain if not unicodedata.combining(part))
        found.append(kept if kept and is_gsm(kept) else item)
    return "".join(found)


def find_faults(
    text: str,
    *,
    channel: str,
    clinic: str,
    subject: str = "",
    links: Collection[str] = (),
    max_segments: int = MAX_SEGMENTS,
) -> tuple[str, ...]:
    """Return what is wrong with a finished text; empty when it may go.

    It may have no link but ``links``. The faults name the kind of fault and
    never quote the text.
    """
    whole = f"{subject}\n{text}"
    faults: list[str] = []
    if not text.strip():
        faults.append("the text is empty")
    if _PLACEHOLDER.search(whole):
        faults.append("a placeholder was not filled")
    if is_revealing(whole):
        faults.append("a word may reveal a diagnosis, medicine, test or specialty")
    if _CONGRATULATES.search(unicodedata.normalize("NFC", whole).casefold()):
        faults.append("it congratulates")
    faults.extend(_link_faults(without_marks(whole), links, channel))
    if channel == "email":
        if not clinic or clinic not in whole:
            faults.append("the sender is not named")
    elif not clinic or not without_marks(text).startswith(clinic):
        faults.append("the sender does not come first")
    if channel in ("sms", "email") and not _STOP.search(text):
        faults.append("it does not say how to stop")
    if channel == "sms" and count_segments(text) > max_segments:
        faults.append(f"it needs more than {max_segments} segments")
    return tuple(faults)


def _link_faults(whole: str, links: Collection[str], channel: str) -> Iterator[str]:
    found = [item.rstrip(".,;:!?)،。") for item in _LINK.findall(whole)]
    if any(item not in links for item in found):
        yield "it has a link that was not given for it"
    if channel == "sms" and len(found) > 1:
        yield "it has more than one link"


def _plain(text: str) -> str:
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(part for part in decomposed if not unicodedata.combining(part))
