"""The servers and the wire forms in which each of them sends."""

from __future__ import annotations

HAPI = "HAPI FHIR 8.8"
MEDPLUM = "Medplum"
ATHENA = "athenahealth"
AIDBOX = "Aidbox"
CANDLE = "fhir-candle"
FIRELY = "Firely Server"
MICROSOFT = "Microsoft FHIR Server, subscription engine"
AZURE = "Azure Event Grid"
GOOGLE = "Google Pub/Sub"
ISIK = "ISiK (gematik)"
WORKS = "FHIR Works on AWS"
INFERNO = "Inferno client suite"
US_CORE = "US Core patient-data-feed"
DA_VINCI = "Da Vinci Alerts"
SANDBOX = "the sandbox"
OURS = "the tests' own server"

PEERS = (
    (HAPI, "R4 criteria: PUT of the resource"),
    (HAPI, "R4 criteria: DELETE of the resource"),
    (HAPI, "R4 criteria: POST without a body"),
    (HAPI, "R4 criteria: POST of a transaction Bundle"),
    (HAPI, "R4 topic: history Bundle with Parameters"),
    (HAPI, "R4 topic: numbers that begin anew at a restart"),
    (HAPI, "R4B topic: history Bundle with SubscriptionStatus"),
    (HAPI, "WebSocket: bind by id, then pings"),
    (MEDPLUM, "POST of the resource"),
    (MEDPLUM, "deletion told by a header"),
    (MEDPLUM, "WebSocket: bind as JSON"),
    (MEDPLUM, "WebSocket: several statuses in one Bundle"),
    (ATHENA, "R4B history Bundle, numbers within the Bundle, ids of events"),
    (ATHENA, "focus by identifier alone"),
    (AIDBOX, "R5 notification, numbers as JSON numbers"),
    (CANDLE, "R4 history Bundle, subscription as a string, no requests"),
    (FIRELY, "R4 criteria: PUT of the resource"),
    (FIRELY, "R4 criteria: POST of the resource"),
    (MICROSOFT, "R4 history Bundle as text, bare id, focus as URI, no number"),
    (AZURE, "CloudEvents"),
    (GOOGLE, "push envelope"),
    (ISIK, "R4 history Bundle, dates for instants"),
    (WORKS, "PUT without a body"),
    (WORKS, "POST without a body"),
    (INFERNO, "R4: handshake, then an event"),
    (US_CORE, "R4 history Bundle with triggers"),
    (DA_VINCI, "message of an admission, discharge or transfer"),
    (SANDBOX, "R4 criteria: PUT of the resource"),
    (SANDBOX, "R4 backport: empty, id-only, full-resource"),
    (SANDBOX, "R5: empty, id-only, full-resource"),
    (OURS, "R4 backport: empty, id-only, full-resource"),
    (OURS, "R4B: empty, id-only, full-resource"),
    (OURS, "R5: empty, id-only, full-resource"),
)
