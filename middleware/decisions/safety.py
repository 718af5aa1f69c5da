"""The hard stops and the holds that no preference can lift. All fail closed.

Each check returns the verdict that stops the message, or None. The order is fixed in
:mod:`middleware.decisions.deciding`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from mappings.chart import Chart
from mappings.codes import (
    ADMITTED,
    INPATIENT_CLASSES,
    disposition_codings,
    disposition_path,
    encounter_class,
    has_member,
    status_word,
)
from mappings.endpoint import Endpoint
from mappings.instants import find_instant
from mappings.nudge import Fact, Outcome, Verdict
from mappings.plan import Library, Plan
from mappings.preference import EngagementProfile, OwnRecord, Switch
from mappings.reference import read_reference
from mappings.resource import Coding, Resource, codings_of, values_at
from middleware.decisions.evidence import fact, sourced_fact
from middleware.decisions.focus import died_of_appointment
from middleware.decisions.prefetch import SAFETY_TYPES
from middleware.decisions.recipients import is_about_minor, list_recipients

DISPOSITIONS = frozenset(
    {
        "home",
        "home-planned",
        "died",
        "hospice",
        "transfer",
        "facility",
        "ama",
        "law",
        "no-discharge",
        "other",
    }
)
SENSITIVE_SETS = (
    "sensitive-substance-use",
    "sensitive-mental-health",
    "sensitive-hiv",
    "sensitive-pregnancy-loss",
    "sensitive-sexual-health",
)
STAFF_ONLY_SETS = ("sensitive-substance-use",)
STAFF_ONLY_LABELS = frozenset(
    {"SUD", "ETH", "ETHUD", "OPIOIDUD", "SDV", "VIO", "VIOLENCE", "DVD", "IPV", "V"}
)
REASON_PATHS = (
    "reasonCode",
    "reason",
    "reason.value",
    "type",
    "serviceType",
    "specialty",
    "category",
    "activity.detail.code",
    "activity.detail.reasonCode",
)
HOSPICE_PATHS = (
    ("Condition", ("code",)),
    ("Procedure", ("code",)),
    ("ServiceRequest", ("code",)),
    ("Encounter", ("type", "serviceType")),
)
# What may say that the patient died or is in hospice care, beside the Patient.
ENDING_TYPES = frozenset({"Appointment", *(name for name, _ in HOSPICE_PATHS)})
CONDITION_PATHS = (
    "reasonReference",
    "diagnosis.condition",
    "diagnosis.condition.reference",
    "addresses",
    "activity.detail.reasonReference",
)


def read_disposition(
    encounter: Resource, library: Library, endpoint: Endpoint
) -> str | None:
    """Return how a stay ended in one of ten words; None when missing or unknown.

    The site's own map (``system|code`` or ``code``) comes first. Codes that point to
    different words are unknown, but for home with and without a planned return.
    """
    site = endpoint.site.disposition_map
    words: set[str | None] = set()
    for system, code in disposition_codings(encounter):
        word = site.get(f"{system}|{code}") or site.get(code)
        word = word or library.dispositions.get((system, code))
        if word is not None:
            words.add(word if word in DISPOSITIONS else None)
    if words == {"home", "home-planned"}:
        return "home-planned"
    return words.pop() if len(words) == 1 else None


def check_patient(
    chart: Chart,
    profile: EngagementProfile,
    library: Library,
    endpoint: Endpoint,
    focus: Resource | None,
) -> Verdict | None:
    """Return the verdict when the patient died, is inactive, merged or a test one."""
    patient = chart.patient
    if profile.deceased:
        path = next(name for name in patient if name.startswith("deceased"))
        return _cancel("deceased", fact(patient, path))
    for visit in (*((focus,) if focus else ()), *chart.of("Appointment")):
        if died_of_appointment(visit):
            return _cancel("deceased", fact(visit, "cancelationReason"))
    for encounter in chart.of("Encounter"):
        if read_disposition(encounter, library, endpoint) == "died":
            known = fact(encounter, disposition_path(encounter))
            reason = "disposition-died" if encounter is focus else "deceased"
            return _cancel(reason, known)
    if not profile.active:
        return _cancel("record-inactive", fact(patient, "active"))
    if profile.merged_into:
        return _cancel(
            "record-inactive", fact(patient, "link.other", profile.merged_into)
        )
    if profile.test_patient:
        return _cancel("test-patient", fact(patient, "meta.security"))
    return None


def check_hospice(chart: Chart, library: Library, now: datetime) -> Verdict | None:
    """Return the verdict when the patient is in hospice care."""
    members = library.value_sets.get("hospice", frozenset())
    for name, paths in HOSPICE_PATHS:
        for resource in chart.of(name):
            for path in paths:
                codings = codings_of(values_at(resource, path))
                if has_member(members, codings) and not _ended(resource, now):
                    return _cancel("hospice", fact(resource, path))
    return None


def _ended(resource: Resource, now: datetime) -> bool:
    status = str(resource.get("status"))
    clinical = {code for _, code in codings_of(resource.get("clinicalStatus"))}
    verified = {code for _, code in codings_of(resource.get("verificationStatus"))}
    ended = clinical & {"inactive", "resolved", "remission"} or "refuted" in verified
    if status in ("not-done", "cancelled", "revoked") or ended:
        return True
    end = find_instant(next(iter(values_at(resource, "abatementDateTime")), None))
    return end is not None and end <= now


def check_switches(plan: Plan, own: OwnRecord, endpoint: Endpoint) -> Verdict | None:
    """Return the hold when a person's switch, or an unchecked restore, covers it."""
    if own.restore_unchecked:
        return Verdict(Outcome.HOLD, "restore-unchecked")
    for switch in own.switches:
        if _covers(switch, plan, endpoint):
            known = Fact(f"Switch/{switch.scope}", None, switch.target, switch.reason)
            return Verdict(Outcome.HOLD, "switched-off", (known,))
    return None


def _covers(switch: Switch, plan: Plan, endpoint: Endpoint) -> bool:
    """Tell whether a switch covers a plan here; channels are left to routing."""
    if switch.scope == "all":
        return True
    if switch.scope == "endpoint":
        return switch.target in (endpoint.id, endpoint.name, "*")
    if switch.scope == "plan":
        return switch.target in (plan.id, plan.url)
    return switch.scope == "topic" and switch.target == plan.topic


def check_pause(profile: EngagementProfile, due: datetime) -> Verdict | None:
    """Return the hold when messages are paused at the instant a message is due."""
    if profile.pause is None:
        return None
    text = profile.pause.value.get("until")
    until = find_instant(text)
    if until is not None and until <= due:
        return None
    facts = (sourced_fact("pause", profile.pause),)
    return Verdict(Outcome.HOLD, "paused", facts, until=until)


def check_reading(chart: Chart, endpoint: Endpoint, *, at_send: bool) -> Verdict | None:
    """Return the hold when what safety needs to see could not be read.

    ``endpoint.profile["unsupported"]`` names types that this EHR does not have.
    """
    unread = set(chart.incomplete) & (SAFETY_TYPES | {"Patient"})
    unread -= set(endpoint.profile.get("unsupported", ()))
    if not unread:
        return None
    reason = "ehr-unreachable" if at_send else "data-missing"
    return Verdict(
        Outcome.HOLD, reason, detail=f"not read: {', '.join(sorted(unread))}"
    )


def check_minor(
    chart: Chart, profile: EngagementProfile, topic: str = ""
) -> Verdict | None:
    """Return the hold for somebody of unknown age, or a minor without a guardian."""
    if profile.age is None:
        reason = "data-missing"
    elif is_about_minor(profile) and not list_recipients(profile, topic):
        reason = "minor"
    else:
        return None
    return Verdict(Outcome.HOLD, reason, (fact(chart.patient, "birthDate"),))


def check_sensitive(
    chart: Chart, library: Library, focus: Resource, *, generic: bool = False
) -> Verdict | None:
    """Return the hold when a label or a reason of the focus is sensitive.

    With ``generic`` words that reveal nothing would be sent: then only what the law, or
    the danger of being found out, leaves to people holds (42 CFR part 2, violence).
    """
    for resource in (focus, chart.patient):
        if _is_labelled(resource, library, generic=generic):
            return _hold("sensitive", fact(resource, "meta.security", "labelled"))
    sets = STAFF_ONLY_SETS if generic else SENSITIVE_SETS
    for resource, path, codings in _reasons(chart, focus):
        for name in sets:
            if has_member(library.value_sets.get(name, frozenset()), codings):
                return _hold("sensitive", fact(resource, path, "sensitive"))
        if _is_labelled(resource, library, generic=generic):
            return _hold("sensitive", fact(resource, "meta.security", "labelled"))
    return None


def _is_labelled(resource: Resource, library: Library, *, generic: bool) -> bool:
    labels = library.value_sets.get("sensitive-labels", frozenset())
    found = codings_of(values_at(resource, "meta.security"))
    if generic:
        found = tuple(item for item in found if item[1] in STAFF_ONLY_LABELS)
    return has_member(labels, found) is not None


def _reasons(
    chart: Chart, focus: Resource
) -> Iterable[tuple[Resource, str, tuple[Coding, ...]]]:
    if focus.get("resourceType") == "Patient":
        return
    for path in REASON_PATHS:
        yield focus, path, codings_of(values_at(focus, path))
    for path in CONDITION_PATHS:
        for value in values_at(focus, path):
            reference = read_reference(value)
            linked = chart.find(reference) if reference else None
            if linked is not None:
                yield linked, "code", codings_of(linked.get("code"))
    own = f"{focus.get('resourceType')}/{focus.get('id')}"
    for condition in chart.of("Condition"):
        if read_reference(condition.get("encounter")) == own:
            yield condition, "code", codings_of(condition.get("code"))


def check_inpatient(chart: Chart, focus: Resource) -> Verdict | None:
    """Return the hold while another stay, or an emergency visit, is going on."""
    for encounter in chart.of("Encounter"):
        kind = encounter_class(encounter)
        if (
            encounter is not focus
            and status_word(encounter) == ADMITTED
            and (kind in INPATIENT_CLASSES or kind == "EMER")
        ):
            facts = (fact(encounter, "status"), fact(encounter, "class.code", kind))
            return Verdict(Outcome.HOLD, "in-hospital", facts)
    return None


def check_replies(own: OwnRecord) -> Verdict | None:
    """Return the hold while a reply of the patient waits for a person."""
    if own.replies_waiting > 0:
        return Verdict(Outcome.HOLD, "reply-needs-person")
    return None


def _cancel(reason: str, known: Fact) -> Verdict:
    return Verdict(Outcome.CANCEL, reason, (known,))


def _hold(reason: str, known: Fact) -> Verdict:
    return Verdict(Outcome.HOLD, reason, (known,))
