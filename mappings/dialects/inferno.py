"""Inferno's client suite: one create, no heartbeat, and no search, update or delete."""

from mappings.dialects.dialect import Dialect

DIALECT = Dialect(
    name="inferno",
    title="Inferno",
    software=("inferno",),
    forms=("backport",),
    heartbeat=None,
)
