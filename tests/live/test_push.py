"""What a real HAPI FHIR server pushes, in each of its forms, as our receiver keeps it."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from subscriptions.definition import Pace, write_subscription
from tests.live.calls import call, make_encounter, make_patient
from tests.product import SECRET

pytestmark = pytest.mark.live

TOPIC = "http://example.org/SubscriptionTopic/encounter-change"
R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic"
R4B = "http://hl7.org/fhir/4.3/StructureDefinition/extension-SubscriptionTopic"
SEND_DELETES = {
    "url": "http://hapifhir.io/fhir/StructureDefinition/subscription-send-delete-messages",
    "valueBoolean": True,
}
TOPIC_R4B = {
    "resourceType": "SubscriptionTopic",
    "id": "encounter-change",
    "url": TOPIC,
    "status": "active",
    "resourceTrigger": [
        {
            "resource": "Encounter",
            "supportedInteraction": ["create", "update", "delete"],
        }
    ],
    "notificationShape": [{"resource": "Encounter"}],
}
# The implementation guide writes an R4 topic as a Basic with extensions.
TOPIC_R4 = {
    "resourceType": "Basic",
    "id": "encounter-change",
    "code": {
        "coding": [
            {"system": "http://hl7.org/fhir/fhir-types", "code": "SubscriptionTopic"}
        ]
    },
    "modifierExtension": [{"url": f"{R5}.status", "valueString": "active"}],
    "extension": [
        {"url": f"{R5}.url", "valueUri": TOPIC},
        {
            "url": f"{R4B}.resourceTrigger",
            "extension": [
                {"url": "resource", "valueUri": "Encounter"},
                {"url": "supportedInteraction", "valueString": "create"},
                {"url": "supportedInteraction", "valueString": "update"},
                {"url": "supportedInteraction", "valueString": "delete"},
            ],
        },
        {
            "url": f"{R4B}.notificationShape",
            "extension": [{"url": "resource", "valueUri": "Encounter"}],
        },
    ],
}


class Stay:
    """One Encounter at a server whose changes are pushed to our hook."""

    def __init__(self, hapi, product, form, **asked):
        self.product, self.base = product, hapi.base_url
        change = asked.pop("change", lambda subscription: None)
        patient = call("POST", f"{self.base}/Patient", make_patient()).json()
        self.patient = f"Patient/{patient['id']}"
        if form == "backport":  # Without a filter HAPI refuses it on R4 (HAPI-0011).
            asked["filters"] = [("patient", self.patient)]
        hook = product.open_hook(product.connect(self.base), form)
        subscription = write_subscription(
            form,
            "Encounter",
            hook,
            SECRET,
            datetime.now(UTC) + timedelta(days=1),
            pace=Pace(batch=1),
            **asked,
        )
        subscription["id"] = f"s-{uuid.uuid4()}"
        change(subscription)
        self.subscription = f"{self.base}/Subscription/{subscription['id']}"
        call("PUT", self.subscription, subscription)
        product.wait("the subscription to be active", self._is_active)
        self.focus = f"Encounter/e-{uuid.uuid4()}"
        self.resource = make_encounter(self.patient) | {
            "id": self.focus.partition("/")[2]
        }

    def _is_active(self):
        return call("GET", self.subscription).json()["status"] == "active"

    def put(self, status):
        call("PUT", f"{self.base}/{self.focus}", self.resource | {"status": status})

    def delete(self):
        call("DELETE", f"{self.base}/{self.focus}")

    def wait_for(self, count):
        """Return what we are to read of it, once there are so many."""
        told = self.product.wait(
            f"{count} notifications of {self.focus}",
            lambda: len(found := self.product.told(self.focus)) >= count and found,
        )
        # What was accepted is not sent again: more than was asked for is a fault.
        assert len(told) == count
        return told

    def forms(self):
        """Return the forms of what came; nothing may have been set aside."""
        kept = self.product.kept()
        assert {row["state"] for row in kept} == {"stored"}
        return {row["form"] for row in kept}


@pytest.fixture
def stay(product):
    """Begins stays, and takes their subscriptions back."""
    begun = []

    def begin(hapi, form, **asked):
        begun.append(Stay(hapi, product, form, **asked))
        return begun[-1]

    yield begin
    for stay in begun:
        call("DELETE", stay.subscription)


@pytest.mark.peer("HAPI FHIR 8.8", "R4 criteria: PUT of the resource")
def test_criteria_with_payload_put_each_version(hapi, stay):
    visit = stay(hapi, "criteria")
    visit.put("in-progress")
    visit.wait_for(1)
    visit.put("finished")

    assert [row["version"] for row in visit.wait_for(2)] == ["1", "2"]
    assert visit.forms() == {"r4-criteria"}


@pytest.mark.peer("HAPI FHIR 8.8", "R4 criteria: DELETE of the resource")
def test_deletion_is_told_where_it_was_asked_for(hapi, stay):
    def ask(subscription):
        subscription["channel"]["extension"] = [SEND_DELETES]

    visit = stay(hapi, "criteria", change=ask)
    visit.put("in-progress")
    visit.wait_for(1)
    visit.delete()

    told = visit.wait_for(2)
    assert [row["interaction"] for row in told] == ["update", "delete"]
    assert visit.forms() == {"r4-criteria"}


@pytest.mark.peer("HAPI FHIR 8.8", "R4 criteria: POST without a body")
def test_criteria_without_payload_say_only_that_something_changed(hapi, stay, product):
    visit = stay(hapi, "criteria", change=lambda asked: asked["channel"].pop("payload"))
    visit.put("in-progress")

    told = product.wait("an empty notification", product.told)
    assert {(row["focus"], row["source"]) for row in told} == {(None, "push")}
    assert visit.forms() == {"r4-empty"}


@pytest.fixture(scope="module")
def hapi_r4_topic(hapi):
    """The R4 server with a topic; it reads topics every minute, and when it starts."""
    call("PUT", f"{hapi.base_url}/Basic/{TOPIC_R4['id']}", TOPIC_R4)
    hapi.restart()
    return hapi


@pytest.mark.peer("HAPI FHIR 8.8", "R4 topic: history Bundle with Parameters")
@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@64")
@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@71")
@pytest.mark.parametrize("content", ["id-only", "full-resource"])
def test_topic_of_an_r4_server(hapi_r4_topic, stay, content):
    check_topic(stay(hapi_r4_topic, "backport", topic=TOPIC, content=content), content)


@pytest.mark.peer("HAPI FHIR 8.8", "R4 topic: numbers that begin anew at a restart")
def test_restart_begins_the_numbers_anew_and_loses_no_event(hapi_r4_topic, stay):
    visit = stay(hapi_r4_topic, "backport", topic=TOPIC, content="id-only")
    visit.put("in-progress")
    first = visit.wait_for(1)[0]["event_number"]
    hapi_r4_topic.restart()
    visit.put("finished")

    assert [row["event_number"] for row in visit.wait_for(2)] == [first, 1]


@pytest.mark.peer("HAPI FHIR 8.8", "R4B topic: history Bundle with SubscriptionStatus")
@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@71")
@pytest.mark.parametrize("content", ["id-only", "full-resource"])
def test_topic_of_an_r4b_server(hapi_r4b, stay, content):
    topic = f"{hapi_r4b.base_url}/SubscriptionTopic/{TOPIC_R4B['id']}"
    call("PUT", topic, TOPIC_R4B)
    check_topic(
        stay(hapi_r4b, "backport", topic=TOPIC, content=content), content, "r4b"
    )


def check_topic(visit, content, form="r4-backport"):
    """An update and a deletion come as numbered events of the topic."""
    visit.put("in-progress")
    visit.wait_for(1)
    visit.put("finished")
    visit.wait_for(2)
    visit.delete()

    told = visit.wait_for(3)
    first = told[0]["event_number"]
    assert [row["event_number"] for row in told] == [first, first + 1, first + 2]
    assert [row["interaction"] for row in told][1:] == ["update", "delete"]
    if content == "full-resource":
        assert [row["version"] for row in told][:2] == ["1", "2"]
    assert visit.forms() == {form}
