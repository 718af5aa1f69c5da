"""Whatever is denied, in whatever order it is read: no way opens that was shut."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mappings.preference import (
    ConsentRecord,
    EngagementProfile,
    OwnRecord,
    PreferenceRecord,
    Switch,
    Who,
)
from middleware.decisions.preference import compile_profile
from middleware.decisions.routing import Route, Wanted, list_ways
from tests.unit.decisions.story import MAIL, NOW, NUMBER, chart, endpoint, patient

ANA, BEN = "RelatedPerson/ana", "RelatedPerson/ben"
MOTHER = "+13125550190"
TOPICS = ("*", "appointment", "survey")
POINTS = (("sms", NUMBER), ("email", MAIL), ("sms", MOTHER), ("sms", "*"), ("*", "*"))
WHO = (Who.PATIENT, Who.STAFF, Who.CHART)
AGES = ("1961-03-02", "2008-11-20", "2010-05-05", "2020-05-05")
ROLE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"


def person(name: str, code: str) -> dict[str, Any]:
    return {
        "resourceType": "RelatedPerson",
        "id": name,
        "patient": {"reference": "Patient/rosa"},
        "relationship": [{"coding": [{"system": ROLE, "code": code}]}],
        "telecom": [{"system": "sms", "value": MOTHER}],
    }


@st.composite
def consents(draw: st.DrawFn, *, permit: bool | None = None) -> ConsentRecord:
    actor = draw(st.sampled_from((None, None, ANA, BEN)))
    points = POINTS if actor else POINTS[:4]
    system, value = draw(st.sampled_from(points))
    days = draw(st.integers(0, 400))
    return ConsentRecord(
        id=f"c{draw(st.integers(0, 10**6))}",
        endpoint_id="north",
        patient=draw(
            st.sampled_from(("Patient/rosa", "Patient/rosa", None, "Patient/x"))
        ),
        system=system,
        value=value,
        topic=draw(st.sampled_from(TOPICS)),
        permit=draw(st.booleans()) if permit is None else permit,
        who=draw(st.sampled_from(WHO)),
        how="asked",
        recorded_at=NOW - timedelta(days=days),
        actor=actor,
    )


@st.composite
def sayings(draw: st.DrawFn) -> PreferenceRecord:
    name, values = draw(
        st.sampled_from(
            (
                ("channels", (["sms"], ["email", "sms"], ["screen"])),
                ("channels:appointment", (["email"], ["sms"])),
                ("window", ([9, 12], [11, 18], [13, 20])),
                ("days", ([0, 1], [1, 2, 3])),
                ("max_per_week", (0, 1, 2, 5)),
                ("language", ("en", "es")),
                ("recipients", (["Patient/rosa", ANA], [BEN])),
                ("pause", ({"until": None}, None)),
                ("confidential", ({"system": "sms", "value": NUMBER}, {}, None)),
            )
        )
    )
    at = NOW - timedelta(days=draw(st.integers(0, 30)))
    return PreferenceRecord(
        name, draw(st.sampled_from(values)), draw(st.sampled_from(WHO)), "asked", at
    )


@st.composite
def worlds(
    draw: st.DrawFn,
) -> tuple[dict[str, Any], tuple[dict[str, Any], ...], OwnRecord]:
    who = patient(birthDate=draw(st.sampled_from(AGES)))
    beside = (
        person("ana", draw(st.sampled_from(("MTH", "CHILD")))),
        person("ben", "C"),
    )
    own = OwnRecord(
        consents=tuple(draw(st.lists(consents(), max_size=6))),
        preferences=tuple(draw(st.lists(sayings(), max_size=6))),
    )
    return who, beside, own


def profile_of(
    who: dict[str, Any], beside: tuple[dict[str, Any], ...], own: OwnRecord
) -> EngagementProfile:
    return compile_profile(chart(*beside, person=who), own, endpoint(), NOW)


def ways(
    who: dict[str, Any], beside: tuple[dict[str, Any], ...], own: OwnRecord
) -> set[tuple[str, str | None, str | None]]:
    profile = profile_of(who, beside, own)
    found = list_ways(profile, own, endpoint(), Wanted("appointment"))
    return {
        (item.recipient, item.channel, item.address)
        for item in found
        if isinstance(item, Route)
    }


@given(worlds(), consents(permit=False))
def test_no_denial_opens_a_way(world: Any, denial: ConsentRecord) -> None:
    who, beside, own = world
    more = replace(own, consents=(*own.consents, denial))
    assert ways(who, beside, more) <= ways(who, beside, own)


@given(worlds(), st.sampled_from(POINTS[:3]), st.sampled_from(("sms", "email")))
def test_no_bad_number_and_no_switch_opens_a_way(
    world: Any, point: tuple[str, str], channel: str
) -> None:
    who, beside, own = world
    bad = replace(own, bad_addresses=frozenset({point}))
    off = replace(own, switches=(Switch("channel", channel, "trial"),))
    before = ways(who, beside, own)
    assert ways(who, beside, bad) <= before
    assert ways(who, beside, off) <= before


@given(worlds())
def test_no_end_of_a_proxys_time_opens_a_way(world: Any) -> None:
    who, beside, own = world
    ended = tuple({**item, "active": False} for item in beside)
    assert ways(who, ended, own) <= ways(who, beside, own)


@given(
    worlds(),
    sayings().filter(lambda item: item.name in ("window", "days", "max_per_week")),
)
def test_whoever_speaks_more_of_hours_and_limits_only_narrows_them(
    world: Any, said: PreferenceRecord
) -> None:
    who, beside, own = world
    spoken = {(item.name, item.who) for item in own.preferences}
    if (said.name, said.who) in spoken:  # a voice may change its own mind
        return
    before = profile_of(who, beside, own)
    after = profile_of(who, beside, replace(own, preferences=(*own.preferences, said)))
    assert after.max_per_week.value <= before.max_per_week.value
    if before.window.who is not Who.SITE:
        assert before.window.value[0] <= after.window.value[0]
        assert after.window.value[1] <= max(
            before.window.value[1], after.window.value[0]
        )
    if before.days is not None and after.days is not None:
        assert set(after.days.value) <= set(before.days.value)


@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_in_which_things_are_read_changes_nothing(
    world: Any, chance: Any
) -> None:
    who, beside, own = world
    said, answered = list(own.preferences), list(own.consents)
    chance.shuffle(said)
    chance.shuffle(answered)
    mixed = replace(own, preferences=tuple(said), consents=tuple(answered))
    one = profile_of(who, beside, own)
    two = profile_of(who, beside[::-1], mixed)
    assert set(one.consents) == set(two.consents)
    assert replace(one, consents=(), detail={}) == replace(two, consents=(), detail={})
    assert ways(who, beside, own) == ways(who, beside[::-1], mixed)
