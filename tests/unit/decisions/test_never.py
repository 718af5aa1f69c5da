"""No world whatever yields a message that must never be sent.

The checks here look at the world itself and not at how it was decided.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mappings.endpoint import EndpointKind
from mappings.nudge import Outcome
from mappings.preference import PreferenceRecord, SentMessage, Switch, Who
from tests.unit.decisions.story import (
    BOOKED,
    DISCHARGED,
    NOW,
    NUMBER,
    SITE,
    Resource,
    appointment,
    chart,
    consent,
    decide,
    encounter,
    endpoint,
    look_again,
    nudge_of,
    own,
    patient,
)

LANGUAGES = ("en", "en", "en", "es", "vi", "zh-Hans", "ar", "fr")
RARELY = st.sampled_from([False] * 5 + [True])
PEOPLE: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "deceasedBoolean": RARELY,
        "deceasedDateTime": st.sampled_from(
            ["2099-01-01", "2099-01-01", "2026-11-01", "unknown"]
        ),
        "active": RARELY.map(lambda rare: not rare),
        "birthDate": st.sampled_from(
            ["1930-01-01", "1961-03-02", "1961-03-02", "2010-01-01", "soon"]
        ),
        "address": st.sampled_from([[{"state": "CA"}], [{"state": "HI"}], []]),
        "language": st.sampled_from(LANGUAGES),
    },
)
ANSWERS: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.builds(
        dict,
        permit=RARELY.map(lambda rare: not rare),
        who=st.sampled_from([Who.PATIENT, Who.STAFF]),
        topic=st.sampled_from(
            ["*", "*", "post-discharge", "appointment", "preventive"]
        ),
        patient=st.sampled_from(["Patient/rosa", "Patient/rosa", "Patient/else", None]),
        recorded_at=st.integers(1, 60).map(lambda days: NOW - timedelta(days=days)),
    ),
    max_size=4,
)
SENT = st.lists(
    st.builds(
        SentMessage,
        st.integers(1, 240).map(lambda hours: NOW - timedelta(hours=hours)),
        st.sampled_from(["post-discharge", "care-plan", "appointment"]),
        st.just("sms"),
    ),
    max_size=4,
)
SWITCHES = st.lists(
    st.sampled_from(
        [
            Switch("all", "*", "x"),
            Switch("topic", "post-discharge", "x"),
            Switch("channel", "sms", "x"),
            Switch("plan", "no-show", "x"),
        ]
    ),
    max_size=1,
)


SEEN: list[str] = []


def rosa(changes: dict[str, Any]) -> Resource:
    language = changes.pop("language", "en")
    spoken = {"coding": [{"system": "urn:ietf:bcp:47", "code": language}]}
    said = [{"language": spoken, "preferred": True}]
    return patient(**changes, communication=said)


def well(*, visit: bool) -> Any:
    """An ordinary world, so that every run has messages to look at."""
    yes = {"permit": True, "who": Who.PATIENT, "topic": "*", "patient": "Patient/rosa"}
    return example(
        person={},
        answers=[{**yes, "recorded_at": NOW - timedelta(days=1)}],
        sent=[],
        switches=[],
        paused=False,
        bad=False,
        dead_stay=False,
        late=0,
        visit=visit,
    )


@well(visit=False)
@well(visit=True)
@settings(max_examples=250, deadline=None)
@given(
    person=PEOPLE,
    answers=ANSWERS,
    sent=SENT,
    switches=SWITCHES,
    paused=RARELY,
    bad=RARELY,
    dead_stay=RARELY,
    late=st.sampled_from([0, 1, 2, 3, 9, 18, 24, 50, 120]),
    visit=st.booleans(),
)
def test_nothing_that_must_not_be_sent_is_sent(
    person: dict[str, Any],
    answers: list[dict[str, Any]],
    sent: list[SentMessage],
    switches: list[Switch],
    paused: bool,
    bad: bool,
    dead_stay: bool,
    late: int,
    visit: bool,
) -> None:
    who = rosa(dict(person))
    said = [consent(id=f"c{n}", **values) for n, values in enumerate(answers)]
    pause = PreferenceRecord("pause", {"until": None}, Who.STAFF, "desk", NOW)
    mine = own(
        consents=tuple(said),
        sent=tuple(sent),
        switches=tuple(switches),
        preferences=(pause,) if paused else (),
        bad_addresses=frozenset({("sms", NUMBER)}) if bad else frozenset(),
    )
    here = endpoint(kind=EndpointKind.PRODUCTION, site=replace(SITE, reviewers={}))
    other = encounter(id="last", disposition="exp" if dead_stay else "home")
    stay, meeting = encounter(), appointment(start="2026-12-02T15:30:00Z")
    read = chart(stay, meeting, other, person=who)
    event = BOOKED if visit else DISCHARGED
    for planned in decide(event, read, mine, where=here).values():
        if planned.kind != "message":
            continue
        nudge = nudge_of(planned)
        moment = nudge.due_at + timedelta(hours=late)
        found = look_again(nudge, read, mine, at=moment, where=here)
        if found.verdict.outcome is Outcome.SEND:
            SEEN.append(found.plan.id)
            check(found, who, mine, moment, dead=dead_stay, topic=planned.plan.topic)


def test_some_worlds_yield_messages() -> None:
    wanted = {"post-discharge", "appointment-reminder"}
    SEEN.clear()
    for _ in range(5):  # one run of 250 worlds may lack one of them by chance
        test_nothing_that_must_not_be_sent_is_sent()
        if wanted <= set(SEEN):
            break
    assert wanted <= set(SEEN)


def check(
    found: Any, who: Resource, mine: Any, moment: datetime, *, dead: bool, topic: str
) -> None:
    assert not dead
    assert who.get("deceasedBoolean") is not True
    died = str(who.get("deceasedDateTime", "2099"))
    assert died.startswith("2099")
    assert who.get("active") is not False
    assert who["birthDate"] in ("1930-01-01", "1961-03-02")
    language = who["communication"][0]["language"]["coding"][0]["code"]
    assert found.language == language
    assert found.reviewer, "somebody has approved the words"
    local = moment.astimezone(ZoneInfo("America/Chicago"))
    assert 8 <= local.hour < 21
    assert moment < found.expires_at
    assert not any(item.scope == "all" for item in mine.switches)
    assert (found.channel, Switch("channel", "sms", "x") in mine.switches) != (
        "sms",
        True,
    )
    assert not mine.preferences, "a pause holds everything"
    assert (found.channel, found.address) not in mine.bad_addresses
    about = [c for c in mine.consents if c.topic in ("*", topic)]
    yes = [c for c in about if c.permit and c.patient == "Patient/rosa"]
    assert yes, "somebody said yes for her"
    no = [c for c in about if not c.permit and c.patient in ("Patient/rosa", None)]
    newest = max((c.recorded_at for c in yes), default=datetime.min.replace(tzinfo=UTC))
    strongest = [c for c in no if c.who is Who.PATIENT and c.recorded_at > newest]
    assert not strongest, "her own newer no wins"
    if topic == "post-discharge":
        week = [s for s in mine.sent if moment - s.sent_at < timedelta(days=7)]
        assert len(week) < 3
