"""Google Healthcare API: Pub/Sub for each store instead of Subscriptions."""

from mappings.dialects.dialect import Dialect

DIALECT = Dialect(
    name="google",
    title="Google Healthcare API",
    software=("google", "cloud healthcare"),
    pushes=False,
    note="it tells of changes through Pub/Sub only; it is polled",
    numbering="absent",
)
