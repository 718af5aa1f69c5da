"""How complete each section is: what was asked of the chart, and what came of it. Pure.

Six states, never mixed: shown or none recorded, none known (the chart says that it is
not known), not asked, not permitted, permitted in part, failed. "None" is only said
where it was asked, permitted in full and answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from zoneinfo import ZoneInfo

from mappings.resource import Resource, codings_of
from mappings.stated import EXPERIENCE, NEEDS, TREATMENT
from middleware.decisions.prefetch import data_queries
from middleware.desk.charting import personal_queries
from middleware.desk.formats import write_time, zone_name
from middleware.desk.permitted import type_of
from middleware.desk.values import Known
from middleware.desk.viewer import mark
from middleware.desk.views import View

PLAIN = {
    "Appointment": mark("visits"),
    "CarePlan": mark("care plans"),
    "Communication": mark("messages"),
    "Condition": mark("problems"),
    "Consent": mark("consents"),
    "DiagnosticReport": mark("reports"),
    "Encounter": mark("hospital stays and visits"),
    "Flag": mark("flags"),
    "Goal": mark("goals"),
    "Immunization": mark("vaccinations"),
    "MedicationDispense": mark("medicines collected"),
    "MedicationRequest": mark("prescriptions"),
    "Observation": mark("results"),
    "Procedure": mark("procedures"),
    "RelatedPerson": mark("family and carers"),
    "RiskAssessment": mark("risk scores"),
    "ServiceRequest": mark("orders"),
    "Task": mark("tasks"),
}
WORDS = ("Goal", "Observation")
HISTORY = ("Communication",)
PREFERENCES = ("Consent", "RelatedPerson", "Flag")
ELSEWHERE = frozenset({"Patient", "Goal", *HISTORY, *PREFERENCES})
STATED = frozenset({EXPERIENCE, TREATMENT, *NEEDS})
COUNTS = (
    ("withheld", mark("not permitted %(number)s")),
    ("partly", mark("permitted in part %(number)s")),
    ("failed", mark("failed %(number)s")),
    ("absent", mark("not known %(number)s")),
    ("none", mark("none recorded %(number)s")),
)
# Left out of what is shown, by why.
HIDDEN = (
    ("error", mark("Left out, entered in error: %(names)s.")),
    ("strangers", mark("Left out, another patient’s: %(names)s.")),
)
LINES = (
    ("withheld", mark("Not permitted: %(names)s.")),
    ("partly", mark("Permitted in part, nothing found there: %(names)s.")),
    ("failed", mark("Could not be read: %(names)s.")),
    ("absent", mark("Not known, says the chart: %(names)s.")),
    ("unasked", mark("Not asked: %(names)s.")),
    ("none", mark("None recorded: %(names)s.")),
)


def know_words(view: View) -> Known:
    """Return how complete the patient's own words are."""
    names = {"Observation": mark("stated preferences")}
    return _write(view, WORDS, {"Observation": _is_stated}, names)


def know_coming(view: View) -> Known:
    """Return how complete what messages are planned from is."""
    planned = _types(data_queries(view.library, view.patient))
    kinds = sorted(planned - ELSEWHERE)
    return _write(view, kinds, {"Observation": lambda item: not _is_stated(item)}, {})


def know_history(view: View) -> Known:
    """Return how complete the messages that others sent are."""
    names = {"Communication": mark("messages that others sent")}
    return _write(view, HISTORY, {}, names)


def know_preferences(view: View) -> Known:
    """Return how complete the answers and people in the chart are."""
    return _write(view, PREFERENCES, {}, {})


def asked_types(view: View) -> frozenset[str]:
    """Return the FHIR types that were asked for."""
    planned = _types(data_queries(view.library, view.patient))
    return planned | _types(personal_queries(view.patient))


def _types(queries: Iterable[str]) -> frozenset[str]:
    return frozenset(map(type_of, queries))


def state_of(view: View, kind: str, found: Iterable[Resource]) -> str:
    """Return the state of a type: a key of ``LINES``, or ``shown``."""
    if kind in view.withheld or kind in view.chart.refused:
        return "withheld"
    if kind in view.chart.incomplete:
        return "failed"
    items = list(found)
    if any(not item.get("dataAbsentReason") for item in items):
        return "shown"
    if items:
        return "absent"
    if is_narrowed(view, kind):
        return "partly"
    return "none" if kind in asked_types(view) else "unasked"


def is_narrowed(view: View, kind: str) -> bool:
    """Tell whether the launch's scopes give a part of a type only."""
    return view.permitted is not None and view.permitted.narrows(kind)


def name_kinds(view: View, kinds: Iterable[str]) -> str:
    """Return FHIR types as the page calls them, each once."""
    plain = dict.fromkeys(kinds)
    names = [view.say(PLAIN[kind]) if kind in PLAIN else kind for kind in plain]
    return view.viewer.join(names)


def _write(
    view: View,
    kinds: Sequence[str],
    counted: dict[str, Callable[[Resource], bool]],
    names: dict[str, str],
) -> Known:
    shown: list[str] = []
    by_state: dict[str, list[str]] = {}
    for kind in kinds:
        fits = counted.get(kind, bool)
        found = [item for item in view.chart.of(kind) if fits(item)]
        name = _name(view, kind, names)
        state = state_of(view, kind, found)
        if state == "shown":
            shown.append(_qualify(view, kind, f"{name} {len(found)}"))
        else:
            by_state.setdefault(state, []).append(_qualify(view, kind, name))
    lines = [
        view.say(text, names=", ".join(by_state[state]))
        for state, text in LINES
        if state in by_state
    ]
    if shown:
        text = ", ".join(shown)
        lines.insert(0, view.say("Shown from the chart: %(names)s.", names=text))
    counts = {state: len(of_state) for state, of_state in by_state.items()}
    hidden, left_out = _write_hidden(view, kinds, counted, names)
    return Known(
        _summary(view, {**counts, "shown": len(shown)}, left_out),
        (*lines, *hidden, *_write_read(view, kinds)),
        bool({"withheld", "partly", "failed"} & by_state.keys()),
    )


def _write_hidden(
    view: View,
    kinds: Sequence[str],
    counted: dict[str, Callable[[Resource], bool]],
    names: dict[str, str],
) -> tuple[list[str], int]:
    """Say what the EHR gave and the page leaves out, and count it."""
    found: dict[str, dict[str, int]] = {"error": {}, "strangers": {}}
    for kind in kinds:
        in_error = filter(counted.get(kind, bool), view.chart.in_error(kind))
        # Of another patient's its type alone is known: not of which section it is.
        strangers = [one for one in view.chart.strangers if type_of(one) == kind]
        found["error"][kind] = len(list(in_error))
        found["strangers"][kind] = 0 if kind in counted else len(strangers)
    lines = []
    for why, text in HIDDEN:
        told = [
            f"{_name(view, kind, names)} {number}"
            for kind, number in found[why].items()
            if number
        ]
        if told:
            lines.append(view.say(text, names=", ".join(told)))
    return lines, sum(sum(numbers.values()) for numbers in found.values())


def _write_read(view: View, kinds: Sequence[str]) -> tuple[str, ...]:
    """Say when a section's part of the chart was read, and in how many pages."""
    own = personal_queries(view.patient)
    pages = sum(
        number
        for query, number in view.chart.pages.items()
        if type_of(query) in kinds
        and (type_of(query) != "Observation" or (query in own) == (kinds == WORDS))
    )
    if not pages:
        return ()
    zone = view.endpoint.site.zone
    at = view.chart.read_at.astimezone(ZoneInfo(zone))
    return (
        view.say_many(
            "Read at %(time)s %(zone)s, %(number)s page.",
            "Read at %(time)s %(zone)s, %(number)s pages.",
            pages,
            time=write_time(view.viewer, at),
            zone=zone_name(view.viewer, zone, view.now),
        ),
    )


def _name(view: View, kind: str, names: dict[str, str]) -> str:
    said = names.get(kind) or PLAIN.get(kind)
    return view.say(said) if said else kind


def _qualify(view: View, kind: str, text: str) -> str:
    """Add the scope that a type wants, where the launch was not given all of it."""
    if view.permitted is None:
        return text
    if kind in view.withheld:
        words = mark("%(text)s (scope %(scope)s missing)")
    elif is_narrowed(view, kind):
        words = mark("%(text)s (in part: scope %(scope)s missing)")
    else:
        return text
    return view.say(words, text=text, scope=view.permitted.missing(kind))


def _summary(view: View, counts: dict[str, int], left_out: int) -> str:
    asked = sum(counts.values()) - counts.get("unasked", 0)
    parts = [
        view.say("asked %(number)s", number=asked),
        view.say("shown %(number)s", number=counts["shown"]),
    ]
    parts += [
        view.say(text, number=counts[state])
        for state, text in COUNTS
        if counts.get(state)
    ]
    if left_out:
        parts.append(view.say("left out %(number)s", number=left_out))
    return view.say("Chart: %(counts)s", counts=", ".join(parts))


def _is_stated(observation: Resource) -> bool:
    return bool({code for _, code in codings_of(observation.get("code"))} & STATED)
