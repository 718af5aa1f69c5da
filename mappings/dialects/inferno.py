"""Inferno's client suite: one create, no heartbeat, and no search, update or delete."""

from mappings.dialects.app_ways import AppWays
from mappings.dialects.dialect import Dialect

DIALECT = Dialect(
    name="inferno",
    title="Inferno",
    software=("inferno",),
    forms=("backport",),
    heartbeat=None,
    app=AppWays(
        nonce_echoed=False,
        notes=(
            "id_tokens carry no nonce: a missing one is taken, a wrong one never",
            (
                "keys are named in .well-known/openid-configuration of the FHIR base only: "
                "they are looked for there"
            ),
        ),
    ),
)
