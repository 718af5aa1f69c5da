"""Who looked at whose chart: kept before anything leaves, once a minute, with why."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from mappings.audited import SEARCHED, VIEWED
from middleware.storage import endpoints
from middleware.storage.audit import list_audit
from middleware.storage.outbox import find_outbox
from tests.unit.smart_app.acts import OURS, acts, agree, field, plan, search

CONTEXT = [{"reference": "Appointment/a1"}]


def looks(rig) -> list:
    """List who looked, the oldest first."""
    with rig.database.tx() as tx:
        return [row for row in list_audit(tx) if row.action == VIEWED][::-1]


def refuse_audit(rig) -> None:
    """Let no more rows into the audit."""
    with rig.database.tx() as tx:
        tx.execute("ALTER TABLE audit ADD CONSTRAINT full_up CHECK (false) NOT VALID")


def test_a_page_is_audited_with_who_whom_what_and_why(rig):
    plan(rig)
    path = rig.open(intent="rounds", encounter="e1", fhirContext=CONTEXT)
    rig.http.get(path)
    opening, page = looks(rig)
    launch = path.split("/")[2]
    assert {
        (row.who, row.patient, row.endpoint_id, row.subject) for row in (opening, page)
    } == {("Practitioner/osei", "Patient/rosa", "northside", launch)}
    assert (opening.detail["view"], opening.detail["read"]) == (
        "opening",
        {"Patient": 1},
    )
    assert page.detail == {
        "view": "page",
        "read": {"Patient": 1, "Appointment": 1},
        "iss": rig.ehr.base,
        "sub": "user-1",
        "fhir_user": "Practitioner/osei",
        "intent": "rounds",
        "encounter": "Encounter/e1",
        "fhir_context": [{"role": "launch", "reference": "Appointment/a1"}],
    }


def test_the_same_page_within_a_minute_is_one_look(rig):
    path = rig.open()
    rig.http.get(path)
    rig.clock.instant += timedelta(seconds=50)
    rig.http.get(path)
    assert len(looks(rig)) == 2
    plan(rig)
    rig.http.get(path)
    assert [row.detail["read"] for row in looks(rig)[2:]] == [
        {"Patient": 1, "Appointment": 1}
    ], "what was not seen before is a look of its own"
    rig.clock.instant += timedelta(seconds=61)
    rig.http.get(path)
    assert len(looks(rig)) == 5


@pytest.mark.parametrize(
    ("where", "view"),
    [
        ("", "page"),
        ("history", "history"),
        ("summary", "summary"),
        ("messages/nudge-1", "preview"),
        ("messages/nudge-1/move", "move"),
        ("messages/nudge-1/skip", "skip"),
        ("pause", "pause"),
        ("preferences/language", "preference"),
    ],
)
def test_each_view_is_audited_by_name_and_not_shown_where_it_cannot_be(
    rig, where, view
):
    agree(rig)
    plan(rig)
    path = rig.open() + where
    shown = rig.http.get(path)
    assert shown.status_code == 200
    assert "Rosa" in shown.text
    assert looks(rig)[-1].detail["view"] == view
    rig.clock.instant += timedelta(minutes=2)
    refuse_audit(rig)
    kept = rig.http.get(path)
    assert kept.status_code == 500
    assert "Rosa" not in kept.text
    assert "Something of CareCue is not working" in kept.text


def test_a_search_is_audited_by_count_and_not_by_what_was_typed(rig, picker):
    assert "Rosa Delgado" in search(rig, picker).text
    with rig.database.tx() as tx:
        (row,) = [row for row in list_audit(tx) if row.action == SEARCHED]
        (mine,) = list_audit(tx, endpoint_id="northside", patient="Patient/rosa")
    assert (row.who, row.patient) == ("Practitioner/osei", None)
    assert (row.detail["count"], row.detail["by"]) == (1, ["birth_date", "name"])
    assert "Del" not in str(row.detail)
    assert mine == row, "who was among what a search brought up was seen as well"
    refuse_audit(rig)
    assert "Rosa Delgado" not in search(rig, picker).text


def test_nobody_changes_the_audit(rig):
    rig.http.get(rig.open())
    for statement in ("DELETE FROM audit", "UPDATE audit SET who = 'nobody'"):
        with pytest.raises(Exception, match="42501"), rig.database.tx() as tx:
            tx.execute(statement)
    with psycopg.connect(rig.database.url) as other:
        count = other.execute("SELECT count(*) FROM audit WHERE who = 'nobody'")
        assert count.fetchone() == (0,)


def want_events(rig, wanted):
    endpoint = rig.endpoints[0]
    profile = {**endpoint.profile, "audit_events": wanted}
    rig.endpoints[0] = replace(endpoint, profile=profile)
    with rig.database.tx() as tx:
        endpoints.update_endpoint(tx, rig.endpoints[0])


def told(rig, action):
    """Whom the EHR is told of because of an action, once for each time."""
    with rig.database.tx() as tx:
        rows = tx.execute(
            "SELECT o.patient FROM outbox AS o "
            "JOIN audit AS a ON a.id::text = o.resource ->> 'id' "
            "WHERE a.action = %s AND o.resource ->> 'resourceType' = 'AuditEvent' "
            "ORDER BY 1",
            (action,),
        )
        return [row["patient"] for row in rows]


@pytest.mark.parametrize("wanted", [True, False])
def test_the_ehr_is_told_who_came_and_left(rig, wanted):
    want_events(rig, wanted)
    path = rig.open()
    rig.http.get(path)
    rig.http.post(f"{path}close", data=rig.form(path), headers=OURS)
    expected = ["Patient/rosa"] if wanted else []
    assert told(rig, "launch-opened") == expected
    assert told(rig, "launch-ended") == expected


@pytest.mark.parametrize("wanted", [True, False])
def test_the_ehr_is_told_of_everybody_whom_a_search_showed(rig, picker, wanted):
    want_events(rig, wanted)
    rig.ehr.resources["Patient/ruth"] = {
        **rig.ehr.resources["Patient/rosa"],
        "id": "ruth",
    }
    search(rig, picker)
    expected = ["Patient/rosa", "Patient/ruth"] if wanted else []
    assert told(rig, SEARCHED) == expected


@pytest.mark.parametrize("wanted", [True, False])
def test_the_ehr_is_told_where_the_site_wants_that(rig, wanted):
    want_events(rig, wanted)
    rig.http.get(rig.open())
    for row in looks(rig):
        with rig.database.tx() as tx:
            queued = find_outbox(tx, f"northside|audit|{row.id}")
        assert (queued is not None) is wanted


def pause_unseen(rig):
    """Pause messages in a launch whose page was never asked for."""
    path = rig.open()
    form = rig.http.get(f"{path}pause").text
    names = ("csrf", "patient", "form_id", "version")
    hidden = {name: field(form, name) for name in names}
    data = {**hidden, "until": "open", "why": "crisis"}
    assert rig.http.post(f"{path}pause", data=data, headers=OURS).status_code == 303
    with rig.database.tx() as tx:
        told = tx.execute(
            "SELECT resource FROM outbox WHERE resource ->> 'resourceType' = "
            "'Provenance' ORDER BY id DESC LIMIT 1"
        ).fetchone()
    return saved(rig), told["resource"]["agent"][0]


def saved(rig):
    with rig.database.tx() as tx:
        return next(row for row in acts(tx) if row.action == "preference-saved")


def test_who_saves_before_a_page_was_seen_is_known_by_name(rig):
    agree(rig)
    entry, agent = pause_unseen(rig)
    assert (entry.who, entry.detail["by"]) == ("Practitioner/osei", "Dr. Abena Osei")
    assert agent["who"] == {
        "reference": "Practitioner/osei",
        "display": "Dr. Abena Osei",
    }
    assert rig.ehr.log.count("GET /fhir/Practitioner/osei") == 1


@pytest.mark.parametrize("why", ["refused", "not permitted"])
def test_who_may_not_be_read_saves_under_the_reference(rig, why):
    agree(rig)
    if why == "refused":
        del rig.ehr.resources["Practitioner/osei"]
    else:
        rig.ehr.answer = {"scope": "openid fhirUser launch patient/*.rs"}
    entry, agent = pause_unseen(rig)
    assert entry.who == "Practitioner/osei"
    assert "by" not in entry.detail
    assert agent["who"] == {"reference": "Practitioner/osei"}
