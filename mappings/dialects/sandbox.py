"""The sandbox EHR: every form, with handshakes, heartbeats, $status and $events."""

from mappings.dialects.app_ways import AppWays
from mappings.dialects.dialect import Dialect, TopicRule

_TOPICS = "http://sandbox.example.org/SubscriptionTopic"

DIALECT = Dialect(
    app=AppWays(framed=True),
    name="sandbox",
    title="Sandbox EHR",
    software=("sandbox ehr",),
    rules=(
        TopicRule(f"{_TOPICS}/encounter-change", ("Encounter",)),
        TopicRule(f"{_TOPICS}/appointment-change", ("Appointment",)),
        TopicRule(f"{_TOPICS}/careplan-change", ("CarePlan",)),
    ),
)
