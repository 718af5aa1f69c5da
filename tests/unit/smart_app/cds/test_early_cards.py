"""An EHR that takes no batch and reads slowly: the verdict in time, or no card."""

import threading
from collections.abc import Iterator

import pytest

from mappings.errors import CdsError, FhirError
from mappings.secret import Secret
from middleware.desk.cards import Card
from middleware.desk.cds import Seen
from middleware.desk.charting import MOST_READS
from middleware.desk.viewer import viewer_of
from middleware.fhir.client import FhirClient
from middleware.fhir.transport import Limits
from tests.unit.smart_app.acts import agree, plan
from tests.unit.smart_app.cds.conftest import (
    STAY,
    Calls,
    counted,
    granted,
    make_ports,
    quick,
)

STAY_HERE = "Encounter/stay-1"


@pytest.fixture
def api(calls: Calls) -> FhirClient:
    """A client that has found out that this EHR takes no batch."""
    return unbatched(calls)


def unbatched(calls: Calls) -> FhirClient:
    calls.ehr.batches = False
    client = FhirClient(
        calls.ehr.base,
        lambda: Secret("at-1"),
        clock=calls.rig.clock,
        limits=Limits(attempts=1),
    )
    client.fetch_many(["Patient/rosa", "Practitioner/osei"])
    calls.ehr.queries.clear()
    return client


def begin(
    calls: Calls, api, stay=None, language="en", told=None
) -> Iterator[Card | None]:
    seen = Seen(calls.rig.endpoints[0], "Patient/rosa", "Practitioner/osei", "s")
    desk = make_ports(calls.rig, calls.url).desk
    return desk.read_cards(seen, api, stay, viewer_of(language), told)


def read(calls: Calls, api, stay=None, language="en", told=None) -> list[Card | None]:
    """Return the cards; what turns no verdict is not answered before the first."""
    calls.ehr.late = {"Communication", "Goal", "Observation"}
    calls.ehr.slow.clear()
    coming = begin(calls, api, stay, language, told)
    try:
        first = next(coming)
    finally:
        calls.ehr.slow.set()
    return [first, *coming]


def read_freely(calls: Calls, api) -> list[Card | None]:
    return list(begin(calls, api))


def test_verdict_comes_before_the_whole_card_and_names_what_was_not_read(calls, api):
    agree(calls.rig)
    plan(calls.rig)
    early, whole = read(calls, api)
    assert early.summary == whole.summary
    assert early.summary.startswith("Messages on: Text Rosa in Spanish")
    assert early.verdict == whole.verdict
    assert early.detail == (
        "Not read in time: messages, goals, and results.\n\n"
        "Which messages are planned is in CareCue."
    )
    assert "Next message" in whole.detail
    assert "Not read in time" not in whole.detail


def test_what_was_not_read_is_named_in_the_readers_language(calls, api):
    early, _ = read(calls, api, language="es")
    assert "No se leyó a tiempo: mensajes, metas y resultados." in early.detail


def test_early_card_says_what_asks_a_person(calls, api):
    early, whole = read(calls, api)
    assert early.summary == whole.summary == "No permission recorded: Ask Rosa first."
    assert (early.indicator, early.asks) == ("warning", True)


def test_an_ehr_that_takes_batches_has_one_card(calls: Calls):
    client = FhirClient(calls.ehr.base, lambda: Secret("at-1"), clock=calls.rig.clock)
    assert len(read_freely(calls, client)) == 1


@pytest.mark.parametrize("kind", ["Consent", "Condition", "Flag", "RelatedPerson"])
def test_no_early_card_where_what_failed_may_change_the_verdict(calls, api, kind):
    agree(calls.rig)
    calls.ehr.broken = {kind}
    assert len(read_freely(calls, api)) == 1


def test_no_early_card_before_all_that_may_turn_the_verdict_was_read(calls: Calls):
    calls.ehr.batches = False
    client = FhirClient(calls.ehr.base, lambda: Secret("at-1"), clock=calls.rig.clock)
    # The batch that is refused leaves five of six: nobody beside Rosa was read.
    early, _ = read(calls, client)
    assert "Not read in time: messages, goals" in early.detail
    assert any("RelatedPerson" in query for query in calls.ehr.queries)


def test_a_patient_that_was_sent_along_is_read_after_what_is_not_known(calls, api):
    agree(calls.rig)
    rosa = calls.ehr.resources["Patient/rosa"]
    early, whole = read(calls, api, told={"Patient/rosa": rosa})
    assert early.summary.startswith("Messages on: Text Rosa in Spanish")
    assert whole.summary == early.summary
    assert calls.ehr.queries.count("Patient/rosa") == 1
    assert "Patient/rosa" not in calls.ehr.queries[:MOST_READS]


def test_closed_record_has_no_card_early_either(calls, api):
    calls.ehr.resources["Patient/rosa"]["active"] = False
    assert read(calls, api) == [None, None]


def test_discharge_says_early_that_what_follows_was_not_read(calls, api):
    agree(calls.rig)
    early, whole = read(calls, api, STAY_HERE)
    assert early.summary.startswith("Messages on: Text Rosa in Spanish")
    assert early.detail.endswith("What follows this discharge is in CareCue.")
    assert whole.summary.startswith("After discharge")


def test_no_early_card_of_a_discharge_whose_stay_is_not_known_yet(calls, api):
    del calls.ehr.resources[STAY_HERE]
    with pytest.raises(FhirError):
        next(begin(calls, api, STAY_HERE))
    other = {**STAY, "subject": {"reference": "Patient/karl"}}
    calls.ehr.resources[STAY_HERE] = other
    with pytest.raises(CdsError):
        next(begin(calls, api, STAY_HERE))


@pytest.fixture
def slow(calls: Calls) -> Iterator[Calls]:
    """What does not turn a verdict is not answered before the end."""
    calls.ehr.slow = threading.Event()
    calls.ehr.late = {"Communication", "Goal", "Observation"}
    yield calls
    calls.ehr.slow.set()


def test_slow_ehr_without_batches_gets_the_verdict_in_time(slow: Calls):
    agree(slow.rig)
    client = unbatched(slow)
    card = quick(slow, seconds=4.0, fhir=lambda *_: client)().json["cards"][0]
    assert card["summary"].startswith("Messages on: Text Rosa in Spanish")
    assert card["detail"].startswith("Not read in time: messages, goals")
    (shown,) = slow.audited("cds-card")
    assert shown.detail["read"] == {"Patient": 1, "Encounter": 1}
    assert counted(slow) == {}


def test_slow_ehr_gets_no_card_where_the_verdict_is_not_read(slow: Calls):
    slow.ehr.late = {"Flag"}
    client = unbatched(slow)
    answer = quick(slow, seconds=1.0, fhir=lambda *_: client)()
    assert answer.json == {"cards": []}
    assert counted(slow) == {("northside", "too-late"): 1}


def test_verdict_that_was_shown_is_not_shown_again_and_is_not_too_late(slow: Calls):
    agree(slow.rig)
    client = unbatched(slow)
    slow.ehr.slow.set()
    assert slow.call(granted(slow)).card
    slow.ehr.slow.clear()
    answer = quick(slow, seconds=4.0, fhir=lambda *_: client)()
    assert answer.json == {"cards": []}
    assert counted(slow) == {}
