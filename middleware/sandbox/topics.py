"""The topics that this server publishes, one for each resource type it announces.

Pure: it may not know subscriptions, the store or HTTP.
"""

from dataclasses import dataclass
from typing import Any

CANONICAL_BASE = "http://sandbox.example.org/SubscriptionTopic/"
_ELEMENT = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic."


@dataclass(frozen=True)
class Topic:
    """One topic: every create, update and delete of one resource type."""

    name: str
    resource: str

    @property
    def url(self) -> str:
        """Answer the canonical URL, without a version."""
        return f"{CANONICAL_BASE}{self.name}"


TOPICS: tuple[Topic, ...] = (
    Topic("encounter-change", "Encounter"),
    Topic("appointment-change", "Appointment"),
    Topic("careplan-change", "CarePlan"),
    Topic("patient-change", "Patient"),
    Topic("procedure-change", "Procedure"),
)


def topic_canonicals() -> list[str]:
    """Answer the canonical URLs of all topics, for the CapabilityStatement."""
    return [topic.url for topic in TOPICS]


def find_topic(canonical: str) -> Topic | None:
    """Answer the topic with this canonical URL (a `|version` is ignored), or None."""
    url = canonical.partition("|")[0]
    return next((topic for topic in TOPICS if topic.url == url), None)


def topic_basics() -> list[dict[str, Any]]:
    """Answer each topic as an R4 Basic, as cross-version extensions spell it.

    Shape: Subscriptions R5 Backport IG 1.1, "SubscriptionTopic in R4".
    """
    return [_basic(topic) for topic in TOPICS]


def _basic(topic: Topic) -> dict[str, Any]:
    interactions = [
        {"url": "supportedInteraction", "valueCode": code}
        for code in ("create", "update", "delete")
    ]
    trigger = [{"url": "resource", "valueUri": topic.resource}, *interactions]
    return {
        "resourceType": "Basic",
        "id": topic.name,
        "extension": [
            {"url": f"{_ELEMENT}url", "valueUri": topic.url},
            {"url": f"{_ELEMENT}title", "valueString": f"{topic.resource} changes"},
            {"url": f"{_ELEMENT}resourceTrigger", "extension": trigger},
        ],
        "modifierExtension": [{"url": f"{_ELEMENT}status", "valueCode": "active"}],
        "code": {
            "coding": [
                {
                    "system": "http://hl7.org/fhir/fhir-types",
                    "code": "SubscriptionTopic",
                }
            ]
        },
    }
