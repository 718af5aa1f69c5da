"""No verdict is shown that a part of the chart, read after it, lifts or forbids.

Charts are put together from parts that each may turn a verdict, and each chart is looked
at as if its parts came in any order: whatever was read so far, what the page says then
must agree with what it says in the end.
"""

from dataclasses import dataclass, field, replace
from itertools import chain, combinations

import pytest

from mappings.chart import Chart
from mappings.preference import Who
from middleware.decisions.preference import compile_profile
from middleware.desk.charting import TURNING
from middleware.desk.last import answer_so_far
from middleware.desk.sentences import choose_answer
from tests.unit.desk_parts import CARE, PARTS
from tests.unit.desk_views import (
    ENDPOINT,
    PHONE,
    consent,
    preference,
    view,
)

# What is read as well and turns no verdict: words, messages of others, how they are seen.
HARMLESS = frozenset({"Communication", "Goal", "Observation"})
PATIENTS = {
    "adult": {},
    "just grown up": {"birthDate": "2008-10-01"},
    "minor": {"birthDate": "2014-01-01"},
    "age unknown": {"birthDate": None},
    "no number": {"telecom": []},
    "dead": {"deceasedBoolean": True},
    "inactive": {"active": False},
    "labelled": {"meta": {"security": [{"code": "SDV"}]}},
}
PLACE = {"system": "sms", "value": PHONE, "note": ""}
OWN = {
    "nothing said": {"consents": ()},
    "yes": {},
    # From before the 18th birthday of who has just grown up.
    "old yes": {"consents": (consent(days=90),)},
    "no": {"consents": (consent(False),)},
    "paused": {"preferences": (preference("pause", {"until": None, "why": ""}),)},
    "one place": {
        "consents": (),
        "preferences": (
            preference("confidential", PLACE, minutes=90 * 24 * 60, who=Who.PATIENT),
        ),
    },
    "reply": {"replies_waiting": 1},
}


@dataclass(frozen=True)
class World:
    """One patient with what was said here, the chart's parts, and what fails."""

    patient: str
    own: str
    parts: tuple[str, ...]
    failed: frozenset[str] = frozenset()
    seen: dict = field(default_factory=dict, compare=False, hash=False)

    def at(self, unread):
        """Return the view of the chart while these types are still being read."""
        missing = frozenset(unread) | self.failed
        if missing not in self.seen:
            found = [
                PARTS[name]
                for name in self.parts
                if PARTS[name]["resourceType"] not in missing
            ]
            one = view(
                patient=PATIENTS[self.patient],
                resources=found,
                endpoint=ENDPOINT,
                incomplete=tuple(sorted(missing)),
                **OWN[self.own],
            )
            self.seen[missing] = replace(one, library=CARE)
        return replace(self.seen[missing], unread=frozenset(unread))

    def types(self):
        return {PARTS[name]["resourceType"] for name in self.parts}


def some(items):
    named = sorted(items)
    sizes = range(len(named) + 1)
    return chain.from_iterable(combinations(named, size) for size in sizes)


TOGETHER = (
    ("proxy", "answer for the proxy"),
    ("proxy", "no in the chart"),
    ("mother at this number", "yes in the chart"),
    ("mother at this number", "no in the chart"),
    ("mother elsewhere", "yes in the chart"),
    ("yes in the chart", "no in the chart"),
    ("confidential", "mother at this number"),
    ("died in a stay", "yes in the chart"),
    ("hospice procedure", "how seen"),
)
PEOPLE = [
    *((patient, "yes") for patient in PATIENTS),
    *(("adult", own) for own in OWN if own != "yes"),
    ("just grown up", "old yes"),
    ("just grown up", "one place"),
    ("minor", "nothing said"),
]
WORLDS = [
    World(patient, own, parts, frozenset(failed))
    for patient, own in PEOPLE
    for parts in ((), *((name,) for name in PARTS), *TOGETHER)
    for failed in ((), ("RelatedPerson",), ("Consent",))
]


def shown(one):
    return one.tag.text, one.sentence, one.hours


@pytest.mark.parametrize(("patient", "own"), PEOPLE)
def test_what_is_said_on_the_way_agrees_with_the_end(patient, own):
    for world in WORLDS:
        if (world.patient, world.own) != (patient, own):
            continue
        final = choose_answer(world.at(()), "")
        open_ = (world.types() | {"RelatedPerson", "Communication"}) - world.failed
        for unread in some(open_):
            said = answer_so_far(world.at(unread))
            told = (world.parts, unread, shown(said), shown(final))
            assert said.sends == (said.tag.kind == "ok" or "only" in said.hours), told
            if said.sends or not TURNING & set(unread):
                assert shown(said) == shown(final), told
            elif said.tag.text != "Being checked":
                assert not final.sends, told


def turns(kind):
    """Tell whether what this type says makes no yes of what was a yes without it."""
    for world in WORLDS:
        one = world.at(())
        kept = [item for item in one.chart.resources if item["resourceType"] != kind]
        blind = one.chart.with_resources(kept)
        profile = compile_profile(blind, one.own, ENDPOINT, one.now)
        before = choose_answer(replace(one, chart=blind, profile=profile), "")
        if before.sends and not choose_answer(one, "").sends:
            return True
    return False


@pytest.mark.parametrize("kind", sorted(TURNING - {"Patient"}))
def test_each_type_that_is_waited_for_can_turn_a_yes(kind):
    assert turns(kind)


@pytest.mark.parametrize("kind", sorted(HARMLESS))
def test_what_is_not_waited_for_turns_nothing(kind):
    assert not turns(kind)


class Watched(Chart):
    """A chart that remembers of which types something was asked."""

    def of(self, resource_type):
        self.codes.setdefault("asked", set()).add(resource_type)
        return super().of(resource_type)


def test_a_verdict_looks_at_nothing_else():
    asked = set()
    for world in WORLDS[:: len(WORLDS) // 97]:
        one = world.at(())
        chart = Watched(one.chart.patient, one.chart.resources, one.chart.read_at)
        profile = compile_profile(chart, one.own, ENDPOINT, one.now)
        choose_answer(replace(one, chart=chart, profile=profile), "")
        asked |= chart.codes["asked"]
    assert asked <= TURNING | HARMLESS
    assert asked >= TURNING - {"Patient"}
