"""Every page in a language longer than any: nothing left out, nothing cut, nothing wide.

The catalogue is made here from the English one: each sentence half as long again and in
brackets, so that a word outside them was never given to a translator.
"""

import re

import pytest
from babel.messages.pofile import read_po, write_po

from middleware.desk import viewer
from tests.browser.charts import WORDS, change
from tests.browser.conftest import fill
from tests.browser.looking import (
    FORMS,
    find_ids,
    fit,
    have_a_carer,
    open_alone,
    sideways,
)

pytestmark = pytest.mark.browser
PLACE = re.compile(r"(%\(\w+\)s)")
OPENS, CLOSES = "⟦", "⟧"
# What the chart, the calendar, the messages and the plans say in their own words.
DATA = """bdi, blockquote, time, textarea, code, .bubble, .reading p, .num, .chart,
  .nudge h3, .nudge .why span, .nudge .when, .ev > span:not(.tag), .pv-h .quiet span,
  .pv .known > summary + p, .facts > :first-child dd, .facts > :last-child dd,
  select[name=language], select[name=zone], [lang]:not(html)"""
READ = """(data) => {
  for (const one of document.querySelectorAll(data)) one.style.display = 'none';
  const labels = [...document.querySelectorAll('[aria-label], [title], [placeholder]')]
    .map((one) => one.ariaLabel ?? one.title ?? one.placeholder);
  return [document.title, document.body.innerText, ...labels];
}"""
UNFOLD = "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
CUT = """() => [...document.querySelectorAll('body *')]
  .filter((one) => ['hidden', 'clip'].includes(getComputedStyle(one).overflowX)
    && !one.matches('.vh, .vh *, svg *') && one.scrollWidth > one.clientWidth + 1)
  .map((one) => `cut: ${one.tagName}.${one.className}`)"""
# Data that stands in a sentence's place by itself: days, hours, names, languages.
PLAIN = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun)\w*|(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
    r"\w*|AM|PM|Rosa|Delgado|Inés|Northside|Clinic|s|Pacific|Spanish|Español|CareCue"
    r"|rosa|delgado|example|org"
)


def forget() -> None:
    """Let the catalogues be read anew."""
    viewer.viewer_of.cache_clear()
    viewer._translations.cache_clear()


def lengthen(text: str) -> str:
    """Return a sentence half as long again, its places kept, in brackets."""
    size = len(PLACE.sub("", text))
    words = " ".join(["lorem"] * max(1, size // 12))
    return f"{OPENS}{text} {words}{CLOSES}"


@pytest.fixture
def pseudo(monkeypatch, tmp_path):
    """Let the viewers of English read the catalogue that is made here."""
    for language in viewer.LANGUAGES:
        with (viewer.CATALOGUES / f"{language}.po").open("rb") as source:
            catalogue = read_po(source, locale=language)
        for message in catalogue:
            if not message.id:
                continue
            one = message.id if isinstance(message.id, tuple) else (message.id,)
            long = tuple(map(lengthen, one))
            message.string = long if message.pluralizable else long[0]
        with (tmp_path / f"{language}.po").open("wb") as target:
            write_po(target, catalogue)
    monkeypatch.setattr(viewer, "CATALOGUES", tmp_path)
    forget()
    yield
    monkeypatch.undo()
    forget()


def outside(text: str) -> list[str]:
    """Return the words that stand in no brackets and are not plain data."""
    depth, kept = 0, []
    for letter in text:
        depth += letter == OPENS
        kept.append(letter if depth == 0 else " ")
        depth -= letter == CLOSES
    words = re.findall(r"[^\W\d_]+", "".join(kept))
    return [word for word in words if not PLAIN.fullmatch(word)]


def test_no_word_is_left_out_and_nothing_is_cut(browser, site, pseudo):
    fill(site)
    have_a_carer(site)
    change(site, (WORDS,))
    page, frame = open_alone(browser, site)
    here, ids = frame.url, find_ids(frame)
    wrong = []
    for path in ("", *FORMS):
        frame.goto(f"{here}{path.format(**ids)}")
        frame.locator("h1").last.wait_for()
        frame.evaluate(UNFOLD)
        for turned in ("ltr", "rtl"):
            frame.evaluate(f"document.documentElement.dir = '{turned}'")
            fit(page, 320, 900)
            wrong += [f"{path} {turned}: {one}" for one in sideways(frame)]
            wrong += [f"{path} {turned}: {one}" for one in frame.evaluate(CUT)]
        for text in frame.evaluate(READ, DATA):
            wrong += [f"{path}: {word}" for word in outside(text)]
    assert wrong == [], "\n".join(dict.fromkeys(wrong))
