"""Meditech: no Subscriptions for third parties; its documents may stand at the root."""

from mappings.dialects.app_ways import AppWays
from mappings.dialects.dialect import Dialect

DIALECT = Dialect(
    name="meditech",
    title="Meditech",
    software=("meditech",),
    pushes=False,
    note="it offers no FHIR Subscriptions to other parties; it is polled",
    numbering="absent",
    app=AppWays(
        root_configuration=True,
        notes=(
            (
                "the SMART configuration may stand at the root of the host: it is looked "
                "for there after the FHIR base"
            ),
            "grants are advertised that are refused: the refusal counts",
        ),
    ),
)
