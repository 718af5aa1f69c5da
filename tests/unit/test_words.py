"""The catalogues hold every sentence of the page, and nothing else."""

import os
import re

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from middleware.desk.viewer import (
    CATALOGUES,
    ISOLATE,
    LANGUAGES,
    POP,
    choose_tag,
    viewer_of,
)
from tests.unit.words import find_sentences

PLACES = re.compile(r"%\((\w+)\)s")
SENTENCES = find_sentences()


def read(language):
    with (CATALOGUES / f"{language}.po").open("rb") as source:
        return read_po(source, locale=language)


def messages(catalogue):
    return {message.id: message for message in catalogue if message.id}


KEPT = re.compile(
    r'"(Language|Content-Type|Plural-Forms|MIME-Version): |[^"#]|#[:,]|$|""'
)


def write_anew(language):
    """Put in what is new (Spanish still empty) and take out what is not said."""
    old = messages(read(language))
    catalogue = Catalog(locale=language, fuzzy=False)
    for sentence in sorted(SENTENCES, key=str):
        known = old.get(sentence)
        text = known.string if known else ""
        if language == "en":
            text = sentence
        catalogue.add(sentence, text, locations=[(SENTENCES[sentence], None)])
    path = CATALOGUES / f"{language}.po"
    with path.open("wb") as target:
        write_po(target, catalogue, width=88, sort_output=True)
    head, end, rest = path.read_text("utf-8").partition("\n\n")
    lines = [line for line in head.splitlines() if KEPT.match(line)]
    path.write_text("\n".join(lines) + end + rest, "utf-8")


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_sentence_is_in_the_catalogue_and_no_other(language):
    if os.environ.get("CARECUE_WRITE_DOCS") == "1":
        write_anew(language)
    assert messages(read(language)).keys() == SENTENCES.keys()


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_sentence_is_translated_with_its_places(language):
    for sentence, message in messages(read(language)).items():
        texts = message.string if message.pluralizable else (message.string,)
        assert all(texts), f"{language}: nothing for {sentence!r}"
        places = {name for text in message.id for name in PLACES.findall(text)}
        if not message.pluralizable:
            places = set(PLACES.findall(message.id))
        for text in texts:
            assert set(PLACES.findall(text)) == places, sentence
            assert "%(" not in PLACES.sub("", text), text
            assert not message.fuzzy


def test_no_two_names_of_a_place_are_nearly_the_same():
    spanish = messages(read("es"))
    same = [
        key
        for key, message in spanish.items()
        if isinstance(key, str) and message.string == key and " " in key
    ]
    assert same == [], "left in English"


@pytest.mark.parametrize(
    ("wanted", "tag"),
    [
        ((), "en-US"),
        (("fr-CA", "es-MX", "en"), "es-MX"),
        (("de",), "en-US"),
        (("es",), "es"),
        (("EN-gb",), "EN-gb"),
    ],
)
def test_first_language_that_we_have_is_chosen(wanted, tag):
    assert choose_tag(wanted) == tag


def test_viewer_says_it_in_spanish():
    spanish = viewer_of("es")
    assert spanish.say("Text %(name)s in %(language)s,", name="Rosa", language="x") == (
        "Escriba un SMS a Rosa en x,"
    )
    one = spanish.say_many("%(number)s day", "%(number)s days", 1)
    assert (one, spanish.say_many("%(number)s day", "%(number)s days", 2)) == (
        "1 día",
        "2 días",
    )
    assert (spanish.tag, spanish.direction) == ("es-US", "ltr")


def test_names_that_run_the_other_way_are_isolated():
    text = viewer_of("en").say("Ask %(name)s first.", name="ليلى")
    assert text == f"Ask {ISOLATE}ليلى{POP} first."
    assert viewer_of("en").say("Ask %(name)s first.", name="Rosa") == "Ask Rosa first."


def test_unknown_sentence_is_said_as_it_is():
    assert viewer_of("es").say("Nobody wrote this down.") == "Nobody wrote this down."
    assert viewer_of("es").translate("") == ""
