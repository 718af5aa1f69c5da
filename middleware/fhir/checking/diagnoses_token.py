"""Diagnoses of the token and of its scopes."""

from __future__ import annotations

from middleware.fhir.checking.texts import (
    BACKEND,
    KEYS,
    ON,
    SCOPES,
    TLS,
    WAITS,
    failed,
    warned,
)

LOGS = "Please look into your authorization server's log at the time above: "
TOKEN = {
    "setting-wrong": failed(
        "A setting of this endpoint is not usable.",
        WAITS,
        "Correct the endpoint's file and run `carecue endpoint add` again.",
    ),
    "client-id-missing": failed(
        "The endpoint names a token URL and no client id.",
        WAITS,
        "Put the id that the EHR gave to our backend client into [backend] client_id.",
    ),
    "token-url-open": failed(
        "The token URL is not https: our proof of identity would be readable.",
        "The check sent nothing there.",
        "Ask for the https token URL and correct token_url in [backend].",
        "Please give us an https token URL.",
        TLS,
    ),
    "token-no-answer": failed(
        "The token URL's host does not answer: it is another machine than the FHIR "
        "server, with its own name, firewall and certificate.",
        WAITS,
        "Check token_url, and that this machine may connect there.",
        "Please confirm the token URL and that our address may connect to it.",
        BACKEND,
    ),
    "token-redirected": failed(
        "The token URL leads elsewhere: it was moved, or it is the login page. A proof "
        "of identity is not sent on.",
        WAITS,
        "Compare token_url with token_endpoint in the SMART configuration.",
        "Please tell us the token URL that answers without a redirect.",
        BACKEND,
    ),
    "token-html": failed(
        "A web page answers at the token URL: it is the authorize URL, a portal, or a "
        "firewall that blocks machines.",
        WAITS,
        "Compare token_url with token_endpoint in the SMART configuration.",
        "Please confirm the token URL, and that no login page or web firewall stands "
        "before it.",
        BACKEND,
    ),
    "token-not-found": failed(
        "There is nothing at the token URL.",
        WAITS,
        "Compare token_url with token_endpoint in the SMART configuration.",
        "Please confirm the token URL.",
        BACKEND,
    ),
    "token-server-error": failed(
        "The authorization server fails by itself or limits us; some fail so when they "
        "cannot fetch our keys.",
        WAITS,
        "Try again in some minutes; then send the text below.",
        f"{LOGS}why does a token request of our client fail?",
        BACKEND,
    ),
    "token-not-json": failed(
        "The token URL answers 200 with something that is not JSON.",
        WAITS,
        "Compare token_url with token_endpoint in the SMART configuration.",
        "Please confirm the token URL: its answer is not JSON.",
        BACKEND,
    ),
    "token-missing": failed(
        "The answer is JSON without an access token: another service, or a wrapper "
        "around the authorization server.",
        WAITS,
        "Compare token_url with token_endpoint in the SMART configuration.",
        "Please answer with access_token, token_type, expires_in and scope.",
        BACKEND,
    ),
    "token-type": failed(
        "The token is not a bearer token, so it cannot be used as one.",
        WAITS,
        "Ask for bearer tokens for our client.",
        'Please issue tokens with token_type "bearer" to our client.',
        BACKEND,
    ),
    "token-life-missing": warned(
        "The server does not say how long a token lives.",
        "Five minutes are taken, and a refused token is replaced.",
        "Nothing, if reads hold.",
        "Please add expires_in to the token response.",
        BACKEND,
    ),
    "token-life-short": warned(
        "Tokens live less than a minute, so nearly every request needs a new one.",
        ON,
        "Ask for five minutes.",
        "Please issue tokens that live for 300 seconds.",
        BACKEND,
    ),
    "client-unknown": failed(
        "The authorization server does not know this client id: it is misspelt, of "
        "another environment, or not activated yet.",
        WAITS,
        "Compare client_id with the registration; production and test have different "
        "ids at many EHRs.",
        "Please confirm our client id for this environment and that it is active.",
        BACKEND,
    ),
    "client-refused": failed(
        "The authorization server does not accept our proof and does not say why: the "
        "client id, our keys or the app's activation at this site.",
        WAITS,
        "Check client_id and that our key set is registered; then send the text below.",
        f"{LOGS}which check fails for our client (id, key id, audience, time)?",
        BACKEND,
    ),
    "key-unknown": failed(
        "The server has no key for our signature: it keeps an older copy of our key "
        "set, or the key set of another environment is registered.",
        WAITS,
        "Have {jwks} registered as JWKS URL, not a copy of its content.",
        "Please register {jwks} as JWKS URL of our client and read it anew.",
        KEYS,
    ),
    "jwks-unreachable": failed(
        "The EHR cannot fetch our public keys from where we say that they are.",
        WAITS,
        "Let `carecue serve` run behind a reverse proxy with https, and set "
        "CARECUE_PUBLIC_URL to it; or register the content of {jwks} where the EHR "
        "takes a key set.",
    ),
    "token-audience": failed(
        "The server expects another audience than the token URL that is set: behind a "
        "proxy it knows itself by another name.",
        WAITS,
        "Set token_url to exactly the token_endpoint of the SMART configuration.",
        "Please accept the published token_endpoint as audience of a client assertion; "
        "we sent {url}.",
        BACKEND,
    ),
    "token-clock": failed(
        "The server finds our proof expired or not yet valid: the clocks differ.",
        WAITS,
        "Compare this machine's clock with NTP; if it is right, send the text below.",
        "Please check the clock of your authorization server (NTP).",
        BACKEND,
    ),
    "scope-refused": failed(
        "At least one of the scopes that we ask for is not registered for our client, "
        "or the server knows only the older spelling (system/Type.read).",
        WAITS,
        "Compare scope in [backend] with the registration; where the server has only "
        "SMART v1, write system/Encounter.read and so on.",
        "Please register the scopes that we ask for, or tell us which are refused.",
        SCOPES,
    ),
    "grant-refused": failed(
        "Our client is registered, but not as a backend service.",
        WAITS,
        "Have the client registered for Backend Services (client_credentials).",
        "Please allow the grant client_credentials for our client.",
        BACKEND,
    ),
}

GRANTED = {
    "scope-context": failed(
        "The token was given for a user or patient, not for a system.",
        "Every message is held, because charts cannot be read.",
        "Have our client registered with system scopes.",
        "Please grant: {scopes}",
        SCOPES,
    ),
    "scope-missing-safety": failed(
        "A type that safety rests on may not be read.",
        "Every message is held; nothing is sent on half a chart.",
        "Ask for: {scopes}",
        "Please grant: {scopes}",
        SCOPES,
    ),
    "scope-less": warned(
        "Fewer scopes were granted than are of use.",
        "What is named goes without; everything else works.",
        "Ask for: {scopes} (or list types that the EHR does not have as unsupported).",
        "Please grant: {scopes}",
        SCOPES,
    ),
    "scope-limited": warned(
        "The server granted a type only in part (granular scopes).",
        "A plan that needs the rest does not apply or is held.",
        "Compare with what the plans need.",
        "Please grant these types whole.",
        SCOPES,
    ),
    "scope-unsaid": warned(
        "The server does not say what it granted; the scopes that we asked for are "
        "taken as granted.",
        ON,
        "Nothing, if reads hold.",
        "Please add scope to the token response, as SMART asks for.",
        SCOPES,
    ),
}
