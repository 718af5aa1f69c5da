"""SMART's own launcher, which simulates EHRs for apps: lax, and never a real EHR."""

from mappings.dialects.app_ways import AppWays
from mappings.dialects.dialect import Dialect

DIALECT = Dialect(
    name="launcher",
    title="SMART launcher",
    software=("smart launcher", "smart app launcher"),
    pushes=False,
    note="it offers no Subscriptions; it is polled",
    numbering="absent",
    app=AppWays(
        nonce_echoed=False,
        renewed_audience=False,
        issuers=("{root}/auth/fhir",),
        base_tail="/fhir",
        notes=(
            "a nonce may not come back: a missing one is taken, a wrong one never",
            "keys change without a name: every published key is tried",
            (
                "id_tokens name an issuer below /auth that its documents do not: it is "
                "believed"
            ),
            (
                "id_tokens that come with a renewed token name no audience: user and "
                "issuer are compared all the same"
            ),
        ),
    ),
)
