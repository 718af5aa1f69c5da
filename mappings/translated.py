"""Reading FHIR's translation extension: a text of content in other languages.

It stands on a primitive, once for each language: on ``title``, and on the ``text`` of the
CodeableConcept that is the value of one of our extensions. Where that value is a string
it has no translations: fhir.resources refuses what stands beside a value[x].
Source: http://hl7.org/fhir/StructureDefinition/translation
"""

from __future__ import annotations

from collections.abc import Mapping

from mappings.plan import StepWords
from mappings.resource import dict_of, extension_value, extensions_of

TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"


def read_translations(element: object, name: str) -> dict[str, str]:
    """Return a primitive's translations by language tag, in lower case."""
    beside = dict_of(dict_of(element).get(f"_{name}"))
    pairs = (
        (extension_value(item, "lang"), extension_value(item, "content"))
        for item in extensions_of(beside, TRANSLATION)
    )
    return {str(tag).lower(): str(text) for tag, text in pairs if tag and text}


def read_step_words(action: object, why: str, stops_if: str) -> dict[str, StepWords]:
    """Return what a step is called and why it is there, by language.

    ``why`` and ``stops_if`` are the URLs of their extensions. What a language lacks
    stays empty.
    """
    titles = read_translations(action, "title")
    whys = _of_first(action, why)
    stops = _of_first(action, stops_if)
    return {
        tag: StepWords(titles.get(tag, ""), whys.get(tag, ""), stops.get(tag, ""))
        for tag in sorted({*titles, *whys, *stops})
    }


def read_text(element: object, url: str) -> str:
    """Return the text of an extension, a string or a CodeableConcept; empty for none."""
    value = extension_value(element, url)
    return str((value.get("text") if isinstance(value, dict) else value) or "")


def _of_first(action: object, url: str) -> Mapping[str, str]:
    found = extensions_of(action, url)
    if not found:
        return {}
    return read_translations(found[0].get("valueCodeableConcept"), "text")
