"""Epic: no Subscriptions for third parties; it is polled.

Sources: its documentation of apps, errors and conventions, and a published trace of a
launch (2023). Customers' versions differ, so that both older and newer ways are met.
"""

from mappings.dialects.app_ways import AppWays
from mappings.dialects.dialect import Dialect

DIALECT = Dialect(
    name="epic",
    title="Epic",
    software=("epic",),
    pushes=False,
    note="it offers no FHIR Subscriptions to other parties; it is polled",
    numbering="absent",
    app=AppWays(
        framed=True,
        issuers=("{root}/oauth2",),
        base_tail="/api/FHIR/R4",
        notes=(
            (
                "id_tokens name the issuer /oauth2 beside /api/FHIR/R4, which older "
                "documents leave out: it is believed"
            ),
            (
                "older documents name no keys: they are looked for at "
                ".well-known/openid-configuration of the FHIR base"
            ),
            'need_patient_banner comes as the text "true": texts are read',
            (
                "granted scopes come twice, in mixed case and for user: they are compared "
                "by what they mean"
            ),
            (
                "fhirUser may be missing: such users are refused, or let in read-only "
                "where unknown_users is set"
            ),
            "refresh tokens may be missing: the page ends with its token",
            (
                "a launch from a chart is signed in without a page: it stays in the frame, "
                "whatever the sign-in page says of frames"
            ),
        ),
        meanings={
            "4101": "Nothing of this kind is documented.",
            "4119": "The EHR says that there may be more than it gave.",
            "4130": "The chart is behind Break-the-Glass: open it in the EHR first.",
            "4131": "The chart is behind Break-the-Glass: open it in the EHR first.",
            "4134": "The chart is behind Break-the-Glass: open it in the EHR first.",
            "4135": "The EHR's daily limit of documents is reached.",
        },
    ),
)
