"""The catalogues hold every sentence of the page, and nothing else."""

import os
import re
from gettext import c2py

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from middleware.desk.viewer import (
    CATALOGUES,
    HANDED,
    HOME,
    ISOLATE,
    LANGUAGES,
    POP,
    choose_tag,
    reader_of,
    viewer_of,
)
from tests.unit.words import HANDED_SENTENCES, SENTENCES

PLACES = re.compile(r"%\((\w+)\)s")
SAID = {tag: SENTENCES if tag in LANGUAGES else HANDED_SENTENCES for tag in HANDED}


def read(language):
    with (CATALOGUES / f"{language}.po").open("rb") as source:
        return read_po(source, locale=HOME[language])


def messages(catalogue):
    return {message.id: message for message in catalogue if message.id}


DROPPED = re.compile(
    r'"(Project-Id|Report-Msgid|POT-|PO-Rev|Last-Tr|Language-Team|Content-Tr|Generated)'
)


def write_anew(language):
    """Put in what is new (not yet translated) and take out what is not said."""
    old = messages(read(language))
    catalogue = Catalog(locale=HOME[language].removesuffix("_US"), fuzzy=False)
    for sentence in sorted(SAID[language], key=str):
        known = old.get(sentence)
        text = known.string if known else ""
        if language == "en":
            text = sentence
        catalogue.add(sentence, text, locations=[(SENTENCES[sentence], None)])
    path = CATALOGUES / f"{language}.po"
    with path.open("wb") as target:
        write_po(target, catalogue, width=88, sort_output=True)
    head, end, rest = path.read_text("utf-8").partition("\n\n")
    lines = [
        line
        for line in head.splitlines()
        if not DROPPED.match(line) and not re.match(r"#( |$)", line)
    ]
    path.write_text("\n".join(lines) + end + rest, "utf-8")


@pytest.mark.parametrize("language", sorted(HANDED))
def test_every_sentence_is_in_the_catalogue_and_no_other(language):
    if os.environ.get("CARECUE_WRITE_DOCS") == "1":
        write_anew(language)
    assert messages(read(language)).keys() == SAID[language].keys()


@pytest.mark.parametrize("language", sorted(HANDED))
def test_every_sentence_is_translated_with_its_places(language):
    for sentence, message in messages(read(language)).items():
        texts = message.string if message.pluralizable else (message.string,)
        assert all(texts), f"{language}: nothing for {sentence!r}"
        ids = message.id if message.pluralizable else (message.id,)
        places = {name for text in ids for name in PLACES.findall(text)}
        for form, text in enumerate(texts):
            missing = places - set(PLACES.findall(text))
            # "Two messages" is one word in some languages.
            silent = message.pluralizable and is_of_one(language, form)
            assert missing <= ({"number"} if silent else set()), sentence
            assert set(PLACES.findall(text)) <= places, sentence
            assert "%(" not in PLACES.sub("", text), text
            assert not message.fuzzy


def is_of_one(language, form):
    """Tell whether a plural's form is for one number alone, which it may be silent on."""
    choose = c2py(read(language).plural_expr)
    return len([number for number in range(1000) if choose(number) == form]) == 1


@pytest.mark.parametrize(
    ("language", "forms"), [("en", 2), ("es", 2), ("vi", 1), ("zh-Hans", 1), ("ar", 6)]
)
def test_a_number_has_the_forms_of_its_language(language, forms):
    catalogue = read(language)
    assert catalogue.num_plurals == forms
    for message in catalogue:
        assert not message.pluralizable or len(message.string) == forms


# What stays in Latin letters wherever it is said.
KEPT = {"vi": {"STOP", "email"}, "zh-Hans": {"STOP"}, "ar": {"STOP"}}


@pytest.mark.parametrize("language", sorted(KEPT))
def test_nothing_is_left_in_english(language):
    for sentence, message in messages(read(language)).items():
        one = {sentence} if isinstance(sentence, str) else set(sentence)
        texts = message.string if message.pluralizable else (message.string,)
        for text in texts:
            assert text not in one
            words = set(re.findall(r"[A-Za-z]+", PLACES.sub("", text)))
            if language == "vi":
                # Vietnamese is written in Latin letters: no word of the English one.
                english = set(re.findall(r"[A-Za-z]{3,}", PLACES.sub("", str(one))))
                words = {word for word in english if re.search(rf"\b{word}\b", text)}
            assert words <= KEPT[language], text


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


def test_numbers_keep_their_order_in_what_runs_from_right_to_left():
    text = reader_of("ar").say("Or call us: %(phone)s.", phone="(415) 555-0100")
    assert f"{ISOLATE}(415) 555-0100{POP}" in text
    assert ISOLATE not in viewer_of("en").say("Or call us: %(phone)s.", phone="415-5")


@pytest.mark.parametrize(
    ("wanted", "tag", "direction"),
    [
        ("es-MX", "es-MX", "ltr"),
        ("spa", "es-US", "ltr"),
        ("vi-VN", "vi-VN", "ltr"),
        ("vie", "vi", "ltr"),
        ("zh", "zh-Hans", "ltr"),
        ("zh-CN", "zh-Hans", "ltr"),
        ("cmn", "zh-Hans", "ltr"),
        ("ar", "ar", "rtl"),
        ("ar-IQ", "ar-IQ", "rtl"),
        ("ar-XX", "ar", "rtl"),
        ("zh-TW", "en-US", "ltr"),
        ("yue", "en-US", "ltr"),
        ("so", "en-US", "ltr"),
        ("", "en-US", "ltr"),
    ],
)
def test_what_is_handed_over_is_read_in_the_patients_language(wanted, tag, direction):
    reader = reader_of(wanted)
    assert (reader.tag, reader.direction) == (tag, direction)


def test_pages_for_staff_are_in_the_languages_of_staff_alone():
    assert viewer_of("vi").tag == viewer_of("ar").tag == "en-US"
    assert choose_tag(("vi", "zh-Hans")) == "en-US"


def test_no_spanish_sentence_puts_more_than_one_hour_before_a_time():
    """It is *a la* 1:05 and *a las* 2:05; from one to two it may be either."""
    said = [str(message.string) for message in messages(read("es")).values()]
    assert [
        text for text in said if re.search(r"\ba? ?las %\(\w*(time|when)", text)
    ] == []


def test_unknown_sentence_is_said_as_it_is():
    assert viewer_of("es").say("Nobody wrote this down.") == "Nobody wrote this down."
    assert viewer_of("es").translate("") == ""
