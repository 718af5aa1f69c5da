"""The states that a chart may be in, made in the sandbox and in our own store."""

from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta

from mappings.preference import ConsentRecord, Who
from middleware.storage import preferences

ARABIC = "ليلى حداد"
HOSTILE = '<b hx-get="/x" onclick="x()">Bo</b><svg onload=x()>javascript:x()'


def patient(**changes) -> Callable:
    """Change Rosa's Patient in the EHR."""

    def change(site) -> None:
        store = site.sandbox.app.extensions["store"]
        rosa = deepcopy(store.get("Patient", "rosa"))
        rosa.update(changes)
        store.update("Patient", "rosa", rosa)

    return change


def goal(text: str, language: str, translation: str = "") -> Callable:
    """Let Rosa say what matters to her."""

    def change(site) -> None:
        spoken = {"text": text}
        if translation:
            parts = [
                {"url": "lang", "valueCode": "en"},
                {"url": "content", "valueString": translation},
            ]
            url = "http://hl7.org/fhir/StructureDefinition/translation"
            spoken["_text"] = {"extension": [{"url": url, "extension": parts}]}
        site.sandbox.app.extensions["store"].create(
            "Goal",
            {
                "resourceType": "Goal",
                "lifecycleStatus": "active",
                "subject": {"reference": "Patient/rosa"},
                "expressedBy": {"reference": "Patient/rosa"},
                "startDate": site.runtime.clock.now().date().isoformat(),
                "language": language,
                "description": spoken,
            },
        )

    return change


def record(site, name, value, who=Who.PATIENT, how="by text", by="Dr. Osei", ago=0):
    """Record a preference of Rosa's in our own store, so many hours ago."""
    with site.runtime.database.tx() as tx:
        preferences.insert_preference(
            tx,
            id=f"said-{name}-{value}",
            endpoint_id=site.endpoint.id,
            patient="Patient/rosa",
            name=name,
            value=value,
            who=who,
            how=how,
            recorded_by=by,
            recorded_at=site.runtime.clock.now() - timedelta(hours=ago),
        )


def prefers(name: str, value, who: Who = Who.PATIENT) -> Callable:
    """Return a change of the chart: a preference of Rosa's, recorded before."""
    return lambda site: record(site, name, value, who, ago=2)


def answers(permit: bool) -> Callable:
    """Record Rosa's answer to texts and emails, newer than any in the chart."""

    def change(site) -> None:
        now = site.runtime.clock.now() - timedelta(minutes=5)
        for system, value in (
            ("sms", "+14155550142"),
            ("email", "rosa.delgado@example.org"),
        ):
            with site.runtime.database.tx() as tx:
                preferences.insert_consent(
                    tx,
                    ConsentRecord(
                        id=f"told-{system}",
                        endpoint_id=site.endpoint.id,
                        patient="Patient/rosa",
                        system=system,
                        value=value,
                        topic="*",
                        permit=permit,
                        who=Who.PATIENT,
                        how="by text",
                        recorded_at=now,
                    ),
                )

    return change


def forget_consents(site) -> None:
    """Leave no answer of Rosa's in the chart."""
    store = site.sandbox.app.extensions["store"]
    for consent in store.candidates("Consent", "Patient/rosa"):
        store.delete("Consent", consent["id"])


WORDS = goal(
    "Quiero seguirles el paso a mis nietos. No puedo perder otro sábado en una sala "
    "de espera.",
    "es",
    "I want to keep up with my grandkids. I can’t lose another Saturday to a waiting "
    "room.",
)
# name, changes, the verdict's chip and a part of its sentence
STATES = (
    ("on", (WORDS,), "Messages on", "Text Rosa in Spanish"),
    (
        "paused",
        (WORDS, prefers("pause", {"until": None, "why": "In hospital"}, Who.STAFF)),
        "Paused",
        "Messages to Rosa are paused",
    ),
    ("stopped", (answers(False),), "Stopped by patient", "Do not message Rosa."),
    (
        "no-consent",
        (forget_consents,),
        "No permission recorded",
        "Ask Rosa first.",
    ),
    (
        "no-channel",
        (patient(telecom=[]),),
        "No number or address",
        "CareCue cannot reach Rosa.",
    ),
    ("deceased", (patient(deceasedBoolean=True),), "Deceased", "Rosa has died."),
    (
        "minor",
        (patient(birthDate="2014-02-03"),),
        "Under 18",
        "A person decides whom to reach for Rosa.",
    ),
    (
        "confidential",
        (
            prefers(
                "confidential",
                {"system": "sms", "value": "+14155550142", "note": "Not at home."},
            ),
        ),
        "Confidential contact",
        "at (415) 555-0142 only.",
    ),
    (
        "conflict",
        (WORDS, prefers("language", "en")),
        "Messages on",
        "Text Rosa in English",
    ),
    (
        "hostile",
        (patient(name=[{"given": [HOSTILE], "family": HOSTILE}]), goal(HOSTILE, "en")),
        "Messages on",
        "Text ",
    ),
    (
        "arabic",
        (
            patient(name=[{"text": ARABIC, "given": [ARABIC]}]),
            goal("أريد أن أمشي", "ar"),
        ),
        "Messages on",
        ARABIC,
    ),
)


def change(site, changes) -> None:
    """Make the changes, one after another."""
    for make in changes:
        make(site)
