"""What a token lets its bearer do: scopes of both versions, and the compartment."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from middleware.sandbox.access import Access, Grant, Tokens
from middleware.sandbox.clock import SandboxClock
from middleware.sandbox.compartment import in_compartment
from middleware.sandbox.journal import Journal
from middleware.sandbox.outcome import FhirFault
from middleware.sandbox.scopes import covers, parse_scope, parse_scopes

FAR = datetime(2100, 1, 1, tzinfo=UTC)
LAB = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
TYPES = ["Patient", "Encounter", "Observation"]


def grant(scopes: str, patient: str | None = None, user: str | None = None) -> Grant:
    return Grant("app", frozenset(scopes.split()), patient, user, FAR)


def permitted(held: Grant) -> dict[str, str]:
    return {
        type_: letters
        for type_ in TYPES
        if (letters := "".join(i for i in "cruds" if held.permits(i, type_)))
    }


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        ("system/*.*", dict.fromkeys(TYPES, "cruds")),
        ("system/*.cruds", dict.fromkeys(TYPES, "cruds")),
        ("user/*.read", dict.fromkeys(TYPES, "rs")),
        ("system/Encounter.write", {"Encounter": "cud"}),
        ("system/Encounter.rs", {"Encounter": "rs"}),
        ("system/Encounter.r system/Encounter.u", {"Encounter": "ru"}),
        ("system/Encounter.sr", {}),
        ("system/Encounter.", {}),
        ("system/encounter.rs", {}),
        ("System/Encounter.rs", {}),
        ("system/Encounter.rs?category=x", {}),
        ("system/Observation.read?category=a|b", {}),
        (f"system/Observation.rs?category={LAB}", {}),
        ("openid fhirUser launch", {}),
        ("patient/*.rs", {}),
    ],
)
def test_permits_follows_the_scopes(scopes, expected):
    assert permitted(grant(scopes)) == expected


def test_permits_patient_scopes_only_with_a_patient():
    assert permitted(grant("patient/*.rs", "rosa")) == dict.fromkeys(TYPES, "rs")


def test_permits_a_granular_scope_for_its_category_only():
    held = grant(f"patient/Observation.rs?category={LAB}", "rosa")
    assert held.permits("s", "Observation", frozenset({LAB}))
    assert not held.permits("s", "Observation", frozenset({LAB + "s"}))
    lab = {"coding": [{"system": LAB.partition("|")[0], "code": "laboratory"}]}
    mine = {"resourceType": "Observation", "subject": {"reference": "Patient/rosa"}}
    assert held.admits("r", {**mine, "category": [lab]})
    assert not held.admits("r", mine)
    assert not held.admits("r", {**mine, "category": [{"coding": [{"code": "x"}]}]})


def test_compartment_of_the_whole_token():
    assert grant("patient/*.rs", "rosa").compartment == "rosa"
    assert grant("patient/*.rs user/*.rs", "rosa", "Practitioner/o").compartment is None
    assert grant("user/*.rs", "rosa", "Patient/rosa").compartment == "rosa"
    assert grant("system/*.rs").compartment is None


def test_confined_to_by_interaction_and_type():
    held = grant("patient/*.rs user/Appointment.cruds", "rosa", "Practitioner/o")
    assert held.confined_to("r", "Encounter") == "rosa"
    assert held.confined_to("r", "Appointment") is None
    portal = grant("user/Appointment.cruds", "rosa", "Patient/rosa")
    assert portal.confined_to("c", "Appointment") == "rosa"


def test_admits_only_the_patient_in_context():
    held = grant("patient/*.cruds", "rosa")
    visit = {"resourceType": "Encounter", "subject": {"reference": "Patient/rosa"}}
    other = {"resourceType": "Encounter", "subject": {"reference": "Patient/tom"}}
    assert held.admits("u", visit)
    assert not held.admits("u", other)
    assert held.admits("r", {"resourceType": "Practitioner", "id": "o"})
    assert not held.admits("u", {"resourceType": "Practitioner", "id": "o"})
    assert not held.admits("r", {"resourceType": "Subscription", "id": "s"})


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({"resourceType": "Patient", "id": "rosa"}, True),
        ({"resourceType": "Patient", "id": "tom"}, False),
        ({"resourceType": "Patient"}, False),
        ({"resourceType": "Task", "for": {"reference": "Patient/rosa"}}, True),
        ({"resourceType": "Task", "focus": {"reference": "Patient/rosa"}}, False),
        (
            {
                "resourceType": "Flag",
                "subject": {"reference": "Patient/rosa/_history/2"},
            },
            True,
        ),
        ({"resourceType": "Flag", "subject": {"reference": "Patient/rosalind"}}, False),
        (
            {
                "resourceType": "Appointment",
                "participant": [
                    {"actor": {"reference": "Practitioner/o"}},
                    {"actor": {"reference": "Patient/rosa"}},
                ],
            },
            True,
        ),
        ({"resourceType": "Appointment", "participant": ["Patient/rosa"]}, False),
        ({"resourceType": "Encounter", "subject": {"reference": 7}}, False),
        ({}, False),
    ],
)
def test_in_compartment(resource, expected):
    assert in_compartment(resource, "rosa") is expected


@pytest.mark.parametrize(
    ("granted", "wanted", "expected"),
    [
        ("system/*.read", "system/Encounter.rs", True),
        ("system/*.read", "system/Encounter.cruds", False),
        ("system/Encounter.rs", "system/*.rs", False),
        ("system/Encounter.r system/Encounter.s", "system/Encounter.read", True),
        ("user/*.cruds", "patient/Encounter.r", False),
        ("patient/*.rs", f"patient/Observation.rs?category={LAB}", True),
        (f"patient/*.rs?category={LAB}", "patient/Observation.rs", False),
        ("openid", "openid", True),
        ("launch", "launch/patient", False),
    ],
)
def test_covers(granted, wanted, expected):
    assert covers(granted.split(), wanted) is expected


def test_parse_scopes_names_the_first_stranger():
    assert parse_scopes("launch  launch openid") == ("launch", "openid")
    with pytest.raises(ValueError, match="'patient/x'"):
        parse_scopes("launch patient/x")
    assert parse_scope("launch") is None


@pytest.fixture
def tokens() -> Tokens:
    journal = Journal(None)
    return Tokens(SandboxClock(journal), journal)


@pytest.mark.parametrize(
    ("header", "error"),
    [
        (None, None),
        ("", None),
        ("Basic abc", "invalid_request"),
        ("Bearer", "invalid_request"),
        ("Bearer ", "invalid_request"),
        ("Bearer a b", "invalid_request"),
        ("Bearer guessed", "invalid_token"),
    ],
)
def test_authorize_refuses_with_a_challenge(tokens, header, error):
    with pytest.raises(FhirFault) as caught:
        Access(tokens).authorize(header)
    assert (caught.value.status, caught.value.code) == (401, "login")
    challenge = caught.value.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="fhir"')
    assert (f'error="{error}"' in challenge) is (error is not None)


def test_authorize_until_the_token_expires(tokens):
    clock = tokens._clock
    token = tokens.issue("app", frozenset({"system/*.rs"}), timedelta(seconds=300))
    access = Access(tokens)
    assert access.authorize(f"Bearer {token}").client_id == "app"
    assert access.authorize(f"bearer {token}").client_id == "app"
    clock.advance(timedelta(seconds=300))
    with pytest.raises(FhirFault):
        access.authorize(f"Bearer {token}")


def test_revoking_one_a_family_and_all(tokens):
    scopes = frozenset({"system/*.rs"})
    life = timedelta(hours=1)
    one, two, three, four = (
        tokens.issue("app", scopes, life, family=family) for family in "aabc"
    )
    tokens.revoke(one)
    tokens.revoke_family("b")
    alive = [tokens.lookup(token) is not None for token in (one, two, three, four)]
    assert alive == [False, True, False, True]
    assert tokens.revoke_all() == 2
    assert tokens.lookup(four) is None


def test_tokens_survive_a_restart_and_so_do_revocations(tmp_path: Path):
    life = timedelta(hours=1)
    journal = Journal(tmp_path)
    tokens = Tokens(SandboxClock(journal), journal)
    kept, gone = (tokens.issue("app", frozenset({"launch"}), life) for _ in "12")
    tokens.revoke(gone)
    journal.close()
    journal = Journal(tmp_path)
    tokens = Tokens(SandboxClock(journal), journal)
    assert tokens.lookup(kept).scopes == frozenset({"launch"})
    assert tokens.lookup(gone) is None
    journal.close()
