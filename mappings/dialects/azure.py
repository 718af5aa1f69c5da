"""Microsoft's FHIR service: it stores a Subscription and never sends for it."""

from mappings.dialects.dialect import Dialect

DIALECT = Dialect(
    name="azure",
    title="Azure FHIR service",
    software=("azure", "microsoft fhir", "health data services"),
    pushes=False,
    note="it tells of changes through Event Grid only; it is polled",
    numbering="absent",
)
