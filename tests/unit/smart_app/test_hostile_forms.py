"""Whatever is posted, to whichever form: a clear refusal, and nothing is changed."""

import re

import pytest

from middleware.storage import nudges
from tests.unit.smart_app.acts import OURS, agree, own, plan, words

LONG = "x" * 20_000
NUL, TURNED, EMOJI = "a\x00b", "\u202egro.elpmaxe\u2066", "\U0001f600" * 600
FORMS = (
    "pause",
    "resume",
    "answers",
    "language",
    "messages/nudge-1/move",
    "messages/nudge-1/skip",
    "preferences/channels",
    "preferences/hours",
    "preferences/limit",
    "preferences/words",
    "preferences/people",
    "preferences/confidential",
    "preferences/topics",
    "preferences/limit/undo",
    "preferences/limit/take-back",
)
FIELDS = [
    "version",
    "day",
    "time",
    "which",
    "why",
    "until",
    "date",
    "seen",
    "turn",
    "form_id",
    "who",
    "language",
    "limit",
    "first",
    "last",
    "days",
    "ways",
    "text",
    "place",
    "other",
    "note",
    "question",
    "point",
    "answer",
    "how",
    "said_by",
    "topic",
    "person",
]
WRONG = {
    "nothing": "",
    "nul": NUL,
    "turned": TURNED,
    "long": LONG,
    "emoji": EMOJI,
    "number": "99999999999999999999",
    "markup": "<script>alert(1)</script>",
    "statement": "'; DROP TABLE preference; --",
    "path": "../../../etc/passwd",
    "list": "[]",
}


@pytest.fixture
def path(rig):
    agree(rig)
    plan(rig)
    return rig.open()


def everything(rig):
    with rig.database.tx() as tx:
        nudge = nudges.get_nudge(tx, "nudge-1")
    record = own(rig)
    return record.preferences, record.consents, nudge


def refused(answer):
    """Tell whether an answer is a refusal that says something, and echoes no markup."""
    text = words(answer.text)
    assert 400 <= answer.status_code < 500, (answer.status_code, text[:300])
    assert "Something of CareCue is not working" not in text
    assert "<script>alert" not in answer.text
    assert "\u202e" not in answer.text
    assert 'role="alert"' in answer.text, text[:300]


@pytest.mark.parametrize("wrong", sorted(WRONG))
def test_wrong_values_are_refused_by_every_form(rig, path, wrong):
    before = everything(rig)
    hidden = rig.form(path + "pause")
    for part in FORMS:
        known = {"topic": "*", "person": ""} if part == "answers" else {}
        data = {**dict.fromkeys(FIELDS, WRONG[wrong]), **hidden, **known}
        if part == "resume" and wrong == "nothing":
            continue  # nothing is paused, and no version is what stands: see below
        refused(rig.http.post(path + part, data=data, headers=OURS))
    assert everything(rig) == before


@pytest.mark.parametrize("part", FORMS)
@pytest.mark.parametrize(
    "change",
    [{"csrf": "forged"}, {"csrf": TURNED}, {"csrf": ""}, {"patient": "Patient/tom"}],
)
def test_a_form_that_is_not_ours_is_refused(rig, path, part, change):
    before = everything(rig)
    data = {**rig.form(path + "pause"), **change}
    answer = rig.http.post(path + part, data=data, headers=OURS)
    assert answer.status_code == 403
    assert "Nothing was changed." in words(answer.text)
    assert everything(rig) == before


@pytest.mark.parametrize("part", FORMS)
def test_a_body_that_is_no_form_is_refused(rig, path, part):
    for body, kind in (
        (b'{"until": "open"}', "application/json"),
        (b"\xff\xfe\x00", "application/x-www-form-urlencoded"),
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
        (b"", "text/plain"),
    ):
        answer = rig.http.post(path + part, data=body, content_type=kind, headers=OURS)
        assert answer.status_code in {400, 403}, (kind, answer.status_code)
        assert words(answer.text).strip()


@pytest.mark.parametrize("act", ["move", "skip"])
@pytest.mark.parametrize(
    "nudge", ["nudge-2", "nudge-1%00", "%E2%80%AEnudge-1", "x" * 900]
)
def test_a_message_that_is_not_this_patients_is_none(rig, path, act, nudge):
    plan(rig, id="nudge-2", key="key-2", patient="Patient/tom")
    data = {**rig.form(path + "pause"), "why": "done", "back": "1"}
    answer = rig.http.post(f"{path}messages/{nudge}/{act}", data=data, headers=OURS)
    assert answer.status_code == 404
    assert "There is no such page here." in words(answer.text)


@pytest.mark.parametrize(
    "headers", [{"X-HTTP-Method-Override": "POST"}, {"X-Method-Override": "DELETE"}]
)
def test_a_method_is_what_it_is(rig, path, headers):
    before = everything(rig)
    data = {**rig.form(path + "pause"), "until": "open", "why": "asked"}
    for part in ("pause", "messages/nudge-1/skip"):
        rig.http.get(
            path + part, query_string={**data, "_method": "POST"}, headers=headers
        )
        for method in ("put", "patch", "delete"):
            send = getattr(rig.http, method)
            answer = send(path + part, data=data, headers={**OURS, **headers})
            assert answer.status_code == 405
    assert everything(rig) == before


def test_many_fields_of_one_name_count_for_none(rig, path):
    html = rig.http.get(path + "preferences/limit").text
    hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html)
    data = {**dict(hidden), "limit": ["1", "2"], "who": "patient"}
    answer = rig.http.post(path + "preferences/limit", data=data, headers=OURS)
    assert answer.status_code == 422
    assert own(rig).preferences == ()
