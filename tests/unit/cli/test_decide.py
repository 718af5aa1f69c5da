"""``carecue decide``: a chart in a file, as administrators and auditors try it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mappings.resource import Resource
from middleware.cli.main import main
from tests.unit.cli.charts import NOW, ROSA, bundle, permit
from tests.unit.decisions.story import appointment, encounter, patient

URN = "urn:uuid:5d1c2b8e-0000-4000-8000-00000000000"


@pytest.fixture
def run(tmp_path: Path) -> Any:
    def run(
        content: Any, *more: str, focus: str = "Encounter/stay", **files: Any
    ) -> Result:
        chart = tmp_path / "chart.json"
        chart.write_text(content if isinstance(content, str) else json.dumps(content))
        arguments = ["decide", "--bundle", str(chart), "--focus", focus]
        arguments += ["--now", files.pop("now", NOW)]
        for name, value in files.items():
            path = tmp_path / f"{name}.json"
            path.write_text(value if isinstance(value, str) else json.dumps(value))
            arguments += [f"--{name}", str(path)]
        return CliRunner().invoke(main, [*arguments, *more])

    return run


def rows(result: Result) -> dict[str, dict[str, Any]]:
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout.splitlines()[-1])
    return {f"{row['plan']}/{row['action']}": row for row in found["candidates"]}


def test_a_discharge_home_gives_a_check_in_with_all_that_it_rests_on(run: Any) -> None:
    found = rows(run(bundle(*ROSA), "--json"))["post-discharge/check-in"]
    assert found.keys() == {
        *("plan", "action", "outcome", "reason", "due", "expires", "channel"),
        *("address", "language", "text", "facts"),
    }
    assert (found["outcome"], found["reason"]) == ("send", "due")
    assert found["due"] == "2026-11-21T16:30:00-06:00"
    assert found["expires"] == "2026-11-23T16:30:00-06:00"
    assert (found["channel"], found["address"]) == ("sms", "+13125550142")
    assert found["language"] == "en"
    assert found["text"].startswith("The clinic: ")
    rests = {(one["reference"], one["version"]) for one in found["facts"]}
    assert {
        ("Encounter/stay", "2"),
        ("Consent/yes", "4"),
        ("Patient/rosa", "3"),
    } <= rests


def test_a_staff_step_is_a_task_and_others_do_not_apply(run: Any) -> None:
    found = rows(run(bundle(*ROSA), "--json"))
    task = found["post-discharge/contact-task"]
    assert (task["outcome"], task["due"]) == ("task", "2026-11-24T17:00:00-06:00")
    assert found["ed-followup/ed-followup-1"]["outcome"] == "not-applicable"


def test_references_by_full_url_are_followed(run: Any) -> None:
    person = patient(id="p9")
    stay = encounter(id="e9", subject={"reference": f"{URN}1"})
    yes = permit(id="c9", patient={"reference": f"{URN}1"})
    entries = [
        {"fullUrl": f"{URN}{index}", "resource": item, "request": {"method": "POST"}}
        for index, item in enumerate((person, stay, yes), start=1)
    ]
    content = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    found = rows(run(content, "--json", focus="Encounter/e9"))
    assert found["post-discharge/check-in"]["outcome"] == "send"


@pytest.mark.parametrize(
    ("base", "outcome"),
    [("https://ehr.example.org/fhir", "send"), ("https://other.example/fhir", "hold")],
)
def test_references_under_the_base_of_the_entries_are_followed_and_no_others(
    run: Any, base: str, outcome: str
) -> None:
    yes = permit(patient={"reference": f"{base}/Patient/rosa"})
    entries = [
        {
            "fullUrl": f"https://ehr.example.org/fhir/{item['resourceType']}/{item['id']}",
            "resource": item,
        }
        for item in (patient(), encounter(), yes)
    ]
    content = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    found = rows(run(content, "--json"))["post-discharge/check-in"]
    assert found["outcome"] == outcome


def test_another_persons_consent_in_the_same_file_permits_nothing(run: Any) -> None:
    other = permit(patient={"reference": "Patient/else"})
    content = bundle(patient(), encounter(), other, patient(id="else"))
    found = rows(run(content, "--json"))["post-discharge/check-in"]
    assert (found["outcome"], found["reason"]) == ("hold", "no-consent")


def test_the_newest_of_several_versions_counts(run: Any) -> None:
    newer = encounter(meta={"versionId": "10"}, status="entered-in-error")
    content = bundle(patient(), newer, encounter(), permit(), kind="history")
    found = rows(run(content, "--json"))
    assert "send" not in {row["outcome"] for row in found.values()}
    older = encounter(meta={"versionId": "1"}, status="in-progress")
    content = bundle(older, patient(), encounter(), permit(), kind="history")
    found = rows(run(content, "--json"))
    assert found["post-discharge/check-in"]["outcome"] == "send"


@pytest.mark.parametrize(
    ("person", "outcome", "reason"),
    [
        ({"deceasedBoolean": True}, "suppress", "deceased"),
        ({"communication": ...}, "task", "language-missing"),
        ({"birthDate": "2015-01-01"}, "task", "minor"),
        ({"telecom": ...}, "hold", "no-address"),
    ],
)
def test_what_stands_in_the_way_is_named(
    run: Any, person: Resource, outcome: str, reason: str
) -> None:
    content = bundle(patient(**person), encounter(), permit())
    found = rows(run(content, "--json"))["post-discharge/check-in"]
    assert (found["outcome"], found["reason"]) == (outcome, reason)


def test_a_translation_waits_until_the_site_names_its_reviewer(run: Any) -> None:
    spanish = [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "es"}]}}]
    content = bundle(patient(communication=spanish), encounter(), permit())
    found = rows(run(content, "--json"))["post-discharge/check-in"]
    assert (found["outcome"], found["reason"]) == ("task", "wording-not-reviewed")
    reviewed = {"reviewers": {"es": "L. Ortiz"}}
    found = rows(run(content, "--json", site=reviewed))["post-discharge/check-in"]
    assert (found["outcome"], found["language"]) == ("send", "es")


@pytest.mark.parametrize("form", ["list", "bundle"])
def test_what_was_sent_before_counts_against_the_limit(run: Any, form: str) -> None:
    days = [f"2026-11-{day}T15:00:00Z" for day in (18, 19, 20)]
    history: dict[str, Any] = {
        "sent": [{"sentAt": at, "topic": "care-plan", "channel": "sms"} for at in days]
    }
    if form == "bundle":
        history = bundle(
            *(
                {"resourceType": "Communication", "status": "completed", "sent": at}
                for at in days
            )
        )
    found = rows(run(bundle(*ROSA), "--json", history=history))
    assert found["post-discharge/check-in"]["outcome"] != "send"
    free = rows(run(bundle(*ROSA), "--json"))
    assert free["post-discharge/check-in"]["outcome"] == "send"


def test_what_it_would_send_itself_counts_too(run: Any) -> None:
    site = {"max_per_week": 1}
    found = rows(run(bundle(*ROSA), "--json", site=site))
    assert found["post-discharge/check-in"]["outcome"] == "send"
    second = found["post-discharge/book-visit"]
    assert second["outcome"] in ("hold", "suppress")
    assert second["reason"] in ("limit-reached", "window-passed")


def test_a_cancelled_visit_reminds_nobody(run: Any) -> None:
    visit = appointment(status="cancelled")
    content = bundle(patient(), visit, permit())
    found = rows(run(content, "--json", focus="Appointment/visit"))
    assert not any(row["outcome"] == "send" for row in found.values())


def test_a_person_can_read_it(run: Any) -> None:
    result = run(bundle(*ROSA))
    assert result.exit_code == 0
    assert "post-discharge/check-in: send  It is due and every check" in result.stdout
    assert "sms to +13125550142" in result.stdout
    assert "Encounter/stay status: finished" in result.stdout


@pytest.mark.parametrize(
    ("content", "more", "fault"),
    [
        ("{", {}, "is not JSON"),
        ("[]", {}, "not a FHIR Bundle"),
        ('{"resourceType": "Patient"}', {}, "not a FHIR Bundle"),
        (bundle(), {}, "has no Encounter/stay"),
        (bundle(encounter()), {}, "has no Patient/rosa"),
        (bundle(encounter(subject=None)), {}, "which patient"),
        (bundle(*ROSA), {"now": "yesterday"}, "not an ISO 8601 instant"),
        (bundle(*ROSA), {"now": "2026-11-20T17:00:00"}, "time zone"),
        (bundle(*ROSA), {"site": {"zone": "Mars/Olympus"}}, "no IANA time zone"),
        (bundle(*ROSA), {"site": {"colour": "red"}}, "unknown fields"),
        (bundle(*ROSA), {"history": {"sent": [{"topic": "x"}]}}, "sentAt"),
        (bundle(*ROSA), {"history": "]"}, "is not JSON"),
    ],
)
def test_bad_input_gets_one_clear_line(
    run: Any, content: Any, more: dict[str, Any], fault: str
) -> None:
    result = run(content, "--json", **more)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert fault in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
