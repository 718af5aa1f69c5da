"""Aidbox: collects up to maxCount events or until the heartbeat, so one at a time.

With more than one, a lone event would wait for the heartbeat. Filters without a type.
"""

from mappings.dialects.dialect import Dialect

DIALECT = Dialect(
    name="aidbox",
    title="Aidbox",
    software=("aidbox",),
    forms=("backport",),
    batch=1,
    spelling="bare",
)
