"""Diagnoses of reading and searching."""

from __future__ import annotations

from middleware.fhir.checking.finding import APP_ALONE
from middleware.fhir.checking.texts import (
    ON,
    POLLS,
    REST,
    SEARCH,
    WAITS,
    failed,
    warned,
)

READING = {
    APP_ALONE: warned(
        "No [backend] is written, and the server gives nothing to whoever has no token: "
        "this file is for launches of the SMART app alone.",
        "The app opens, and reads a chart with the token of whoever opens it. No events "
        "are read here, so no messages are planned or sent.",
        "Nothing, if only the app is wanted. For messages register our backend client "
        "and fill client_id and token_url in [backend].",
    ),
    "token-needed": failed(
        "The server wants a token and none is set for this endpoint.",
        WAITS,
        "Register our backend client and fill client_id and token_url in [backend].",
    ),
    "token-not-accepted": failed(
        "The authorization server gave a token and the FHIR server refuses it: they "
        "belong to different environments or tenants, or the clocks differ.",
        WAITS,
        "Make sure that fhir_base and token_url belong together.",
        "Please check why your FHIR server refuses the token that your authorization "
        "server issued to our client.",
        REST,
    ),
    "read-forbidden": failed(
        "The token is good and the server does not let our client see the data: the "
        "app is not enabled for this site, or its background user has no rights.",
        WAITS,
        "Send the text below; scopes alone do not give rights in most EHRs.",
        "Please give our client (or its background user) the right to read Encounter, "
        "Appointment and CarePlan.",
        REST,
    ),
    "read-not-found": failed(
        "The server does not have this resource type.",
        POLLS,
        "If that is so, list the type as unsupported in [profile].",
        "Please tell us whether the type is offered at this base.",
        REST,
    ),
    "patient-needed": failed(
        "The server searches only for one patient at a time, so polling across "
        "patients cannot work.",
        WAITS,
        "Ask for a system-level search for our client, or for Subscriptions.",
        "Please allow our client to search by _lastUpdated without a patient.",
        SEARCH,
    ),
    "outcome-instead": failed(
        "The server answers a search with an error under status 200.",
        WAITS,
        "Send the text below.",
        "Please look into your logs at the time above: a plain search gives an "
        "OperationOutcome.",
        SEARCH,
    ),
    "read-error": failed(
        "The server fails at a plain search.",
        WAITS,
        "Try again in some minutes; then send the text below.",
        "Please look into your logs at the time above.",
        REST,
    ),
    "read-in-part": failed(
        "The server does not offer one of the types, or does not allow it.",
        "What concerns these types is not noticed; everything else goes on.",
        "If the EHR does not have them, set unsupported = [{types}] in [profile]; else "
        "send the text below.",
        "Please allow our client to search and read these types, or tell us that you "
        "do not offer them.",
        REST,
    ),
    "read-not-json": failed(
        "A search is answered with something that is not FHIR JSON: a proxy or a web "
        "firewall answers in the server's place.",
        WAITS,
        "Send the text below.",
        "Please check what stands between us and your FHIR server.",
        REST,
    ),
    "nothing-there": warned(
        "The server is empty, or our client sees nobody (no patients assigned to its "
        "background user).",
        "Later steps cannot be tried on nothing.",
        "Have a test patient with a visit made and check again.",
        "Please tell us whether our client should see patients, and which test "
        "patients there are.",
        REST,
    ),
    "read-differs": failed(
        "What a search finds cannot be read by its id: reading and searching have "
        "different rights, or a proxy rewrites ids.",
        WAITS,
        "Send the text below.",
        "Please allow our client to read by id what it can search.",
        REST,
    ),
}

SEARCHING = {
    "last-updated-ignored": failed(
        "The server overlooks _lastUpdated and answers with everything.",
        "Polling reads everything each time; nothing is sent twice, but the load is "
        "theirs and pages may be cut.",
        "Rely on notifications and ask for the parameter.",
        "Please support _lastUpdated with the prefix ge, or refuse it with an error.",
        SEARCH,
    ),
    "last-updated-refused": failed(
        "The server does not know _lastUpdated, so polling does not work.",
        "Only notifications tell of changes; one that is lost is not found again.",
        "Ask for the parameter before going to production.",
        "Please support _lastUpdated with the prefix ge.",
        SEARCH,
    ),
    "last-updated-missing": failed(
        "Resources carry no meta.lastUpdated, so what is new cannot be told.",
        "Changes are told apart by versionId only.",
        "Ask for it.",
        "Please fill meta.lastUpdated.",
        SEARCH,
    ),
    "sort-refused": failed(
        "The server does not sort by _lastUpdated, with which polling finds its start.",
        "Polling of this endpoint does not begin.",
        "Ask for the parameter.",
        "Please support _sort=_lastUpdated and _sort=-_lastUpdated.",
        SEARCH,
    ),
    "sort-ignored": failed(
        "The server overlooks _sort, so polling may begin too early and read old "
        "visits as new.",
        "Message windows keep what is long past from being sent.",
        "Do not go to production before it is mended.",
        "Please support _sort=-_lastUpdated, or refuse it with an error.",
        SEARCH,
    ),
    "count-ignored": warned(
        "The server overlooks _count and chooses its own page size.",
        ON,
        "Nothing.",
    ),
    "next-elsewhere": failed(
        "The link to the next page leaves the FHIR base: a server behind a proxy that "
        "does not know its outer name or that it is https.",
        "The link is not followed, because the token must not go there; polls stop at "
        "the first page and say so.",
        "Send the text below: it is a setting of their proxy or server.",
        "Please let Bundle links begin with {base}; they lead to {host}.",
        "FHIR R4, RESTful API, paging",
    ),
    "next-broken": failed(
        "The link to the next page does not give the next page.",
        "Polls stop at the first page and say so; nothing is taken for complete.",
        "Send the text below.",
        "Please check paging: the next link fails or repeats a page.",
        "FHIR R4, RESTful API, paging",
    ),
    "patient-ignored": failed(
        "The server overlooks the parameter patient and answers with other patients' "
        "resources.",
        "What belongs to somebody else is left out here, but completeness cannot be "
        "relied on.",
        "Do not go to production before it is mended.",
        "Please support the parameter patient, or refuse it with an error.",
        SEARCH,
    ),
    "patient-elsewhere": failed(
        "References to patients have another base than fhir_base and those of aliases.",
        "Whom they mean is not known: no event is taken from them, they are left out of "
        "charts, and what rests on their type is held.",
        'If that base is this server too, write aliases = ["{there}"] into [profile].',
        "Please write references relative, or under the FHIR base that we were given; "
        "yours begin with {there}.",
        "FHIR R4, references, literal references",
    ),
    "patient-refused": failed(
        "The parameter patient does not find what is there, so no chart can be read.",
        "Every message is held.",
        "Send the text below.",
        "Please support the parameter patient with Patient/[id].",
        SEARCH,
    ),
    "chart-in-part": failed(
        "A type of which charts are made cannot be searched by its patient.",
        "What rests on these types is held; without Condition, Consent or Encounter that "
        "is every message.",
        "If the EHR does not have them, set unsupported = [{types}] in [profile]; else "
        "send the text below.",
        "Please allow our client to search these types with patient=Patient/[id], or tell "
        "us that you do not offer them.",
        SEARCH,
    ),
    "history-missing": warned(
        "The server keeps or shows no versions.",
        "The present version is used; a change that was undone between two polls is "
        "not seen.",
        "Nothing, unless the EHR can switch it on.",
    ),
    "version-missing": warned(
        "Resources carry no meta.versionId.",
        "lastUpdated stands in for it.",
        "Nothing.",
    ),
    "batch-missing": warned(
        "The server takes no batches.",
        "Charts are read one by one, which is slower and costs the server more.",
        "Nothing, unless the EHR limits requests.",
    ),
    "conditional-missing": warned(
        "The server does not create conditionally, so a repeated write would make a "
        "second copy.",
        "Until search_first is set, a write whose answer is lost may stand twice in "
        "the chart.",
        "Set search_first = true in [profile].",
    ),
    "writes-missing": warned(
        "The server takes none of Communication, CommunicationRequest and Task.",
        "Our own record stays the record; staff use `carecue task list`.",
        "Nothing, unless the EHR can switch them on.",
    ),
}
