"""Each figure of a section's ledger, against charts whose contents are known."""

import math
import random
import re

import pytest

from tests.unit.smart_app.acts import words

# Types that no other section counts, by section, with what the page calls them.
SECTIONS = {
    "next": {
        "Appointment": "visits",
        "Condition": "problems",
        "Encounter": "hospital stays and visits",
    },
    "prefs": {
        "Consent": "consents",
        "Flag": "flags",
        "RelatedPerson": "family and carers",
    },
}
PAGE = 3


def write(kind, number, *, whose="rosa", error=False):
    names = {"Appointment": "participant", "RelatedPerson": "patient"}
    about = {"reference": f"Patient/{whose}"}
    name = names.get(kind, "patient" if kind == "Consent" else "subject")
    status = "verificationStatus" if kind == "Condition" else "status"
    stated = {"coding": [{"code": "entered-in-error"}]} if kind == "Condition" else None
    return {
        "resourceType": kind,
        "id": f"{kind.lower()}-{whose}-{number}-{error}",
        name: [{"actor": about, "status": "accepted"}]
        if name == "participant"
        else about,
        **({status: stated or "entered-in-error"} if error else {}),
    }


def generate(chance, kind):
    """Return how many entries of a type are good, in error and another patient's."""
    counts = [chance.randint(0, 5) for _ in range(3)]
    if kind == "RelatedPerson":
        counts[1] = 0  # it has no status
    good, wrong, others = counts
    entries = [
        *(write(kind, number) for number in range(good)),
        *(write(kind, number, error=True) for number in range(wrong)),
        *(write(kind, number, whose="james") for number in range(others)),
    ]
    chance.shuffle(entries)
    return counts, entries


def section(html, name):
    """Return a section's summary and lines."""
    part = html[html.rindex(f'id="{name}"') :]
    return words(re.search(r'<details class="known".*?</details>', part, re.DOTALL)[0])


def count(text, line, called):
    found = re.search(rf"{line}:(?:[^.]*,)? {called} (\d+)", text)
    return int(found[1]) if found else 0


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("batches", [True, False])
def test_figures_of_a_section_are_those_of_the_chart(rig, seed, batches):
    chance = random.Random(seed)
    rig.ehr.page_size, rig.ehr.batches = PAGE, batches
    told = {}
    for kind in {**SECTIONS["next"], **SECTIONS["prefs"]}:
        told[kind], entries = generate(chance, kind)
        rig.ehr.resources.update({f"{kind}/{one['id']}": one for one in entries})
    html = rig.http.get(rig.open()).text
    for name, kinds in SECTIONS.items():
        text = section(html, name)
        hidden = 0
        for kind, called in kinds.items():
            good, wrong, others = told[kind]
            hidden += wrong + others
            assert count(text, "Shown from the chart", called) == good
            assert count(text, "Left out, entered in error", called) == wrong
            assert count(text, "Left out, another patient’s", called) == others
            none = re.search(r"None recorded: ([^.]*)", text)
            assert (called in (none[1].split(", ") if none else ())) == (not good)
        assert f"asked {len(kinds)}, shown {sum(told[k][0] > 0 for k in kinds)}" in text
        left_out = re.search(r"left out (\d+)", text)
        assert int(left_out[1] if left_out else 0) == hidden
        pages = sum(max(1, math.ceil(sum(told[kind]) / PAGE)) for kind in kinds)
        assert f"Read at 7:00 AM Pacific, {pages} page" in text


@pytest.mark.parametrize("kind", ["Condition", "Flag"])
def test_an_entry_that_nobody_can_read_is_never_none(rig, kind):
    rig.ehr.resources[f"{kind}/x"] = {"resourceType": kind}  # without an id
    html = rig.http.get(rig.open()).text
    called = {**SECTIONS["next"], **SECTIONS["prefs"]}[kind]
    text = section(html, "next" if kind == "Condition" else "prefs")
    assert re.search(rf"Could not be read: [^.]*{called}", text)
    assert "failed 1" in text
    assert not re.search(rf"None recorded: [^.]*{called}", text)
