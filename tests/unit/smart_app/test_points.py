"""Numbers and addresses corrected on the page: what counts at once, and what never does."""

import hashlib
import re
from datetime import timedelta

import pytest

from mappings.chart import Chart
from mappings.nudge import NudgeState
from mappings.preference import ConsentRecord, Who
from mappings.telecom import CURRENT, OLD
from middleware.decisions.preference import compile_profile
from middleware.stages.people import own_record
from middleware.storage import preferences
from middleware.storage.audit import list_audit
from middleware.storage.bearers import list_bearers, note_bearers
from middleware.storage.records import read_own
from tests.unit.smart_app.acts import OURS, PARTIAL, agree, field, plan, say, words

OLD_NUMBER, NEW_NUMBER = "+14155550142", "+14155550177"
MAIL = "rosa@example.org"


def key(channel, value):
    return hashlib.sha256(f"telecom:{channel}:{value}".encode()).hexdigest()[:8]


PHONE, EMAIL = key("sms", OLD_NUMBER), key("email", MAIL)
STANDS = {
    f"state-{PHONE}": "current",
    f"use-{PHONE}": "mobile",
    f"rank-{PHONE}": "",
    f"end-{PHONE}": "",
    f"state-{EMAIL}": "current",
    f"use-{EMAIL}": "",
    f"rank-{EMAIL}": "",
    f"end-{EMAIL}": "",
    "use": "mobile",
    "whose": "alone",
    "instead": "",
}
NEW = {"number": "415 555 0177", "again": "(415) 555-0177"}


@pytest.fixture
def path(rig):
    agree(rig)
    return rig.open_page()


def form_of(rig, path, **changes):
    html = rig.http.get(f"{path}preferences/telecom", headers=PARTIAL).text
    version = field(html, "version")
    csrf = field(html, "csrf")
    base = {"csrf": csrf, "patient": "Patient/rosa", "version": version, "save": "1"}
    return {**base, "who": "patient", **STANDS, **changes}


def save(rig, path, headers=OURS, **changes):
    data = form_of(rig, path, **changes)
    return rig.http.post(f"{path}preferences/telecom", data=data, headers=headers)


def said(rig):
    with rig.database.tx() as tx:
        own = read_own(tx, "northside", "Patient/rosa", [], rig.clock.now())
    return {item.name: item for item in own.preferences}


def profile(rig):
    chart = Chart(rig.ehr.resources["Patient/rosa"], (), rig.clock.now())
    with rig.database.tx() as tx:
        own = own_record(tx, "northside", "Patient/rosa", chart, rig.clock.now())
    return compile_profile(chart, own, rig.endpoints[0], rig.clock.now())


def places(rig):
    return [item.value for item in profile(rig).addresses]


def later(rig, **span):
    rig.clock.instant += timedelta(**span)


def test_the_page_shows_each_number_with_its_use_and_its_source(rig, path):
    text = words(rig.http.get(path).text)
    group = text[text.index("Phone and email") :]
    assert "(415) 555-0142 Mobile. From the chart" in group
    assert "rosa@example.org No permission recorded From the chart" in group


def test_a_corrected_number_ends_the_old_one_and_waits_for_a_yes(rig, path):
    plan(rig, state=NudgeState.PLANNED, reason="due")
    answer = save(rig, path, **NEW, instead=PHONE)
    assert answer.status_code == 303, words(answer.text)
    records = said(rig)
    old = records[f"telecom:sms:{OLD_NUMBER}"].value
    new = records[f"telecom:sms:{NEW_NUMBER}"].value
    assert (old["state"], old["end"]) == (OLD, "2026-11-16")
    assert (new["state"], new["system"], new["start"]) == (
        CURRENT,
        "phone",
        "2026-11-16",
    )
    # At once: the old one is out of use, the new one has no permission yet.
    assert places(rig) == [NEW_NUMBER, MAIL]
    with rig.database.tx() as tx:
        row = tx.execute("SELECT state, reason FROM nudge").fetchone()
    assert (row["state"], row["reason"]) == ("held", "no-consent")
    text = words(rig.http.get(path).text)
    assert "(415) 555-0177 No permission recorded Mobile, since" in text
    assert "(415) 555-0142 Used no more Rosa, told staff, recorded by Dr. Abena" in text
    assert "Waiting to be written to the chart" in text
    assert "Saved 7:00 AM" in text
    with rig.database.tx() as tx:
        audited = [row.action for row in list_audit(tx)]
    assert audited.count("preference-saved") == 2


def test_a_wrong_number_whose_place_another_takes_stays_wrong(rig, path):
    answer = save(rig, path, **NEW, **{f"state-{PHONE}": "wrong"}, instead=PHONE)
    assert answer.status_code == 303
    records = said(rig)
    assert records[f"telecom:sms:{OLD_NUMBER}"].value["state"] == "wrong"
    assert records[f"telecom:sms:{NEW_NUMBER}"].value["state"] == CURRENT


def test_a_number_that_is_not_theirs_stays_out_whatever_the_chart_shows(rig, path):
    plan(rig, state=NudgeState.PLANNED, reason="due")
    assert (
        save(rig, path, **{f"state-{PHONE}": "wrong"}, who="staff").status_code == 303
    )
    assert places(rig) == [MAIL]
    # The front desk types it into the chart again, as a new entry.
    rig.ehr.resources["Patient/rosa"]["telecom"].append(
        {"system": "sms", "value": OLD_NUMBER, "use": "mobile", "rank": 1}
    )
    assert places(rig) == [MAIL]
    text = words(rig.http.get(path).text)
    assert "(415) 555-0142 Not Rosa’s" in text
    assert "In force: (415) 555-0142: " in text
    assert "Answers differ" in text
    with rig.database.tx() as tx:
        row = tx.execute("SELECT state, reason FROM nudge").fetchone()
    assert row["state"] == "held"


def test_it_is_out_of_use_as_the_one_place_asked_for_too(rig, path):
    """A request to be reached there only leaves it to staff."""
    say(
        rig,
        "confidential",
        {"system": "sms", "value": OLD_NUMBER, "note": ""},
        how="told staff",
    )
    plan(rig, state=NudgeState.PLANNED, reason="due")
    later(rig, minutes=1)
    save(rig, path, **{f"state-{PHONE}": "wrong"})
    with rig.database.tx() as tx:
        row = tx.execute("SELECT state, reason FROM nudge").fetchone()
    assert (row["state"], row["reason"]) == ("held", "confidential")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"number": "415 555 0177", "again": ""}, "The two are not the same."),
        ({"number": "415 555 0177", "again": "415 555 0178"}, "not the same"),
        ({"number": "555", "again": "555"}, "Write a whole phone number or email"),
        ({"number": "+1 000 000 0000", "again": "+1 000 000 0000"}, "Write a whole"),
        ({"number": OLD_NUMBER, "again": OLD_NUMBER}, "on the list already"),
        ({}, "Nothing was changed"),
        ({f"state-{PHONE}": "gone"}, "Choose: It is."),
        ({f"end-{PHONE}": "soon"}, "Write the day as year-month-day."),
        ({f"rank-{PHONE}": "1", f"rank-{EMAIL}": "1"}, "its own place"),
        ({**NEW, "who": ""}, "Choose who said so."),
    ],
)
def test_what_cannot_be_saved_comes_back_filled_in(rig, path, changes, reason):
    answer = save(rig, path, **changes)
    assert answer.status_code == 422
    assert reason in words(answer.text)
    assert said(rig) == {}
    if "number" in changes:
        assert f'value="{changes["number"]}"' in answer.text


def test_use_order_and_end_are_changed_in_place(rig, path):
    answer = save(
        rig,
        path,
        **{
            f"use-{PHONE}": "work",
            f"rank-{EMAIL}": "1",
            f"end-{EMAIL}": "2026-12-24",
        },
    )
    assert answer.status_code == 303
    # A phone at work is for calls: no text goes there.
    assert places(rig) == [MAIL]
    text = words(rig.http.get(path).text)
    assert "(415) 555-0142 For calls only Work." in text
    assert "number 1 in order, until" in text
    later(rig, days=40)
    assert places(rig) == []


def test_an_address_is_kept_in_lower_case(rig, path):
    mail = {"number": "Rosa.D@Example.org", "again": "rosa.d@example.org"}
    assert save(rig, path, **mail).status_code == 303
    assert said(rig)["telecom:email:rosa.d@example.org"].value["system"] == "email"
    assert "rosa.d@example.org" in places(rig)


def twin(rig, grown="1980-01-01"):
    with rig.database.tx() as tx:
        note_bearers(tx, "northside", {"Patient/twin": ([("sms", NEW_NUMBER)], grown)})


def test_a_number_that_another_patient_has_is_refused_until_it_is_said_to_be_shared(
    rig, path
):
    twin(rig)
    answer = save(rig, path, **NEW)
    assert answer.status_code == 422
    assert "Another patient’s chart has this too." in words(answer.text)
    assert "twin" not in answer.text
    assert said(rig) == {}
    assert save(rig, path, **NEW, whose="shared").status_code == 303
    assert profile(rig).shared == {("sms", NEW_NUMBER)}
    assert "shared: messages there name nothing" in words(rig.http.get(path).text)
    # The other patient's messages name nothing from now on, too.
    with rig.database.tx() as tx:
        bearers = [name for name, _ in list_bearers(tx, [("sms", NEW_NUMBER)])]
    assert bearers == ["Patient/rosa", "Patient/twin"]


def test_a_childs_chart_makes_a_number_nobody_elses(rig, path):
    twin(rig, grown="2040-01-01")
    assert save(rig, path, **NEW).status_code == 303


def test_the_number_of_somebody_beside_the_patient_is_not_taken_for_theirs(rig):
    rig.ehr.resources["RelatedPerson/ana"] = {
        "resourceType": "RelatedPerson",
        "id": "ana",
        "active": True,
        "patient": {"reference": "Patient/rosa"},
        "name": [{"text": "Ana Delgado"}],
        "telecom": [{"system": "sms", "value": NEW_NUMBER}],
    }
    path = rig.open()
    answer = save(rig, path, **NEW)
    assert answer.status_code == 422
    assert "This is also where Ana Delgado" in words(answer.text)


def permit(rig, number, permit=True, **changes):
    values = {
        "id": f"c-{number}-{permit}-{rig.clock.now()}",
        "endpoint_id": "northside",
        "patient": "Patient/rosa",
        "system": "sms",
        "value": number,
        "topic": "*",
        "permit": permit,
        "who": Who.PATIENT,
        "how": "by phone",
        "recorded_at": rig.clock.now(),
    }
    with rig.database.tx() as tx:
        preferences.insert_consent(tx, ConsentRecord(**{**values, **changes}))


def test_a_yes_from_before_the_number_was_theirs_is_no_yes(rig, path):
    permit(rig, NEW_NUMBER)
    permit(rig, "*", id="any")
    later(rig, minutes=5)
    save(rig, path, **NEW, instead=PHONE)
    assert "(415) 555-0177 No permission recorded" in words(rig.http.get(path).text)
    later(rig, minutes=1)
    permit(rig, NEW_NUMBER)
    assert "(415) 555-0177 Agreed" in words(rig.http.get(path).text)


def test_a_stop_that_stands_at_a_new_number_holds(rig, path):
    permit(rig, NEW_NUMBER, permit=False, patient=None, endpoint_id="southside")
    later(rig, minutes=5)
    save(rig, path, **NEW)
    assert "(415) 555-0177 Said no" in words(rig.http.get(path).text)
    later(rig, minutes=1)
    permit(rig, NEW_NUMBER)
    # What was said from the number itself is lifted by the patient's newer answer alone.
    assert "(415) 555-0177 Agreed" in words(rig.http.get(path).text)


def test_a_number_that_a_message_came_back_from_is_shown_as_such(rig, path):
    with rig.database.tx() as tx:
        preferences.mark_bad_address(
            tx, "sms", NEW_NUMBER, "address-invalid", rig.clock.now()
        )
    save(rig, path, **NEW)
    assert "(415) 555-0177 Does not work" in words(rig.http.get(path).text)


def undo(rig, path):
    html = rig.http.get(path).text
    part = html.split('id="g-telecom"')[1].split("</form>")[0]
    version = field(part, "version")
    data = form_of(rig, path, version=version)
    return rig.http.post(f"{path}preferences/telecom/undo", data=data, headers=OURS)


def test_undo_puts_both_numbers_back_as_they_were(rig, path):
    save(rig, path, **NEW, instead=PHONE)
    later(rig, seconds=5)
    answer = undo(rig, path)
    assert answer.status_code == 303
    assert places(rig) == [OLD_NUMBER, MAIL]
    text = words(rig.http.get(path).text)
    assert "(415) 555-0142 Mobile" in text
    assert "555-0177" not in text


def test_undo_of_a_wrong_number_leaves_permission_as_it_was(rig, path):
    save(rig, path, **{f"state-{PHONE}": "wrong"}, who="staff")
    later(rig, seconds=5)
    assert undo(rig, path).status_code == 303
    assert places(rig) == [OLD_NUMBER, MAIL]
    assert "(415) 555-0142 Agreed" in words(rig.http.get(path).text)


def test_a_wrong_number_used_again_is_asked_about_anew(rig, path):
    save(rig, path, **{f"state-{PHONE}": "wrong"})
    later(rig, minutes=5)
    again = save(
        rig, path, **{f"state-{PHONE}": "current", f"end-{PHONE}": "2026-11-16"}
    )
    assert again.status_code == 303, words(again.text)
    assert places(rig) == [OLD_NUMBER, MAIL]
    assert "(415) 555-0142 No permission recorded" in words(rig.http.get(path).text)


def test_staff_may_end_the_patients_own_number_and_not_bring_it_back(rig, path):
    save(rig, path, **NEW)
    new = key("sms", NEW_NUMBER)
    fields = {f"use-{new}": "mobile", f"rank-{new}": "", f"end-{new}": ""}
    later(rig, minutes=2)
    ended = save(rig, path, **fields, **{f"state-{new}": "wrong"}, who="staff")
    assert ended.status_code == 303, words(ended.text)
    assert NEW_NUMBER not in places(rig)
    later(rig, minutes=2)
    back = save(rig, path, **fields, **{f"state-{new}": "current"}, who="patient")
    assert back.status_code == 303, words(back.text)
    assert NEW_NUMBER in places(rig)
    later(rig, minutes=2)
    wrong = save(rig, path, **fields, **{f"state-{new}": "wrong"}, who="patient")
    assert wrong.status_code == 303
    later(rig, minutes=2)
    refused = save(rig, path, **fields, **{f"state-{new}": "current"}, who="staff")
    assert refused.status_code == 422
    assert "This is Rosa’s own answer." in words(refused.text)


def test_both_values_are_shown_where_the_chart_changed_meanwhile(rig, path):
    data = form_of(rig, path, **{f"state-{PHONE}": "wrong"})
    rig.ehr.resources["Patient/rosa"]["telecom"][0]["use"] = "home"
    answer = rig.http.post(f"{path}preferences/telecom", data=data, headers=OURS)
    assert answer.status_code == 409
    text = words(answer.text)
    assert "Stands now (415) 555-0142: home" in text
    assert "Yours, not saved (415) 555-0142: not Rosa’s" in text
    assert said(rig) == {}


def test_an_entry_that_the_chart_ended_later_is_not_used_on_our_word(rig, path):
    save(rig, path, **{f"rank-{PHONE}": "1"})
    assert OLD_NUMBER in places(rig)
    rig.ehr.resources["Patient/rosa"]["telecom"][0]["use"] = "old"
    assert OLD_NUMBER not in places(rig)
    assert "(415) 555-0142 Used no more From the chart" in words(
        rig.http.get(path).text
    )


def test_what_the_chart_took_over_and_lost_again_is_gone(rig, path):
    save(rig, path, **NEW)
    assert NEW_NUMBER in places(rig)
    with rig.database.tx() as tx:
        row = tx.execute("SELECT id FROM preference").fetchone()
        preferences.note_in_chart(tx, row["id"], rig.clock.now())
    # The chart is the truth from then on: the front desk has taken it out.
    assert NEW_NUMBER not in places(rig)
    assert "555-0177" not in words(rig.http.get(path).text)


def test_a_reader_has_no_control_and_is_refused(rig):
    agree(rig)
    data = form_of(rig, rig.open(), **NEW)
    rig.app(read_only=("*",))
    path = rig.open()
    html = rig.http.get(path).text
    assert f"{path}preferences/telecom" not in html
    assert "(415) 555-0142" in html
    assert rig.http.get(f"{path}preferences/telecom").status_code == 403
    page = rig.http.get(path).text
    csrf = field(page, "csrf")
    answer = rig.http.post(
        f"{path}preferences/telecom", data={**data, "csrf": csrf}, headers=OURS
    )
    assert answer.status_code == 403
    assert said(rig) == {}


def test_it_reads_in_spanish(rig, path):
    save(rig, path, **NEW, instead=PHONE)
    spanish = {"Accept-Language": "es-MX"}
    text = words(rig.http.get(rig.open(), headers=spanish).text)
    assert "Teléfono y correo electrónico" in text
    assert "Ya no se usa" in text


def group_of(html):
    """What the page says of phone and email."""
    return words(html.split('<div class="pref" id="g-telecom">')[-1].split('id="g-')[0])


def settle(rig, state, **changes):
    """RECORD is done with what was saved, in this way."""
    with rig.database.tx() as tx:
        tx.execute(
            "UPDATE outbox SET state = %(state)s, server_reference = %(there)s, "
            "error = %(error)s WHERE key LIKE '%%|answer|%%.rosa'",
            {"state": state, "there": None, "error": None, **changes},
        )


def ask_staff(rig):
    with rig.database.tx() as tx:
        tx.execute(
            "INSERT INTO staff_task (id, endpoint_id, patient, priority, reason, text, "
            "created_at) SELECT 'task-chart-differs-' || id, endpoint_id, patient, "
            "'routine', 'chart-differs', '', recorded_at FROM preference"
        )


def test_what_is_on_its_way_into_the_chart_alarms_nobody(rig, path):
    assert save(rig, path, **{f"use-{PHONE}": "home"}).status_code == 303
    html = rig.http.get(path).text
    assert (
        "You changed it at 7:00 AM. Until that is in the chart, it still says: "
        "(415) 555-0142: mobile."
    ) in group_of(html)
    assert "Waiting to be written to the chart" in group_of(html)
    assert "Answers differ" not in words(html)
    assert "In force" not in words(html)
    settle(rig, "waiting", error="the server did not answer")
    text = group_of(rig.http.get(path).text)
    assert "Until that is in the chart, it still says" in text
    assert "Waiting to be written: the chart did not take it yet" in text


def test_somebody_else_reads_who_changed_it(rig, path):
    save(rig, path, **{f"use-{PHONE}": "home"})
    with rig.database.tx() as tx:
        tx.execute("UPDATE preference SET saved_by = 'somebody else'")
    text = group_of(rig.http.get(path).text)
    assert "Dr. Abena Osei changed it at 7:00 AM. Until that is in the chart" in text


def test_what_others_changed_meanwhile_is_a_difference(rig, path):
    save(rig, path, **{f"use-{PHONE}": "home"})
    rig.ehr.resources["Patient/rosa"]["telecom"][0]["use"] = "work"
    html = rig.http.get(path).text
    assert "Until that is in the chart" not in words(html)
    assert "Answers differ on phone and email" in words(html)
    assert "In force: (415) 555-0142: " in group_of(html)


@pytest.mark.parametrize(
    ("reference", "asked", "kept"),
    [
        ("QuestionnaireResponse/q1", True, "a task for it is open"),
        ("QuestionnaireResponse/q1", False, "no task to correct it is open"),
        ("Patient/rosa", False, "Kept in the chart"),
    ],
)
def test_where_a_number_is_kept_is_said_as_it_is(rig, path, reference, asked, kept):
    save(rig, path, **{f"use-{PHONE}": "home"})
    settle(rig, "done", there=reference)
    if asked:
        ask_staff(rig)
    assert kept in group_of(rig.http.get(path).text)


def test_a_chart_that_somebody_corrected_is_where_it_is_kept(rig, path):
    save(rig, path, **{f"state-{PHONE}": "wrong"})
    settle(rig, "done", there="QuestionnaireResponse/q1")
    ask_staff(rig)
    rig.ehr.resources["Patient/rosa"]["telecom"][0]["use"] = "old"
    html = rig.http.get(path).text
    assert "Kept in the chart" in group_of(html)
    assert "In force" not in words(html)


def test_a_language_on_its_way_is_no_difference_either(rig, path):
    html = rig.http.get(f"{path}preferences/language", headers=PARTIAL).text
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html))
    data = {**hidden, "language": "vi", "who": "patient"}
    url = f"{path}preferences/language"
    assert rig.http.post(url, data=data, headers=OURS).status_code == 303
    text = words(rig.http.get(path).text)
    assert "Until that is in the chart, it still says: Spanish." in text
    assert "Answers differ" not in text
    settle(rig, "done", there="QuestionnaireResponse/q1")
    assert "Answers differ on language" in words(rig.http.get(path).text)


def sent_twice(rig, path, data, headers=OURS):
    """Send one form, and again once its answer was lost on its way."""
    first = rig.http.post(f"{path}preferences/telecom", data=data, headers=headers)
    assert first.status_code in (200, 303), words(first.text)
    before = said(rig)
    later(rig, seconds=1)
    again = rig.http.post(f"{path}preferences/telecom", data=data, headers=headers)
    assert said(rig) == before
    return again


@pytest.mark.parametrize("headers", [OURS, PARTIAL], ids=["page", "in place"])
@pytest.mark.parametrize(
    "changes",
    [
        NEW,
        {**NEW, "instead": PHONE, "use": "home", "whose": "shared"},
        {"number": "rosa.d@example.org", "again": "rosa.d@example.org"},
        {f"state-{PHONE}": "old"},
        {f"rank-{PHONE}": "1", f"use-{PHONE}": "home"},
        {**NEW, f"state-{EMAIL}": "wrong"},
        {**NEW, f"state-{PHONE}": "wrong", "instead": PHONE},
    ],
    ids=["phone", "in place of one", "email", "ended", "changed", "both", "wrong"],
)
def test_a_form_sent_again_was_saved(rig, path, changes, headers):
    answer = sent_twice(
        rig, path, form_of(rig, path, form_id="form-1", **changes), headers
    )
    assert answer.status_code in (200, 303), words(answer.text)
    with rig.database.tx() as tx:
        audited = [row.action for row in list_audit(tx)]
    assert audited.count("preference-saved") == len(said(rig))


def test_a_form_sent_again_was_saved_also_where_the_chart_has_it_by_now(rig, path):
    data = form_of(rig, path, form_id="form-1", **NEW, instead=PHONE)
    rig.http.post(f"{path}preferences/telecom", data=data, headers=OURS)
    rig.ehr.resources["Patient/rosa"]["telecom"] = [
        {"system": "phone", "value": "(415) 555-0177", "use": "mobile"},
        {"system": "phone", "value": OLD_NUMBER, "use": "old"},
        {"system": "email", "value": MAIL},
    ]
    later(rig, seconds=30)
    again = rig.http.post(f"{path}preferences/telecom", data=data, headers=OURS)
    assert again.status_code == 303, words(again.text)


@pytest.mark.parametrize(
    "changes",
    [
        {"number": "415 555 0178", "again": "415 555 0178"},
        {"use": "home"},
        {"whose": "shared"},
        {"instead": EMAIL},
        {f"state-{EMAIL}": "old"},
        {"who": "staff"},
    ],
    ids=["number", "use", "whose", "place", "another", "voice"],
)
def test_a_form_sent_again_that_says_something_else_is_no_repeat(rig, path, changes):
    data = form_of(rig, path, form_id="form-1", **NEW)
    rig.http.post(f"{path}preferences/telecom", data=data, headers=OURS)
    before = said(rig)
    later(rig, seconds=1)
    other = {**data, **changes}
    again = rig.http.post(f"{path}preferences/telecom", data=other, headers=OURS)
    assert again.status_code == 409
    assert said(rig) == before


def test_a_number_that_somebody_else_added_meanwhile_is_shown(rig, path):
    data = form_of(rig, path, form_id="form-1", **NEW)
    save(rig, path, **NEW, use="home", form_id="form-2")
    answer = rig.http.post(f"{path}preferences/telecom", data=data, headers=OURS)
    assert answer.status_code == 409
    assert "Stands now (415) 555-0142: mobile" in words(answer.text)
    assert "(415) 555-0177: home" in words(answer.text)
