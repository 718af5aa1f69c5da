"""HAPI FHIR and Smile CDR.

An R4 server takes a topic-based Subscription, calls it active and never fires, so that
there criteria are asked for; nothing in it sends heartbeats. Its counter is in memory.
"""

from mappings.dialects.dialect import Dialect

_DELETES = (
    "http://hapifhir.io/fhir/StructureDefinition/subscription-send-delete-messages"
)

DIALECT = Dialect(
    name="hapi",
    title="HAPI FHIR",
    software=("hapi fhir", "smile cdr", "smilecdr"),
    topic_versions=("4.3", "5.0"),
    heartbeat=None,
    channel_extensions=({"url": _DELETES, "valueBoolean": True},),
    numbering="restarts",
)
