"""Oracle Health (Cerner) Millennium: no Subscription resource; it is polled."""

from mappings.dialects.app_ways import AppWays
from mappings.dialects.dialect import Dialect

DIALECT = Dialect(
    name="oracle",
    title="Oracle Health",
    software=("oracle health", "cerner", "millennium"),
    pushes=False,
    note="it has no FHIR Subscriptions; it is polled",
    numbering="absent",
    app=AppWays(
        framed=True,
        issuers=("{issuer}/oidc/idsps/{tenant}/",),
        notes=(
            (
                "id_tokens name another issuer than the SMART configuration, below the "
                "tenant: it is believed"
            ),
            (
                "tokens live 570 s and may not be renewed twice within a minute: they "
                "are renewed 90 s ahead of their end, once a minute at the most"
            ),
            "no new refresh token comes: the one at hand is kept",
            (
                "the whole address of the FHIR base has to be sent as aud: it is, letter "
                "for letter"
            ),
            (
                "its pages may not open windows inside PowerChart: the sign-in stays in "
                "the frame"
            ),
        ),
    ),
)
