"""What failed, in the words of the page and of the operator who looks it up.

Every code belongs to one step. A failure is kept under the id that the page shows:
with its launch where there is one, else in a row of its own, without anything that a
request said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mappings.dialects.registry import app_ways
from mappings.endpoint import Endpoint
from mappings.errors import (
    AnotherResourceError,
    CareCueError,
    FhirError,
    LaunchError,
)
from mappings.resource import dict_of, list_of
from middleware.desk.launches import LOCKED, Launch
from middleware.desk.viewer import mark
from smart_app.discovery import is_allowed
from smart_app.kept import ENDED
from smart_app.oauth import PASSING, clean_text
from smart_app.ports import SmartPorts
from smart_app.session import end_session, is_over

STEPS = {
    "L": mark("Starting from the chart"),
    "D": mark("Asking the EHR how to sign in"),
    "C": mark("Coming back from the EHR's sign-in"),
    "T": mark("Exchanging the sign-in for access"),
    "U": mark("Checking who is signed in"),
    "P": mark("Choosing the patient"),
    "H": mark("Opening a window of its own"),
    "R": mark("Renewing the access"),
    "S": mark("Opening the page"),
    "F": mark("Saving"),
    "E": mark("Reading the chart"),
    "N": mark("Finding the page"),
    "X": mark("Inside CareCue"),
}
NOT_SAVED = mark("This was not saved")
SESSION_ENDED = mark("Your chart session ended")
# What was refused or failed, by the code where it says more than its step does.
TITLES = {
    "L": mark("The EHR’s launch cannot be used"),
    "D": mark("The sign-in could not begin"),
    "C": mark("The sign-in was not completed"),
    "C4": mark("The sign-in was refused"),
    "T": mark("The EHR gave this app no access"),
    "U": mark("CareCue is not open to this user"),
    "P": mark("No patient was chosen"),
    "H": mark("This cannot be opened here"),
    "R": mark("The access to this chart ended"),
    "S": mark("This cannot be opened here"),
    "F": mark("This form was refused"),
    "F5": mark("You can look and change nothing"),
    "F7": mark("This record is closed"),
    "E": mark("The chart cannot be shown"),
    "E4": mark("The EHR does not let you read this chart here"),
    "N": mark("This cannot be opened here"),
    "X": mark("CareCue cannot go on just now"),
}
# However often such a form is sent, it is refused.
FOR_GOOD = frozenset({"F1", "F2", "F5", "F7"})
UNREADABLE = mark(
    "The chart could not be read. Nothing was sent or changed. Try again, or open "
    "this app again from the chart."
)
UNANSWERED = mark(
    "The chart could not be read. The EHR did not answer. Nothing was sent or changed. "
    "Try again in a minute, or open this app again from the chart."
)
NOT_LET = mark(
    "The chart could not be read. The EHR does not let you or this app read it. Nothing "
    "was sent or changed. Open it in the EHR first; if it stays so, ask the person who "
    "runs the EHR what this app may read."
)
ANOTHER = mark(
    "The EHR answered with another record than the open chart's (merged records?), so "
    "nothing is shown. Open this app again from the chart; if it stays so, look the "
    "patient up in the EHR."
)
BROKEN = mark(
    "Something of CareCue is not working. Nothing was sent or changed. Try again in "
    "a minute; if it stays so, tell the person who runs CareCue."
)
ERROR = re.compile(r"[a-z_]{1,40}\Z")
ISSUE = re.compile(r"[a-z][a-z-]{1,30}\Z")


def name_step(code: str) -> str:
    """Return the step that a failure's code belongs to."""
    return STEPS.get(code[:1], STEPS["X"])


def name_title(error: LaunchError, *, saving: bool = False) -> str:
    """Return the heading of a failure's page: what was refused, or that nothing is saved."""
    if error.status == 401:
        return SESSION_ENDED
    if saving:
        return NOT_SAVED
    code = error.code
    return TITLES.get(code) or TITLES.get(code[:1], TITLES["X"])


def settle_fault(
    ports: SmartPorts, launch: Launch | None, error: CareCueError
) -> LaunchError:
    """Return a fault as its page shows it; a launch that the EHR ended is locked."""
    if not isinstance(error, FhirError):
        return as_failure(error)
    if error.status != 401:
        fault = _describe_fault(error, ports.endpoints())
        if launch is not None:
            now, word = ports.clock.now(), fault.said.partition(":")[0]
            ports.launches.note_fault(launch, now, fault.code, word)
        return fault
    if launch is None:
        return LaunchError(ENDED, code="S2", status=401)
    end_session(ports, launch, LOCKED, "E2")
    return is_over(ports.launches.get(launch.id))


def _describe_fault(error: FhirError, endpoints: Sequence[Endpoint]) -> LaunchError:
    """Return LaunchError E1, E3 or E4: what a read came to, what the EHR said of it.

    Of its answer only the status and codes are told: its texts may name the patient.
    """
    if isinstance(error, AnotherResourceError):
        return LaunchError(ANOTHER, code="E3", status=502)
    if error.status is None:
        words = UNREADABLE if error.permanent else UNANSWERED
        return LaunchError(words, code="E1", status=502)
    issues = list_of((error.outcome or {}).get("issue"))
    code = str(dict_of(issues[0]).get("code")) if issues else ""
    named = f" ({code})" if ISSUE.match(code) else ""
    meaning = explain_outcome(endpoints, error.outcome)
    said = f"HTTP {error.status}{named}{f': {meaning}' if meaning else ''}"
    if error.status == 403:
        return LaunchError(NOT_LET, code="E4", status=502, said=said)
    return LaunchError(UNREADABLE, code="E1", status=502, said=said)


def read_refusal(
    endpoint: Endpoint, error: str | None, description: str | None, uri: str | None
) -> LaunchError:
    """Return LaunchError C4 for an authorization response without a code.

    C6 where the server says that it cannot answer now. The EHR's words are text only;
    its link is kept where it is https on a host that is listed for this EHR (RFC 6749
    section 4.1.2.1).
    """
    word = error if error and ERROR.match(error) else "no code"
    told = clean_text(description)
    good = uri is not None and uri.startswith("https://") and is_allowed(endpoint, uri)
    said = ": ".join(part for part in (word, told) if part)
    link = uri if good and uri else ""
    if word in PASSING:
        return LaunchError(
            "The EHR's sign-in could not answer. Nothing was opened. Open this app "
            "again from the chart in a minute; if it stays so, tell the person who "
            "runs the EHR.",
            code="C6",
            status=503,
            said=said,
            link=link,
        )
    return LaunchError(
        "The EHR did not let this app in. Nothing was opened. Open this app again "
        "from the chart.",
        code="C4",
        status=403,
        said=said,
        link=link,
    )


def as_failure(error: CareCueError, endpoints: Sequence[Endpoint] = ()) -> LaunchError:
    """Return any error of a launch as one that its page can show."""
    if isinstance(error, LaunchError):
        return error
    if isinstance(error, FhirError):
        return _describe_fault(error, endpoints)
    return LaunchError(BROKEN, code="X1", status=500)


def explain_outcome(
    endpoints: Sequence[Endpoint], outcome: dict[str, Any] | None
) -> str:
    """Return in words what a server's own error codes mean, where that is known."""
    meanings = {
        code: meaning
        for endpoint in endpoints
        for code, meaning in app_ways(endpoint.profile).meanings.items()
    }
    codes = [
        str(coding.get("code"))
        for issue in list_of((outcome or {}).get("issue"))
        if isinstance(issue, dict) and isinstance(issue.get("details"), dict)
        for coding in list_of(issue["details"].get("coding"))
        if isinstance(coding, dict)
    ]
    return " ".join(dict.fromkeys(meanings[code] for code in codes if code in meanings))


def note_failure(ports: SmartPorts, error: LaunchError) -> str:
    """Keep a failure that has no launch, without what the request said; return its id."""
    told = (error.code, error.endpoint_id, error.found)
    return ports.launches.insert_failure(ports.ids.new(), *told, ports.clock.now())
