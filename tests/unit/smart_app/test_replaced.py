"""A record that took the place of another: what was answered on that one counts here."""

import pytest

from middleware.desk.charting import MOST_READS
from middleware.storage.merging import merge_patients
from tests.unit.desk_parts import answer
from tests.unit.smart_app.acts import PARTIAL, agree, pieces, plan, words

OLD = {"reference": "Patient/old"}
COUNTS = "What was answered there counts here too"
MAY_BE = "A no on that one counts before anything is sent, and may not be shown here."


@pytest.fixture
def merged(rig):
    """Let Rosa's record have taken the place of one on which she said no to texts."""
    agree(rig)
    plan(rig)
    rig.ehr.apart = {"Patient/old"}
    rosa = rig.ehr.resources["Patient/rosa"]
    rosa["link"] = [{"type": "replaces", "other": OLD}]
    rig.ehr.resources["Patient/old"] = {
        **rosa,
        "id": "old",
        "active": False,
        "link": [{"type": "replaced-by", "other": {"reference": "Patient/rosa"}}],
    }
    rig.ehr.resources["Consent/k1"] = {**answer("k1", "deny"), "patient": OLD}
    return rig


@pytest.mark.parametrize("batches", [True, False])
def test_a_no_on_the_old_record_is_a_no_here(merged, batches):
    merged.ehr.batches = batches
    text = words(merged.http.get(merged.open()).text)
    assert "CareCue cannot reach Rosa." in text
    assert "Held, the answer was no" in text
    assert COUNTS in text
    assert MAY_BE not in text


@pytest.mark.parametrize("batches", [True, False])
def test_no_yes_is_shown_before_the_old_record_was_read(merged, batches):
    merged.ehr.batches = batches
    path = merged.open()
    merged.ehr.queries.clear()
    told = [words(piece) for piece in pieces(merged, path)]
    assert not [piece for piece in told if "Text Rosa" in piece]
    early = [piece for piece in told if "Wait before you write to Rosa." in piece]
    assert early
    for piece in early:
        assert "consents" in piece.partition("Still being read:")[2]
    assert "CareCue cannot reach Rosa." in " ".join(told)
    early = merged.ehr.queries[:MOST_READS]
    assert not [
        query for query in early if "patient=Patient/old" in query and not batches
    ]
    old = [query for query in merged.ehr.queries if "old" in query]
    assert len(old) == 3


def test_nothing_is_said_of_a_record_on_which_nothing_was_found(merged):
    del merged.ehr.resources["Consent/k1"]
    text = words(merged.http.get(merged.open()).text)
    assert "Text Rosa in Spanish" in text
    assert MAY_BE in text
    assert COUNTS not in text


def test_old_record_is_not_asked_for_what_was_not_granted(merged):
    types = merged.ports.desk.resource_types(merged.endpoints[0])
    granted = {f"patient/{kind}.rs" for kind in types} - {"patient/Consent.rs"}
    merged.ehr.answer = {"scope": f"launch openid fhirUser {' '.join(granted)}"}
    path = merged.open()
    merged.ehr.queries.clear()
    text = words(merged.http.get(path).text)
    assert not [query for query in merged.ehr.queries if "old" in query]
    assert MAY_BE in text


@pytest.mark.parametrize("stands", [False, True])
def test_a_merge_that_only_we_know_of_counts_unless_it_was_taken_back(merged, stands):
    del merged.ehr.resources["Patient/rosa"]["link"]
    with merged.database.tx() as tx:
        now = merged.clock.now()
        merge_patients(tx, "northside", "Patient/old", "Patient/rosa", now)
    if stands:
        merged.ehr.resources["Patient/old"].update(active=True, link=[])
    text = words(merged.http.get(merged.open()).text)
    assert ("CareCue cannot reach Rosa." in text) is not stands
    assert (COUNTS in text) is not stands


def test_a_chart_that_took_no_place_asks_no_more(rig):
    agree(rig)
    path = rig.open()
    rig.ehr.log.clear()
    rig.http.get(path)
    assert rig.ehr.log.count("POST /fhir") == 1


def test_a_page_that_reads_itself_again_is_one_page(merged):
    path = merged.open()
    text = merged.http.get(path, headers=PARTIAL).text
    assert text.count("<!doctype html>") == 1
    assert "CareCue cannot reach Rosa." in words(text)


def test_where_the_old_record_does_not_answer_the_page_says_so(merged):
    path = merged.open()
    merged.ehr.unanswered = ("Patient/old", 503)
    text = words(merged.http.get(path).text)
    assert "Text Rosa in Spanish" not in text
    assert "The chart could not be read in full." in text
    assert "Could not be read just now: consents" in text
    assert MAY_BE in text


def test_a_session_that_ends_at_the_old_record_shows_no_yes(merged):
    path = merged.open()
    merged.ehr.unanswered = ("Patient/old", 401)
    text = words(merged.http.get(path).text)
    assert "Text Rosa in Spanish" not in text
    assert "Your chart session ended" in text


def test_a_no_on_one_old_record_too_many_makes_no_yes_of_a_yes_on_the_first(merged):
    rosa, consent = (merged.ehr.resources[at] for at in ("Patient/rosa", "Consent/k1"))
    merged.ehr.resources["Consent/k1"] = {**answer("k1", "permit"), "patient": OLD}
    for name in ("old-2", "old-3", "old-4"):
        link = {"type": "replaces", "other": {"reference": f"Patient/{name}"}}
        rosa["link"].append(link)
        merged.ehr.apart.add(f"Patient/{name}")
        old = {**merged.ehr.resources["Patient/old"], "id": name}
        merged.ehr.resources[f"Patient/{name}"] = old
    last = {"reference": "Patient/old-4"}
    merged.ehr.resources["Consent/k4"] = {**consent, "id": "k4", "patient": last}
    text = words(merged.http.get(merged.open()).text)
    assert "Text Rosa in Spanish" not in text
    assert "The chart could not be read in full." in text
