"""How hard a text is to read: about what a child of twelve reads with ease.

English is measured by the Flesch-Kincaid grade, Spanish by the ease of Fernandez Huerta;
both are made for samples of a hundred words and vary by some points on a message, so that
Spanish may fall five below the 70 of grade 6. No such measure is accepted for Vietnamese,
Chinese or Arabic: there a sentence may not be long.
"""

from __future__ import annotations

import re
from itertools import pairwise

MOST_GRADE = 6.0
LEAST_EASE = 65.0
# The longest sentence: words, for Vietnamese its syllables, for Chinese its signs.
LONGEST = {"ar": 22, "vi": 28, "zh": 40}
_PART = re.compile(r"\{\{.*?\}\}")
_LOGIC = re.compile(r"\{%.*?%\}", re.DOTALL)
_LINK = re.compile(r"\S*(?:://|@|\w\.\w{2,}/)\S*")
_END = re.compile(r"[.!?:;\n。！？；：؟؛]+")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_HAN = re.compile(r"[\u3400-\u9fff]")
_VOWELS = re.compile(r"[aeiouy]+")
_MUTE = re.compile(r"(?:[^laeiouy]|[aeiouy]l)e$|[^aeiouydt]ed$")
_VOCALES = re.compile(r"[aeiouáéíóúü]+")
_STRONG, _STRESSED = frozenset("aeoáéó"), frozenset("íú")


def reading_fault(text: str, language: str) -> str:
    """Say what makes a wording hard to read; "" when it is easy, or no measure exists.

    ``text`` may still have its variables: each counts as one easy word.
    """
    base = language.partition("-")[0].lower()
    sentences = _sentences(text)
    if base == "en" and sentences:
        grade = reading_grade(sentences)
        return f"it reads at grade {grade:.0f}, not 6" if grade > MOST_GRADE else ""
    if base == "es" and sentences:
        ease = reading_ease(sentences)
        said = f"its ease of reading is {ease:.0f}, below {LEAST_EASE:.0f}"
        return said if ease < LEAST_EASE else ""
    most = LONGEST.get(base)
    pattern = _HAN if base == "zh" else _WORD
    if most and any(len(pattern.findall(item)) > most for item in sentences):
        return f"a sentence is longer than {most}"
    return ""


def reading_level(text: str, language: str) -> float | None:
    """Return the grade of an English text, the ease of a Spanish one, else None."""
    base = language.partition("-")[0].lower()
    sentences = _sentences(text)
    if base == "en" and sentences:
        return max(0.0, reading_grade(sentences))
    return reading_ease(sentences) if base == "es" and sentences else None


def _sentences(text: str) -> list[str]:
    plain = _LINK.sub(" ", _PART.sub(" ana ", _LOGIC.sub(" ", text)))
    return [item for item in _END.split(plain) if _WORD.search(item)]


def reading_grade(sentences: list[str]) -> float:
    """Return the Flesch-Kincaid grade level of English sentences."""
    words = [word for item in sentences for word in _WORD.findall(item.lower())]
    beats = sum(map(_syllables, words))
    return 0.39 * len(words) / len(sentences) + 11.8 * beats / len(words) - 15.59


def reading_ease(sentences: list[str]) -> float:
    """Return the ease of Spanish sentences by Fernandez Huerta (90 very easy)."""
    words = [word for item in sentences for word in _WORD.findall(item.lower())]
    beats = sum(map(_silabas, words))
    return 206.84 - 60 * beats / len(words) - 1.02 * len(words) / len(sentences)


def _syllables(word: str) -> int:
    count = len(_VOWELS.findall(word))
    return max(1, count - 1 if _MUTE.search(word) else count)


def _silabas(word: str) -> int:
    """Count the vowels of a word, those that sound together once."""
    count = 0
    for run in _VOCALES.findall(word):
        apart = pairwise(run)
        count += 1 + sum(
            (one in _STRONG and other in _STRONG) or bool({one, other} & _STRESSED)
            for one, other in apart
        )
    return max(1, count)
