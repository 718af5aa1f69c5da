"""Firely Server: criteria only, and only under /administration are they evaluated."""

from mappings.dialects.dialect import Dialect

DIALECT = Dialect(
    name="firely",
    title="Firely Server",
    software=("firely", "vonk"),
    forms=("criteria",),
    heartbeat=None,
    numbering="absent",
    suffix="/administration",
)
