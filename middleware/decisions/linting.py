"""The last look at a finished text: short enough, and revealing nothing.

No diagnosis, medicine, test, result or specialty may stand in a message; the sender
comes first; a text message says how to stop.
"""

from __future__ import annotations

import re
import unicodedata

GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENDED = frozenset("^{}\\[~]|€\f")
MAX_SEGMENTS = 2
_PLACEHOLDER = re.compile(
    r"\{\{|\}\}|\{%|\$\{|\[[A-Z_ ]{3,}\]|\b(?:None|null|undefined)\b"
)
_STOP = re.compile(r"\bSTOP\b")

# Beginnings of words, English and Spanish, without accents and in lower case.
REVEALING = [
    "abort",
    "cancer",
    "carcino",
    "chemo",
    "tumor",
    "oncolog",
    "cardiolog",
    "psychiatr",
    "psiquiatr",
    "psycholog",
    "psicolog",
    "hiv",
    "vih",
    "sida",
    "diabet",
    "insulin",
    "metformin",
    "asthma",
    "asma",
    "copd",
    "stroke",
    "hypertens",
    "hipertens",
    "depress",
    "depres",
    "anxiety",
    "ansiedad",
    "bipolar",
    "schizo",
    "esquizo",
    "suicid",
    "overdos",
    "sobredosis",
    "addict",
    "adicc",
    "opioid",
    "alcohol",
    "pregnan",
    "embaraz",
    "miscarr",
    "obstet",
    "gynecolog",
    "ginecolog",
    "fertility",
    "colonosc",
    "mammo",
    "mamogr",
    "biops",
    "dialys",
    "dialis",
    "nephrol",
    "nefrol",
    "neurolog",
    "dermatolog",
    "urolog",
    "gastroent",
    "rheumat",
    "reumat",
    "hepat",
    "syphil",
    "sifilis",
    "gonorr",
    "chlamyd",
    "clamid",
    "herpes",
    "std",
    "methadon",
    "metadona",
    "buprenorph",
    "statin",
    "estatina",
    "antibiot",
    "hospice",
    "dementia",
    "demencia",
    "alzheim",
    "parkinson",
    "epileps",
    "surgery",
    "cirug",
    "vaccine",
    "vacuna",
    "detox",
]
_REVEALING = re.compile(r"\b(?:" + "|".join(REVEALING) + r")", re.IGNORECASE)


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
    max_segments: int = MAX_SEGMENTS,
) -> tuple[str, ...]:
    """Return what is wrong with a finished text; empty when it may go.

    The faults name the kind of fault and never quote the text.
    """
    whole = f"{subject}\n{text}"
    faults: list[str] = []
    if not text.strip():
        faults.append("the text is empty")
    if _PLACEHOLDER.search(whole):
        faults.append("a placeholder was not filled")
    if _REVEALING.search(_plain(whole)):
        faults.append("a word may reveal a diagnosis, medicine, test or specialty")
    if channel == "email":
        if not clinic or clinic not in whole:
            faults.append("the sender is not named")
    elif not clinic or not text.startswith(clinic):
        faults.append("the sender does not come first")
    if channel in ("sms", "email") and not _STOP.search(text):
        faults.append("it does not say how to stop")
    if channel == "sms" and count_segments(text) > max_segments:
        faults.append(f"it needs more than {max_segments} segments")
    return tuple(faults)


def _plain(text: str) -> str:
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(part for part in decomposed if not unicodedata.combining(part))
