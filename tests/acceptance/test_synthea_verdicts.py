"""Charts made by Synthea through `carecue decide`, with verdicts that a person reviewed.

As they are, the twelve people have no Consent and home numbers that no operator gave
out. Laid over are a Consent, a fictional mobile number, a time zone and, where it says
so, a booked visit. A stay is decided on as the chart stood when it ended: what came
later is left out. Each review says why its verdicts are right for this person.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from mappings.content import load_shipped
from mappings.instants import find_instant
from mappings.resource import first_at
from middleware.cli.main import main

FOLDER = Path(__file__).parents[3] / "shared" / "fixtures" / "synthea"
PLACE = "https://carecue.example.org/fhir"
TIMEZONE = "http://hl7.org/fhir/StructureDefinition/timezone"
NUMBER = "+16175550171"
# The whole library is on, also what a site has to ask for.
SITE = {
    "plans_on": [plan.id for plan in load_shipped().plans],
    "zone": "America/New_York",
}
TODAY = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
REVIEW, VISIT = "the chart as a whole", "Appointment/visit"
OUTCOMES = {"send", "hold", "task", "suppress", "unknown", "not-applicable"}
DATES = (
    "period.start",
    "performedPeriod.start",
    "performedDateTime",
    "effectiveDateTime",
    "occurrenceDateTime",
    "recordedDate",
    "onsetDateTime",
    "authoredOn",
    "billablePeriod.start",
    "started",
    "issued",
)
# What their charts know and no telephone may show.
SECRETS = re.compile(
    "depress|seizure|epilep|stroke|heart|diabet|hypertens|colo|breast|mammo|hepatitis|"
    "arthritis|miscarriage|append",
    re.IGNORECASE,
)
Resource = dict[str, Any]

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the shared fixtures are not here"
)


@dataclass(frozen=True)
class Review:
    """One reviewed focus: what is expected of which step, and why that is right.

    ``focus`` is REVIEW, VISIT, ``CarePlan`` (the latest) or the day on which a stay or
    emergency visit ended. ``verdicts`` map ``plan/action`` to ``outcome:reason``.
    """

    person: str
    focus: str
    verdicts: dict[str, str]
    why: str
    reached: bool = True
    nothing_else: bool = False


SENT = {
    "appointment-reminder/three-days": "send:due",
    "appointment-reminder/one-day": "send:due",
}
NOT_KNOWN = {
    "ed-followup/disposition-task": "task:due",
    "ed-followup/ed-followup-1": "hold:disposition-unknown",
    "ed-followup/ed-followup-2": "hold:disposition-unknown",
}
REVIEWS: tuple[Review, ...] = (
    Review(
        "Asa",
        REVIEW,
        {
            "colorectal/offer": "send:due",
            "zoster/offer": "suppress:joined",
            "hepatitis-b/offer": "hold:limit-reached",
            "influenza/offer": "hold:limit-reached",
            "breast/offer": "not-applicable:not-applicable",
            "covid-ask/ask-us": "not-applicable:not-applicable",
            "lung/ask-us": "not-applicable:not-applicable",
        },
        "A man of 55 without any screening: the most urgent gap leads, the others go "
        "with it, and what is left waits for the next day that the limit allows.",
    ),
    Review(
        "Asa",
        REVIEW,
        {"colorectal/offer": "hold:no-address"},
        "His only number was never given out by an operator, so nothing can reach him.",
        reached=False,
    ),
    Review("Asa", VISIT, SENT, "A booked visit and a yes: both reminders go."),
    Review(
        "Asa",
        "2014-07-27",
        NOT_KNOWN,
        "The emergency visit has no disposition: he may have been admitted elsewhere or "
        "died, so a person completes it first.",
    ),
    Review(
        "Bethany",
        REVIEW,
        {
            "colorectal/offer": "not-applicable:not-applicable",
            "breast/offer": "not-applicable:not-applicable",
            "cervical/offer": "not-applicable:not-applicable",
            "influenza/offer": "task:long-silent",
            "osteoporosis/offer": "suppress:joined",
        },
        "At 101 no cancer screening helps her any more. Vaccines do, but nothing was "
        "heard of her for six years: a person looks before anything is written.",
    ),
    Review(
        "Bethany",
        "2018-05-04",
        NOT_KNOWN,
        "At 93, home from an emergency visit or not: nobody can tell from the chart.",
    ),
    Review(
        "Caridad",
        VISIT,
        {
            "appointment-reminder/three-days": "task:wording-not-reviewed",
            "appointment-reminder/one-day": "task:wording-not-reviewed",
        },
        "She speaks Spanish and nobody has approved the Spanish words yet; English "
        "would be the wrong way out: staff reach her.",
    ),
    Review(
        "Caridad",
        REVIEW,
        {
            "colorectal/offer": "not-applicable:not-applicable",
            "pneumococcal-ask/ask-us": "task:long-silent",
            "pneumococcal/offer": "not-applicable:not-applicable",
        },
        "At 82 past the age of screening. Her older pneumococcal vaccine is on file, so "
        "whether she needs another is for a person to say, not for an offer.",
    ),
    Review(
        "Filiberto",
        "2017-12-31",
        {
            "post-discharge/check-in": "send:due",
            "post-discharge/contact-task": "task:due",
            "post-discharge/book-visit": "send:due",
            "post-discharge/disposition-task": "suppress:already-done",
        },
        "He turned 19 in hospital and went home after an operation; the chart says so "
        "with a code of the billing form. A call and a check-in are what helps.",
    ),
    Review(
        "Filiberto",
        "2017-12-31",
        {
            "post-discharge/check-in": "hold:no-address",
            "post-discharge/contact-task": "task:due",
        },
        "Without a number that works there is no text, but staff call all the same.",
        reached=False,
    ),
    Review(
        "Filiberto",
        "2018-10-05",
        {
            "post-discharge/check-in": "hold:disposition-unknown",
            "post-discharge/contact-task": "hold:disposition-unknown",
            "post-discharge/disposition-task": "task:due",
        },
        "This stay does not say how it ended: nothing goes before a person has said it.",
    ),
    Review(
        "Junita",
        REVIEW,
        {},
        "A child of seven: no plan for adults applies, and there are no others.",
        nothing_else=True,
    ),
    Review(
        "Junita",
        VISIT,
        {
            "appointment-reminder/three-days": "task:minor",
            "appointment-reminder/one-day": "task:minor",
        },
        "Nobody stands in her chart who may be written to for her: staff reach the "
        "parents.",
    ),
    Review(
        "Lemuel",
        "2000-02-27",
        {
            "post-discharge/check-in": "task:minor",
            "post-discharge/contact-task": "task:due",
        },
        "He was eleven: the call after the stay is due, the text to him is not.",
    ),
    Review(
        "Lemuel",
        REVIEW,
        {
            "blood-pressure/due": "send:due",
            "hypertension-screening/offer": "not-applicable:not-applicable",
            "diabetes-screening/offer": "hold:limit-reached",
            "colorectal/offer": "not-applicable:not-applicable",
        },
        "At 37 with known hypertension and no reading for years the check-up comes "
        "first; one message a day. Screening for what is known makes no sense.",
    ),
    Review(
        "Malcom",
        "2004-11-01",
        {
            "post-discharge/check-in": "send:due",
            "post-discharge/contact-task": "task:due",
        },
        "A man of 39, home after an operation, who said yes.",
    ),
    Review(
        "Malcom",
        REVIEW,
        {
            "colorectal/offer": "suppress:already-done",
            "zoster/offer": "suppress:joined",
            "diabetes-screening/offer": "send:due",
        },
        "His colonoscopy of 2019 holds for ten years. He had the old live zoster "
        "vaccine, after which the new one is still advised.",
    ),
    Review(
        "Milan",
        REVIEW,
        {
            "colorectal/offer": "send:due",
            "diabetes-screening/offer": "suppress:joined",
            "lung/ask-us": "unknown:data-missing",
        },
        "At 52 never screened. His depression is nobody's business on a telephone: the "
        "words name no condition. He stopped smoking, and when and how much he smoked "
        "stands nowhere: whether his lungs should be looked at is not known.",
    ),
    Review(
        "Milan",
        "CarePlan",
        {},
        "The steps of his care plans have no day, so there is nothing to remind of.",
        nothing_else=True,
    ),
    Review(
        "Rachael",
        "2017-06-21",
        {
            "ed-followup/ed-followup-1": "send:due",
            "ed-followup/ed-followup-2": "send:due",
            "ed-followup/disposition-task": "suppress:already-done",
        },
        "Home from the emergency department with a seizure: a follow-up visit is right, "
        "and the words do not say after what.",
    ),
    Review(
        "Rachael",
        REVIEW,
        {
            "breast/offer": "suppress:joined",
            "cervical/offer": "suppress:joined",
            "colorectal/offer": "send:due",
            "osteoporosis/offer": "not-applicable:not-applicable",
        },
        "At 52 every screening of her age is open; they go as one message that counts "
        "them and names none.",
    ),
    Review(
        "Trey",
        REVIEW,
        {
            "colorectal/offer": "not-applicable:not-applicable",
            "blood-pressure/due": "not-applicable:not-applicable",
            "influenza/offer": "task:long-silent",
        },
        "A man of 113 with a stroke behind him: no screening, and a person looks whether "
        "he is alive before he is offered a vaccine.",
    ),
    Review(
        "Trey",
        "2020-10-30",
        NOT_KNOWN,
        "At 107 in the emergency department and no word of how it ended.",
    ),
    Review(
        "Tyrell",
        REVIEW,
        {
            "tdap-td/offer": "suppress:already-done",
            "hepatitis-b/offer": "send:due",
            "influenza/offer": "hold:same-topic",
            "zoster/offer": "not-applicable:not-applicable",
        },
        "At 20 his tetanus shot of 2017 holds until 2027; hepatitis B is not on file; "
        "the other message waits a day.",
    ),
    Review(
        "Tyrell",
        "2020-05-31",
        NOT_KNOWN,
        "A boy of fourteen, and no word of how the visit ended.",
    ),
    Review(
        "Zachariah",
        VISIT,
        {
            "appointment-reminder/three-days": "task:wording-missing",
            "appointment-reminder/one-day": "task:wording-missing",
        },
        "He speaks Portuguese, in which there are no words: staff reach him.",
    ),
    Review(
        "Zachariah",
        REVIEW,
        {
            "colorectal/offer": "not-applicable:not-applicable",
            "influenza/offer": "task:long-silent",
        },
        "At 106, unheard of for six years: as with Bethany and Trey.",
    ),
)


def bundle_of(person: str) -> Resource:
    (path,) = FOLDER.glob(f"{person}_*.json")
    found: Resource = orjson.loads(path.read_bytes())
    return found


def resources(bundle: Resource, kind: str) -> list[Resource]:
    listed = (entry["resource"] for entry in bundle["entry"])
    return [item for item in listed if item["resourceType"] == kind]


def known_at(bundle: Resource, now: datetime) -> Resource:
    """Return the chart as it stood: without what happened later."""

    def is_known(resource: Resource) -> bool:
        dates = (find_instant(first_at(resource, path)) for path in DATES)
        first = next((moment for moment in dates if moment is not None), now)
        return first <= now

    kept = [entry for entry in bundle["entry"] if is_known(entry["resource"])]
    return {**bundle, "entry": kept}


def reached(bundle: Resource, now: datetime, *, visit: bool) -> Resource:
    """Lay a Consent, a number, a zone and perhaps a visit over a chart."""
    found: Resource = orjson.loads(orjson.dumps(bundle))
    entry = next(
        item for item in found["entry"] if item["resource"]["resourceType"] == "Patient"
    )
    patient, reference = entry["resource"], {"reference": entry["fullUrl"]}
    mobile = {"system": "sms", "value": NUMBER, "use": "mobile", "rank": 1}
    patient["telecom"].append(mobile)
    zone = {"url": TIMEZONE, "valueCode": "America/New_York"}
    patient.setdefault("extension", []).append(zone)
    code = {
        "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode",
        "code": "SMSWRIT",
    }
    category = {
        "system": f"{PLACE}/CodeSystem/consent-category",
        "code": "outreach-communication",
    }
    laid: list[Resource] = [
        {
            "resourceType": "Consent",
            "id": "yes",
            "status": "active",
            "category": [{"coding": [category]}],
            "patient": reference,
            "dateTime": (now - timedelta(days=30)).isoformat(),
            "provision": {"type": "permit", "code": [{"coding": [code]}]},
        }
    ]
    if visit:
        start = (now + timedelta(days=10)).replace(hour=15, minute=0, second=0)
        laid.append(
            {
                "resourceType": "Appointment",
                "id": "visit",
                "status": "booked",
                "created": now.isoformat(),
                "start": start.isoformat(),
                "end": (start + timedelta(minutes=30)).isoformat(),
                "participant": [{"actor": reference, "status": "accepted"}],
            }
        )
    found["entry"] += [
        {"fullUrl": f"urn:uuid:{item['id']}", "resource": item} for item in laid
    ]
    return found


def decide(
    folder: Path, bundle: Resource, focus: str, now: datetime
) -> dict[str, Resource]:
    chart, site = folder / "chart.json", folder / "site.json"
    chart.write_bytes(orjson.dumps(bundle))
    site.write_bytes(orjson.dumps(SITE))
    arguments = ["decide", "--bundle", str(chart), "--focus", focus, "--json"]
    arguments += ["--now", now.isoformat(), "--site", str(site)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    found = orjson.loads(done.stdout.splitlines()[-1])["candidates"]
    assert {row["outcome"] for row in found} <= OUTCOMES
    return {f"{row['plan']}/{row['action']}": row for row in found}


def find_focus(bundle: Resource, focus: str) -> tuple[str, datetime]:
    """Return the reference of a review's focus and when it is decided on."""
    if focus == VISIT:
        return focus, TODAY
    if focus == "CarePlan":
        plans = resources(bundle, "CarePlan")
        plan = max(plans, key=lambda item: item["period"]["start"])
        return f"CarePlan/{plan['id']}", TODAY
    if focus == REVIEW:
        (patient,) = resources(bundle, "Patient")
        return f"Patient/{patient['id']}", TODAY
    ended = [
        stay
        for stay in resources(bundle, "Encounter")
        if stay["period"]["end"].startswith(focus)
        and stay["class"]["code"] in ("IMP", "EMER")
    ]
    stay = max(ended, key=lambda item: item["class"]["code"])
    end = datetime.fromisoformat(stay["period"]["end"])
    return f"Encounter/{stay['id']}", end + timedelta(hours=2)


def weigh(folder: Path, review: Review) -> dict[str, Resource]:
    bundle = bundle_of(review.person)
    focus, now = find_focus(bundle, review.focus)
    bundle = known_at(bundle, now)
    if review.reached:
        bundle = reached(bundle, now, visit=review.focus == VISIT)
    return decide(folder, bundle, focus, now)


def spoken(row: Resource) -> str:
    return f"{row['outcome']}:{row['reason']}"


@pytest.mark.parametrize(
    "review", REVIEWS, ids=[f"{item.person}, {item.focus}" for item in REVIEWS]
)
def test_verdicts_are_those_that_were_reviewed(tmp_path: Path, review: Review) -> None:
    found = weigh(tmp_path, review)
    told = {name: spoken(found[name]) for name in review.verdicts if name in found}

    assert told == review.verdicts, review.why
    if review.nothing_else:
        rest = {spoken(row) for name, row in found.items() if name not in told}
        assert rest <= {"not-applicable:not-applicable"}, review.why


def foci(bundle: Resource) -> Iterator[str]:
    for kind in ("Patient", "CarePlan", "Encounter"):
        yield from (f"{kind}/{item['id']}" for item in resources(bundle, kind))


PEOPLE = (
    sorted(path.name.partition("_")[0] for path in FOLDER.glob("*.json"))
    if FOLDER.is_dir()
    else []
)


@pytest.mark.parametrize("person", PEOPLE)
def test_every_focus_can_be_decided_on_as_it_is(tmp_path: Path, person: str) -> None:
    """Nobody said yes to anything, so nothing is sent, whatever is asked."""
    bundle = bundle_of(person)
    for focus in foci(bundle):
        found = decide(tmp_path, bundle, focus, TODAY)
        assert "send" not in {row["outcome"] for row in found.values()}, focus


@pytest.mark.parametrize("person", PEOPLE)
def test_every_focus_can_be_decided_on_when_reached(
    tmp_path: Path, person: str
) -> None:
    """Whatever goes out goes to the number that was laid over, in words that are there."""
    bundle = reached(bundle_of(person), TODAY, visit=True)
    for focus in (*foci(bundle), VISIT):
        for row in decide(tmp_path, bundle, focus, TODAY).values():
            if row["outcome"] == "send":
                assert row["address"] == NUMBER
                assert row["language"] == "en"
                assert row["text"].startswith("The clinic: ")
                assert not SECRETS.search(row["text"])


def test_every_person_is_reviewed() -> None:
    assert {review.person for review in REVIEWS} == set(PEOPLE)
    assert all(review.why for review in REVIEWS)
