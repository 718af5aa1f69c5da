"""The Patient compartment: which resources belong to which patient.

It may not know tokens or the store: one resource and one id in, a truth out.
Source: https://hl7.org/fhir/R4/compartmentdefinition-patient.html, and Task.for,
which R4 leaves out and every server with patient-facing tasks adds.
"""

from collections.abc import Iterator
from typing import Any

PATHS: dict[str, tuple[str, ...]] = {
    "Account": ("subject",),
    "AllergyIntolerance": ("patient", "recorder", "asserter"),
    "Appointment": ("participant.actor",),
    "AppointmentResponse": ("actor",),
    "AuditEvent": ("agent.who", "entity.what"),
    "Basic": ("subject", "author"),
    "CarePlan": ("subject", "activity.detail.performer"),
    "CareTeam": ("subject", "participant.member"),
    "Claim": ("patient", "payee.party"),
    "Communication": ("subject", "sender", "recipient"),
    "CommunicationRequest": ("subject", "sender", "recipient", "requester"),
    "Composition": ("subject", "author", "attester.party"),
    "Condition": ("subject", "asserter"),
    "Consent": ("patient",),
    "Coverage": ("policyHolder", "subscriber", "beneficiary", "payor"),
    "DeviceRequest": ("subject", "performer"),
    "DiagnosticReport": ("subject",),
    "DocumentReference": ("subject", "author"),
    "Encounter": ("subject",),
    "EpisodeOfCare": ("patient",),
    "ExplanationOfBenefit": ("patient", "payee.party"),
    "FamilyMemberHistory": ("patient",),
    "Flag": ("subject",),
    "Goal": ("subject",),
    "Group": ("member.entity",),
    "ImagingStudy": ("subject",),
    "Immunization": ("patient",),
    "ImmunizationRecommendation": ("patient",),
    "Invoice": ("subject", "recipient"),
    "List": ("subject", "source"),
    "Media": ("subject",),
    "MedicationAdministration": ("subject", "performer.actor"),
    "MedicationDispense": ("subject", "receiver"),
    "MedicationRequest": ("subject",),
    "MedicationStatement": ("subject",),
    "NutritionOrder": ("patient",),
    "Observation": ("subject", "performer"),
    "Person": ("link.target",),
    "Procedure": ("subject", "performer.actor"),
    "Provenance": ("target",),
    "QuestionnaireResponse": ("subject", "author"),
    "RelatedPerson": ("patient",),
    "RequestGroup": ("subject",),
    "RiskAssessment": ("subject",),
    "Schedule": ("actor",),
    "ServiceRequest": ("subject", "performer"),
    "Specimen": ("subject",),
    "Task": ("for",),
    "VisionPrescription": ("patient",),
}
# Belonging to no patient, these say who treats, where, and with what content;
# patient-facing servers let them be read so that references can be shown.
SHARED = frozenset(
    {
        "ActivityDefinition",
        "CodeSystem",
        "Endpoint",
        "HealthcareService",
        "Location",
        "Medication",
        "Organization",
        "PlanDefinition",
        "Practitioner",
        "PractitionerRole",
        "Questionnaire",
        "Substance",
        "ValueSet",
    }
)


def in_compartment(resource: dict[str, Any], patient: str) -> bool:
    """Tell whether a resource belongs to Patient/`patient`.

    A type that the compartment does not list belongs to nobody.
    """
    type_ = resource.get("resourceType", "")
    if type_ == "Patient":
        return bool(resource.get("id") == patient)
    wanted = f"Patient/{patient}"
    return any(
        reference.partition("/_history/")[0] == wanted
        for path in PATHS.get(type_, ())
        for reference in _references(resource, path.split("."))
    )


def _references(node: Any, path: list[str]) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _references(item, path)
    elif isinstance(node, dict):
        if path:
            yield from _references(node.get(path[0]), path[1:])
        elif isinstance(node.get("reference"), str):
            yield node["reference"]
