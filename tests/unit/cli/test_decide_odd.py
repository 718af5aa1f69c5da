"""``carecue decide`` over odd Bundles: pages, deletions, R5's Consent, strange instants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mappings.resource import Resource
from middleware.cli.main import main
from tests.unit.cli.charts import MODE, NOW, ROSA, bundle, permit
from tests.unit.decisions.story import encounter, patient

SMS = {"coding": [{"system": MODE, "code": "SMSWRIT"}]}
MAIL = {"coding": [{"system": MODE, "code": "EMAILWRIT"}]}
CHECK_IN = "post-discharge/check-in"


def decide(
    folder: Path, content: Any, now: str = NOW, focus: str = "Encounter/stay"
) -> Result:
    chart = folder / "chart.json"
    chart.write_text(json.dumps(content))
    arguments = ["decide", "--bundle", str(chart), "--focus", focus, "--now", now]
    return CliRunner().invoke(main, [*arguments, "--json"])


def check_in(folder: Path, content: Any) -> str:
    result = decide(folder, content)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout.splitlines()[-1])["candidates"]
    (row,) = (one for one in found if f"{one['plan']}/{one['action']}" == CHECK_IN)
    return f"{row['outcome']}: {row['reason']}"


def refused(result: Result) -> str:
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    return str(line)


def gone(reference: str, **entry: Any) -> Resource:
    return {"request": {"method": "DELETE", "url": reference}, **entry}


def with_entries(*entries: Resource, kind: str = "history") -> Resource:
    found = bundle(*ROSA, kind=kind)
    return {**found, "entry": [*found["entry"], *entries]}


@pytest.mark.parametrize("kind", ["history", "transaction", "batch"])
@pytest.mark.parametrize(
    "entry",
    [
        gone("Encounter/stay"),
        gone("Encounter/stay", fullUrl="https://ehr.example.org/fhir/Encounter/stay"),
        gone("Encounter/stay/_history/3"),
    ],
)
def test_nothing_follows_from_what_was_deleted(
    tmp_path: Path, kind: str, entry: Resource
) -> None:
    said = refused(decide(tmp_path, with_entries(entry, kind=kind)))
    assert said == "carecue: Encounter/stay was deleted: nothing follows from it."


def test_a_deleted_permission_permits_nothing(tmp_path: Path) -> None:
    content = with_entries(gone("Consent/yes"))
    assert check_in(tmp_path, content) == "hold: no-consent"


def test_a_deleted_patient_is_none(tmp_path: Path) -> None:
    said = refused(decide(tmp_path, with_entries(gone("Patient/rosa"))))
    assert "has no Patient/rosa" in said


@pytest.mark.parametrize(
    ("deleted", "updated", "stands"),
    [
        ("2026-11-01T10:00:00Z", "2026-11-02T10:00:00Z", True),
        ("2026-11-02T10:00:00Z", "2026-11-01T10:00:00Z", False),
        (None, "2026-11-02T10:00:00Z", False),
        ("2026-11-01T10:00:00Z", None, False),
    ],
)
def test_what_came_back_after_its_deletion_stands(
    tmp_path: Path, deleted: str | None, updated: str | None, stands: bool
) -> None:
    yes = permit(meta={"versionId": "4", "lastUpdated": updated})
    content = bundle(patient(), encounter(), yes, kind="history")
    response = {"status": "204", "lastModified": deleted}
    content["entry"].append(gone("Consent/yes", response=response))
    expected = "send: due" if stands else "hold: no-consent"
    assert check_in(tmp_path, content) == expected


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"link": [{"relation": "next", "url": "https://ehr.example.org/2"}]},
            "is one page of several",
        ),
        (
            {
                "entry": [
                    *bundle(*ROSA)["entry"],
                    {
                        "resource": {
                            "resourceType": "OperationOutcome",
                            "issue": [{"severity": "error", "code": "incomplete"}],
                        }
                    },
                ]
            },
            "is incomplete",
        ),
    ],
)
def test_a_bundle_that_says_it_is_not_all_is_refused(
    tmp_path: Path, changes: Resource, said: str
) -> None:
    content = {**bundle(*ROSA, kind="searchset"), **changes}
    assert said in refused(decide(tmp_path, content))


def test_a_warning_in_a_search_is_none_of_that(tmp_path: Path) -> None:
    hint = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "information", "code": "informational"}],
    }
    content = bundle(*ROSA, hint, kind="searchset")
    content["link"] = [{"relation": "self", "url": "https://ehr.example.org/1"}]
    assert check_in(tmp_path, content) == "send: due"


def r5(decision: str, **changes: Any) -> Resource:
    found = permit(id="other", decision=decision, date="2026-11-01", **changes)
    subject = found.pop("patient")
    del found["dateTime"]
    return {**found, "subject": subject}


@pytest.mark.parametrize(
    ("consent", "expected"),
    [
        (r5("deny", provision=[]), "hold: opted-out"),
        (r5("deny", provision=[{"code": [SMS]}]), "hold: opted-out"),
        (r5("permit", provision=[{"code": [SMS]}]), "hold: opted-out"),
        (r5("permit", provision=[{"code": [MAIL]}]), "send: due"),
        (r5("deny", status="inactive", provision=[]), "send: due"),
    ],
)
def test_a_denial_in_the_spelling_of_r5_wins(
    tmp_path: Path, consent: Resource, expected: str
) -> None:
    assert check_in(tmp_path, bundle(*ROSA, consent)) == expected


def test_a_permission_in_the_spelling_of_r5_names_no_way_of_contact(
    tmp_path: Path,
) -> None:
    content = bundle(patient(), encounter(), r5("permit", provision=[]))
    assert check_in(tmp_path, content) == "hold: no-consent"


@pytest.mark.parametrize(
    ("nested", "expected"),
    [
        ({"type": "deny", "code": [SMS]}, "hold: opted-out"),
        ({"type": "deny", "code": [MAIL]}, "send: due"),
        ({"type": "permit", "code": [MAIL]}, "send: due"),
    ],
)
def test_an_exception_may_deny_a_way_of_contact(
    tmp_path: Path, nested: Resource, expected: str
) -> None:
    texts = {"type": "permit", "code": [SMS], "provision": [nested]}
    content = bundle(patient(), encounter(), permit(provision=texts))
    assert check_in(tmp_path, content) == expected


MODIFIER = [{"url": "https://ehr.example.org/not", "valueBoolean": True}]


@pytest.mark.parametrize(
    "changes",
    [
        {"modifierExtension": MODIFIER},
        {"implicitRules": "https://ehr.example.org/rules"},
        {
            "provision": {
                "type": "permit",
                "code": [SMS],
                "modifierExtension": MODIFIER,
            }
        },
    ],
)
def test_a_permission_that_something_unknown_may_turn_round_is_none(
    tmp_path: Path, changes: Resource
) -> None:
    content = bundle(patient(), encounter(), permit(**changes))
    assert check_in(tmp_path, content) == "hold: no-consent"
    denied = permit(id="no", **{**changes, "provision": {"type": "deny"}})
    content = bundle(*ROSA, denied)
    assert check_in(tmp_path, content) == "hold: opted-out"


@pytest.mark.parametrize(
    "now",
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-12:00",
    ],
)
def test_an_instant_out_of_all_reason_is_one_line(tmp_path: Path, now: str) -> None:
    assert "is not of the years 1900 to 2200" in refused(
        decide(tmp_path, bundle(*ROSA), now)
    )


@pytest.mark.parametrize("focus", ["", "stay", "Encounter", "Encounter/", "/stay"])
def test_a_focus_that_is_no_reference_is_one_line(tmp_path: Path, focus: str) -> None:
    said = refused(decide(tmp_path, bundle(*ROSA), focus=focus))
    assert said == f"carecue: {focus!r} is no reference like Encounter/123."
