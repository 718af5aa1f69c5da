"""athenahealth: one Subscription for each kind of event and practice, id-only.

The secret comes in a header of the create call; numbers begin anew in each Bundle.
"""

from mappings.dialects.app_ways import AppWays
from mappings.dialects.dialect import Dialect, Each, TopicRule

_TOPICS = "https://api.platform.athenahealth.com/fhir/r4/SubscriptionTopic"
_EVENTS = {
    "Appointment": (
        "schedule",
        "cancel",
        "reschedule",
        "check-in",
        "check-out",
        "update",
        "freeze",
        "unfreeze",
    ),
    "Encounter": ("check-in", "signoff", "reopen"),
}
_PRACTICE = Each("practices", "ah-practice", "Organization/{}")

DIALECT = Dialect(
    name="athena",
    title="athenahealth",
    software=("athenahealth", "athenanet", "athenaone"),
    forms=("backport",),
    heartbeat=None,
    spelling="bare",
    proof="hmac",
    secret_header="X-Hub-Secret",  # noqa: S106 -- the name of a header
    numbering="bundle-relative",
    app=AppWays(
        notes=(
            (
                "the issuer is on another host than the endpoints: list both in "
                "authorization_hosts"
            ),
            "PKCE was asked for without being told of: S256 is always sent",
        ),
    ),
    rules=tuple(
        TopicRule(f"{_TOPICS}/{kind}.{event}", (kind,), each=_PRACTICE, whole=False)
        for kind, events in _EVENTS.items()
        for event in events
    ),
)
