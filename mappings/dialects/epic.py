"""Epic: no Subscriptions for third parties; it is polled."""

from mappings.dialects.dialect import Dialect

DIALECT = Dialect(
    name="epic",
    title="Epic",
    software=("epic",),
    pushes=False,
    note="it offers no FHIR Subscriptions to other parties; it is polled",
    numbering="absent",
)
