"""Oracle Health (Cerner) Millennium: no Subscription resource; it is polled."""

from mappings.dialects.dialect import Dialect

DIALECT = Dialect(
    name="oracle",
    title="Oracle Health",
    software=("oracle health", "cerner", "millennium"),
    pushes=False,
    note="it has no FHIR Subscriptions; it is polled",
    numbering="absent",
)
