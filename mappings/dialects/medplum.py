"""Medplum: criteria only; signs each body with a secret that an extension carries.

A secret with a colon is cut there. No event numbers, no heartbeats; after repeated
failures it switches the Subscription off by itself.
"""

from mappings.dialects.app_ways import AppWays
from mappings.dialects.dialect import Dialect

DIALECT = Dialect(
    name="medplum",
    title="Medplum",
    software=("medplum",),
    forms=("criteria",),
    content="full-resource",
    heartbeat=None,
    proof="hmac",
    socket_bind="json",
    secret_extension="https://www.medplum.com/fhir/StructureDefinition/subscription-secret",  # noqa: S106 -- the name of an extension
    numbering="absent",
    app=AppWays(
        notes=(
            (
                "the SMART configuration's issuer is the server's root and not its FHIR "
                "base: it is believed as it is told"
            ),
        ),
    ),
)
