"""US Core's patient-data-feed: one patient in a Subscription, never several.

A server that adjusts filters keeps the Subscription with status error until the client
has accepted it. Source: US Core 8 and 9, patient data feed.
"""

from mappings.dialects.dialect import Dialect, Each, TopicRule

FEED = "http://hl7.org/fhir/us/core/SubscriptionTopic/patient-data-feed"

DIALECT = Dialect(
    name="uscore",
    title="US Core server",
    rules=(
        TopicRule(
            FEED,
            ("Encounter", "CarePlan"),
            filters=(("trigger", "feed-event"),),
            each=Each("subscription_patients", "patient"),
        ),
    ),
)
