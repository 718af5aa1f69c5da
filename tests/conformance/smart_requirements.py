"""What SMART App Launch 2.2 asks of a client, in short; numbers are Inferno's.

A row may stand for several numbers that say one thing. ``instead`` says what is done
where something does not arise.
"""

from __future__ import annotations

from tests.conformance.requirements import Requirement

SMART = "hl7.fhir.uv.smart-app-launch_2.2.0"
REQUIREMENTS = (
    Requirement(
        f"{SMART}@1-318",
        "SHALL",
        "Send what is secret over TLS only, and to servers that prove who they are.",
    ),
    Requirement(
        f"{SMART}@2-4",
        "SHALL",
        "Make each state unpredictable, and check it on every callback.",
    ),
    Requirement(
        f"{SMART}@5-7",
        "SHALL NOT",
        "Run input as code, send callback values on, or keep tokens in clear cookies.",
    ),
    Requirement(
        f"{SMART}@8-90",
        "SHOULD",
        "Keep tokens where only the app finds them.",
    ),
    Requirement(
        f"{SMART}@11-65",
        "SHOULD",
        "Be a confidential client, by a key where that is taken.",
    ),
    Requirement(
        f"{SMART}@13",
        "SHALL",
        "Support PKCE.",
    ),
    Requirement(
        f"{SMART}@20-21",
        "SHALL",
        "Register fixed launch and redirect URIs.",
        "registration",
    ),
    Requirement(f"{SMART}@29", "SHALL", "Read the configuration at the FHIR base."),
    Requirement(
        f"{SMART}@227",
        "SHALL",
        "Read it as a backend too, with an Accept of JSON.",
    ),
    Requirement(
        f"{SMART}@32-45",
        "SHALL",
        "Ask with code, client, registered redirect, scope, state, aud and PKCE S256.",
        "authorization_request_verification",
    ),
    Requirement(
        f"{SMART}@35-36",
        "SHALL",
        "Echo the EHR's launch unchanged with the scope launch; send none by itself.",
        "authorization_request_verification",
    ),
    Requirement(f"{SMART}@41", "SHALL", "Send as aud the FHIR base that came as iss."),
    Requirement(
        f"{SMART}@46-148",
        "SHOULD",
        "Ask for the least that is needed, and for nothing by a star.",
    ),
    Requirement(
        f"{SMART}@50-52",
        "SHALL",
        "Send the authorization request by GET or POST.",
    ),
    Requirement(
        f"{SMART}@133",
        "SHOULD",
        "Prefer POST for a long one.",
    ),
    Requirement(f"{SMART}@60-61", "SHALL", "Bind the state to the user's own session."),
    Requirement(
        f"{SMART}@62-72",
        "SHALL",
        "Exchange by POST with the same redirect and the verifier; name the client in "
        "the form only where it is public.",
        "token_request_alp, _alcs, _alca",
    ),
    Requirement(f"{SMART}@93", "SHALL", "Send the token as Bearer to the FHIR server."),
    Requirement(
        f"{SMART}@93-264", "SHALL", "Use the token that came.", "token_use_verification"
    ),
    Requirement(f"{SMART}@97", "SHOULD NOT", "Follow references to other servers."),
    Requirement(f"{SMART}@98", "SHOULD NOT", "Send them the token."),
    Requirement(
        f"{SMART}@105-117",
        "SHALL",
        "Renew with the refresh token that came last, and with no more scopes.",
        "token_request (refresh)",
    ),
    Requirement(
        f"{SMART}@120-146", "SHALL", "Write scopes by the grammar of version 2."
    ),
    Requirement(
        f"{SMART}@132",
        "SHALL",
        "Ask for a part of a type by search parameters behind it.",
    ),
    Requirement(
        f"{SMART}@147",
        "SHOULD",
        "Look at what was granted and do without the rest.",
    ),
    Requirement(
        f"{SMART}@150-166",
        "SHALL",
        "Ask for context by launch scopes; by itself, for the patient.",
    ),
    Requirement(
        f"{SMART}@191",
        "SHALL",
        "Take a fhirContext item without a role for one that was launched with.",
    ),
    Requirement(
        f"{SMART}@193",
        "SHOULD",
        "Show the usual page for an intent that is unknown or missing.",
    ),
    Requirement(
        f"{SMART}@196-218", "SHALL", "Ask for openid fhirUser and check the id_token."
    ),
    Requirement(
        f"{SMART}@202",
        "SHALL",
        "Read the user at the URL that fhirUser is.",
    ),
    Requirement(
        f"{SMART}@211",
        "SHALL NOT",
        "Send max_age or ask for auth_time where that is not supported.",
    ),
    Requirement(
        f"{SMART}@215-216",
        "SHALL",
        "Ask for online_access where access ends with the EHR's session.",
    ),
    Requirement(
        f"{SMART}@233-239",
        "SHALL",
        "As a backend, ask with client_credentials, scope and an assertion.",
        "token_request_bsca",
    ),
    Requirement(f"{SMART}@263", "SHALL", "As a backend, ask anew when a token ends."),
    Requirement(
        f"{SMART}@267-268",
        "SHOULD NOT",
        "As a backend, follow references to other servers with the token.",
    ),
    Requirement(
        f"{SMART}@270",
        "MAY",
        "Ask what a token is worth (RFC 7662).",
        instead="Not asked: a token is used where it came from.",
    ),
    Requirement(f"{SMART}@290", "SHALL", "Publish public keys without private parts."),
    Requirement(
        f"{SMART}@290-315", "SHALL", "Publish a key set with kid.", "registration"
    ),
    Requirement(
        f"{SMART}@295",
        "SHALL",
        "Protect the private key.",
    ),
    Requirement(
        f"{SMART}@303",
        "SHOULD",
        "Say with Cache-Control how long the key set holds.",
    ),
    Requirement(f"{SMART}@308", "SHALL", "Be able to sign with RS384."),
    Requirement(f"{SMART}@309", "SHALL", "Be able to sign with ES384."),
    Requirement(f"{SMART}@319", "SHALL", "Name typ and kid in an assertion."),
    Requirement(
        f"{SMART}@319-332",
        "SHALL",
        "Give an assertion iss, sub, aud, a short exp and a jti of one use.",
        "token_request_alca, _bsca",
    ),
    Requirement(
        f"{SMART}@325",
        "SHALL",
        "Name as jku only the registered URL.",
        instead="None is named.",
    ),
    Requirement(
        f"{SMART}@331",
        "SHALL",
        "Let an assertion end within five minutes.",
    ),
    Requirement(
        f"{SMART}@345",
        "SHALL",
        "Send a secret as HTTP Basic, id and secret as they are.",
        "token_request_alcs",
    ),
    Requirement(
        f"{SMART}@379", "SHALL", "Resolve relative endpoints against the FHIR base."
    ),
)
