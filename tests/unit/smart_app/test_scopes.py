"""What is asked for, what a grant leaves on, and who may change nothing."""

import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from mappings.content import load_shipped
from mappings.nudge import NudgeState
from mappings.scopes import read_grant, read_scope
from middleware.desk.charting import page_queries
from middleware.desk.desk import Desk
from middleware.storage import nudges
from smart_app.scopes import (
    FEATURES,
    Asking,
    choose_asking,
    examine,
    list_scopes,
    write_scope,
)
from smart_app.users import write_roles_query
from tests.unit.smart_app.acts import OURS, agree, plan, words
from tests.unit.smart_app.conftest import OURS_HEADERS

TYPES = ("Appointment", "Encounter", "Observation")


def asked(rig, path="/smart/launch"):
    query = {"iss": rig.ehr.base, "launch": "x"}
    location = rig.http.get(path, query_string=query).location
    return parse_qs(urlsplit(location).query)["scope"][0].split()


def test_every_scope_that_is_asked_belongs_to_a_feature() -> None:
    words = write_scope(TYPES, standalone=False).split()
    needed = {feature.scope() for feature in FEATURES}
    assert {word for word in words if "/" in word} <= needed
    assert len(words) == len(set(words))


def test_every_scope_of_what_is_shipped_has_a_read_and_every_read_a_scope(rig) -> None:
    library, endpoint = load_shipped(), rig.endpoints[0]
    desk = Desk(replace(rig.context, library=lambda _: library))
    queries = (
        *page_queries(library, "Patient/rosa", (), rig.clock.now()),
        "Practitioner/osei",
        write_roles_query("Practitioner/osei"),
    )
    read = {re.split(r"[/?]", query)[0] for query in queries}
    words = write_scope(
        desk.resource_types(endpoint), standalone=False, asking=Asking(roles=True)
    ).split()
    asked = {scope.type for word in words if (scope := read_scope(word)) is not None}
    assert asked == read
    # A feature that nothing reads for is a scope that somebody would have to grant.
    assert {feature.type for feature in FEATURES} == read


def test_a_page_reads_all_that_its_launch_asked_for_and_nothing_else(rig) -> None:
    words = asked(rig)
    rig.open_page()
    read = {re.split(r"[/?]", query)[0] for query in rig.ehr.queries}
    types = {scope.type for word in words if (scope := read_scope(word)) is not None}
    # The role is read where somebody signs in as one.
    assert types - read == {"PractitionerRole"}
    assert read <= types


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@120-146")
def test_no_wildcard_and_no_write_is_ever_asked() -> None:
    for word in list_scopes({feature.type for feature in FEATURES}).split():
        scope = read_scope(word)
        assert scope is None or (scope.type != "*" and scope.letters <= {"r", "s"})


@pytest.mark.parametrize(
    ("capabilities", "style"),
    [
        (("permission-v1",), "v1"),
        (("permission-v1", "permission-v2"), "v2"),
        (("permission-v2",), "v2"),
        ((), "v2"),
    ],
)
def test_old_spelling_only_where_nothing_else_is_known(capabilities, style) -> None:
    asking = choose_asking(capabilities, ())
    assert asking.style == style
    words = write_scope(TYPES, standalone=False, asking=asking).split()
    expected = {"v1": "patient/Encounter.read", "v2": "patient/Encounter.rs"}
    assert expected[style] in words


def test_granular_parts_are_asked_where_they_are_all_that_is_offered() -> None:
    part = "patient/Observation.rs?category=survey"
    asking = choose_asking((), ("patient/Encounter.rs", part))
    words = write_scope(TYPES, standalone=False, asking=asking).split()
    assert part in words
    assert "patient/Observation.rs" not in words
    assert "patient/Encounter.rs" in words


def test_granular_parts_beside_the_whole_are_not_asked() -> None:
    part = "patient/Observation.rs?category=survey"
    asking = choose_asking((), ("patient/*.cruds", part))
    words = write_scope(TYPES, standalone=False, asking=asking).split()
    assert part not in words
    assert "patient/Observation.rs" in words


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@215-216")
@pytest.mark.parametrize(
    ("offered", "word"),
    [
        (("online_access", "offline_access"), "online_access"),
        (("offline_access",), "offline_access"),
        ((), None),
    ],
)
def test_refresh_is_asked_where_it_is_offered(offered, word) -> None:
    words = write_scope(
        TYPES, standalone=False, asking=choose_asking((), offered)
    ).split()
    assert [item for item in words if item.endswith("_access")] == (
        [word] if word else []
    )


@pytest.mark.parametrize(
    "granted",
    [
        "patient/Appointment.rs",
        "patient/Appointment.read",
        "patient/Appointment.Read patient/Appointment.rs",
        "user/Appointment.cruds",
        "patient/*.read",
        "patient/Appointment.r patient/Appointment.s",
        "PATIENT/Appointment.RS",
    ],
)
def test_a_feature_is_on_however_its_scope_is_spelt(granted) -> None:
    assert "visits" in examine(granted, TYPES).features


@pytest.mark.parametrize(
    "granted", ["", "patient/Appointment.r", "system/Appointment.rs", "openid"]
)
def test_a_feature_without_its_scope_is_off_and_names_it(granted) -> None:
    found = examine(granted, TYPES)
    assert "visits" not in found.features
    (visits,) = [item for item in found.withheld if item.feature == "visits"]
    assert visits.scope == "patient/Appointment.rs"
    assert not visits.partly


def test_a_part_of_a_type_leaves_a_feature_partly_on() -> None:
    found = examine("patient/Observation.rs?category=survey", TYPES)
    (results,) = [item for item in found.withheld if item.feature == "results"]
    assert results.partly
    assert "results" in found.features


def test_the_scope_to_add_is_in_the_servers_own_spelling() -> None:
    found = examine("", TYPES, Asking(style="v1"))
    assert "patient/Appointment.read" in {item.scope for item in found.withheld}


def test_more_than_before_is_noticed_and_the_same_in_other_words_is_not() -> None:
    before = read_grant("patient/*.read openid")
    assert read_grant("patient/Encounter.rs patient/Task.Read").exceeds(before) == ()
    assert read_grant("patient/Task.write").exceeds(before) == ("Task",)
    assert read_grant("user/Task.read").exceeds(before) == ("Task",)


def test_launch_asks_as_the_server_knows(rig) -> None:
    rig.ehr.configuration = {
        "capabilities": ["launch-ehr", "permission-v1", "permission-online"]
    }
    words = asked(rig)
    assert "patient/Appointment.read" in words
    assert "online_access" in words


def test_features_that_are_off_do_not_close_the_page(rig) -> None:
    rig.ehr.answer = {"scope": "launch openid fhirUser patient/Patient.rs"}
    assert rig.http.get(rig.open()).status_code == 200


def test_site_wide_read_only_refuses_every_save(rig) -> None:
    page = rig.open()
    form = rig.form(page, until="open", why="asked", version="0")
    rig.app(read_only=("*",))
    answer = rig.http.post(f"{page}pause", data=form, headers=OURS_HEADERS)
    assert answer.status_code == 403
    assert ">F5<" in answer.text
    assert "your role at this site is read-only" in answer.text


def test_every_form_of_a_launch_is_refused_to_who_may_only_look(rig) -> None:
    page = rig.open()
    form = rig.form(page)
    rig.app(read_only=("Practitioner/osei",))
    lid = page.split("/")[2]
    forms = [
        rule
        for rule in rig.http.application.url_map.iter_rules()
        if "POST" in (rule.methods or ()) and rule.rule.startswith("/l/<lid>/")
    ]
    own = {"smart.close", "smart.window", "smart.language", "smart.pick"}
    assert len(forms) > 4
    for rule in forms:
        if rule.endpoint in own:
            continue
        path = rule.rule.replace("<lid>", lid).replace("<nudge_id>", "n1")
        path = path.replace("<name>", "hours").replace("<keep>", "ours")
        assert "<" not in path, f"say what stands for the rest of {path}"
        answer = rig.http.post(path, data=form, headers=OURS_HEADERS)
        assert (answer.status_code, ">F5<" in answer.text) == (403, True), path


@pytest.mark.parametrize(
    ("listed", "code", "status"),
    [
        ("nurse", "nurse", 403),
        ("http://roles.example.org|nurse", "nurse", 403),
        ("http://other.example.org|nurse", "nurse", 303),
        ("nurse", "doctor", 303),
        ("Practitioner/other", "nurse", 303),
    ],
)
def test_a_role_decides_who_may_only_look(rig, listed, code, status) -> None:
    rig.app(read_only=(listed,))
    rig.ehr.resources["PractitionerRole/r1"] = {
        "resourceType": "PractitionerRole",
        "id": "r1",
        "practitioner": {"reference": "Practitioner/osei"},
        "code": [{"coding": [{"system": "http://roles.example.org", "code": code}]}],
    }
    page = rig.open()
    form = rig.form(page, until="open", why="asked", version="0")
    answer = rig.http.post(f"{page}pause", data=form, headers=OURS_HEADERS)
    assert answer.status_code == status


def test_roles_that_cannot_be_read_change_nothing(rig) -> None:
    rig.app(read_only=("nurse",))
    rig.ehr.broken.add("PractitionerRole")
    page = rig.open()
    form = rig.form(page, until="open", why="asked", version="0")
    answer = rig.http.post(f"{page}pause", data=form, headers=OURS_HEADERS)
    assert answer.status_code == 403


def test_a_site_may_ask_for_a_scope_before_anything_is_changed(rig) -> None:
    rig.app(edit_scope="patient/Consent.u")
    page = rig.open()
    form = rig.form(page, until="open", why="asked", version="0")
    answer = rig.http.post(f"{page}pause", data=form, headers=OURS_HEADERS)
    assert answer.status_code == 403
    assert "did not give this app the scope" in answer.text


@pytest.mark.parametrize("kind", ["Patient", "RelatedPerson", "Person"])
def test_who_is_no_staff_is_told_why(rig, kind) -> None:
    rig.ehr.claims = {"fhirUser": f"{kind}/x"}
    answer = rig.launch()
    assert answer.status_code == 403
    assert f"({kind})" in answer.text
    assert ">U2<" in answer.text


@pytest.mark.parametrize(
    "user", [None, "https://evil.example.org/fhir/Practitioner/osei"]
)
def test_a_user_known_by_sub_alone_may_look_where_the_site_says_so(rig, user) -> None:
    rig.app(unknown_users=True)
    rig.ehr.claims = {"fhirUser": user}
    page = rig.open()
    form = rig.form(page, until="open", why="asked", version="0")
    answer = rig.http.post(f"{page}pause", data=form, headers=OURS_HEADERS)
    assert answer.status_code == 403
    assert "did not say who you are" in answer.text


@pytest.mark.parametrize("kind", ["Patient", "RelatedPerson", "Person"])
def test_who_is_no_staff_is_not_let_in_by_another_address_of_the_ehr(rig, kind):
    rig.app(unknown_users=True)
    rig.ehr.claims = {"fhirUser": f"https://alias.example.org/fhir/{kind}/x"}
    answer = rig.launch()
    assert answer.status_code == 403
    assert f"({kind})" in answer.text


WHOLE = "launch openid fhirUser patient/Patient.rs "


@pytest.mark.parametrize(
    ("granted", "asked_types"),
    [
        ("patient/Encounter.rs", {"Encounter"}),
        ("patient/Encounter.read PATIENT/encounter.Read", {"Encounter"}),
        ("user/Encounter.read patient/Flag.s", {"Encounter", "Flag"}),
        ("patient/Encounter.cud user/Condition.r system/Flag.rs", set()),
        ("patient/Encounter.rs?status=finished", {"Encounter"}),
        ("", set()),
    ],
)
@pytest.mark.parametrize("batches", [True, False])
def test_what_was_not_granted_is_not_asked_for(rig, granted, asked_types, batches):
    rig.ehr.batches = batches
    rig.ehr.answer = {"scope": WHOLE + granted}
    text = words(rig.http.get(rig.open()).text)
    asked = {kind.partition("?")[0].partition("/")[0] for kind in rig.ehr.queries}
    assert asked == {"Patient", *asked_types}
    wanted = {"Encounter": "hospital stays and visits", "Condition": "problems"}
    for kind, name in wanted.items():
        missing = f"{name} (scope patient/{kind}.rs missing)"
        assert (missing in text) is (kind not in asked_types), text


def test_a_message_about_what_was_not_granted_stands_as_it_was_decided(rig):
    agree(rig)
    plan(rig)
    types = rig.ports.desk.resource_types(rig.endpoints[0])
    granted = {f"patient/{kind}.rs" for kind in types} - {"patient/Appointment.rs"}
    rig.ehr.answer = {"scope": WHOLE + " ".join(granted)}
    text = words(rig.http.get(rig.open()).text)
    assert "The EHR did not give this app: visits." in text
    # It goes out: the pipeline reads what this launch may not.
    assert "Text, Spanish Preview" in text
    assert "None for now" not in text
    assert "could not be read" not in text
    assert "No coming message is held for it" not in text  # no decision is recorded


def without_visits(rig):
    """Open the page with every scope but that for visits; return its path."""
    types = rig.ports.desk.resource_types(rig.endpoints[0])
    granted = {f"patient/{kind}.rs" for kind in types} - {"patient/Appointment.rs"}
    rig.ehr.answer = {"scope": WHOLE + " ".join(granted)}
    return rig.open_page()


def test_verdict_promises_nothing_where_carecue_was_not_given_it_either(rig):
    agree(rig)
    plan(rig, state=NudgeState.HELD, reason="data-missing")
    html = rig.http.get(without_visits(rig)).text
    text = words(html)
    assert "<h1" in html
    assert "No message to Rosa can go out now." in text
    assert "Messages on" not in text
    assert (
        "1 planned message is held. Not read: visits. Once that is read: "
        "Text Rosa in Spanish, 9 AM to 8 PM." in text
    )


def saves(rig, path, part, **values):
    """Fill in a form and save it."""
    page = rig.http.get(path + ("" if part == "resume" else part)).text
    form = page.split(f'action="{path}{part}"')[1].split("</form>")[0]
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))
    answer = rig.http.post(path + part, data={**hidden, **values}, headers=OURS)
    assert answer.status_code == 303, words(answer.text)


def stands(rig):
    with rig.database.tx() as tx:
        nudge = nudges.get_nudge(tx, "nudge-1")
    return nudge.state, nudge.reason


def test_a_save_holds_nothing_for_what_only_this_person_may_not_read(rig):
    agree(rig)
    plan(rig)
    path = without_visits(rig)
    saves(rig, path, "preferences/limit", limit="2", who="staff")
    assert stands(rig) == (NudgeState.PLANNED, "due")
    assert "Text, Spanish Preview" in words(rig.http.get(path).text)
    later = {"day": "2026-11-18", "time": "15:30", "why": "asked"}
    saves(rig, path, "messages/nudge-1/move", **later)
    assert stands(rig) == (NudgeState.PLANNED, "due")


def test_what_people_said_holds_a_message_about_what_may_not_be_read(rig):
    agree(rig)
    plan(rig)
    path = without_visits(rig)
    saves(rig, path, "pause", until="open", why="asked")
    assert stands(rig) == (NudgeState.HELD, "paused")
    text = words(rig.http.get(path).text)
    assert "Held, messages are paused" in text
    assert "Text, Spanish Preview" not in text
    saves(rig, path, "resume")
    assert stands(rig) == (NudgeState.PLANNED, "due")
    no = {"question": "May we?", "point": "sms:+14155550142", "answer": "no"}
    saves(rig, path, "answers", **no, how="in-person", said_by="Patient/rosa")
    assert stands(rig) == (NudgeState.HELD, "opted-out")
    assert "Held, the answer was no" in words(rig.http.get(path).text)


@pytest.mark.parametrize("granted", ["patient/*.rs", "user/*.cruds", "patient/*.read"])
def test_one_word_for_every_type_grants_all(rig, granted):
    rig.ehr.batches = False
    rig.ehr.answer = {"scope": f"launch {granted}"}
    text = words(rig.http.get(rig.open()).text)
    asked = {kind.partition("?")[0] for kind in rig.ehr.queries}
    assert {"Encounter", "Condition", "Consent", "Flag", "Goal", "Appointment"} < asked
    assert "missing)" not in text


def test_scope_that_is_missing_is_named_as_the_server_spells_it(rig):
    rig.ehr.configuration = {"capabilities": ["permission-v1"]}
    rig.ehr.answer = {"scope": "launch patient/Patient.read"}
    text = words(rig.http.get(rig.open()).text)
    assert "flags (scope patient/Flag.read missing)" in text


def test_a_part_of_a_type_is_asked_for_and_never_called_none(rig):
    part = "patient/Appointment.rs?status=booked patient/Goal.rs?category=x"
    rest = " ".join(
        f"patient/{name}.rs"
        for name in rig.ports.desk.resource_types(rig.endpoints[0])
        if name not in ("Appointment", "Goal")
    )
    rig.ehr.answer = {"scope": f"launch {rest} {part}"}
    text = words(rig.http.get(rig.open()).text)
    assert "The EHR gives this app a part only of: visits and goals." in text
    assert "Visits are permitted in part" in text
    assert "nothing found there: visits (in part: scope patient/Appointment.rs" in text
    assert "Cannot be shown here." in text
    assert "None booked" not in text


@pytest.mark.parametrize(
    "scope",
    ["launch openid", "launch patient/Condition.rs", "launch patient/Patient.c"],
)
def test_launch_without_the_patient_names_the_scope_and_reads_nothing(rig, scope):
    rig.ehr.answer = {"scope": scope}
    answer = rig.launch()
    assert answer.status_code == 403
    assert "adds the scope patient/Patient.rs to this app" in words(answer.text)
    assert "T6" in answer.text
    assert rig.ehr.queries == []


def test_scopes_that_a_renewal_takes_away_count_from_then_on(rig):
    rig.ehr.refresh = "rt-1"
    rig.ehr.answer = {"expires_in": 300}
    path = rig.open()
    assert "missing)" not in words(rig.http.get(path).text)
    rig.ehr.renewal = {"scope": "launch patient/Patient.rs"}
    rig.clock.instant += timedelta(seconds=290)
    rig.http.get(path)
    rig.ehr.queries.clear()
    text = words(rig.http.get(path).text)
    assert "flags (scope patient/Flag.rs missing)" in text
    assert {kind.partition("/")[0] for kind in rig.ehr.queries} == {"Patient"}
