"""Diagnoses of what the server says of itself: capabilities, clock, SMART."""

from __future__ import annotations

from middleware.fhir.checking.texts import (
    BACKEND,
    CAPABILITIES,
    DISCOVERY,
    ON,
    TLS,
    WAITS,
    failed,
    warned,
)

SEND = "Send them the text below."
DOCUMENTS = {
    "no-answer": failed(
        "The server accepts connections and does not answer: it is starting, "
        "overloaded, or the machine behind its load balancer is down.",
        WAITS,
        "Try again in some minutes; then send the text below.",
        "Please check the FHIR service behind the base.",
        CAPABILITIES,
    ),
    "answer-too-large": failed(
        "The answer is larger than 8 MB unpacked: not a FHIR server's own "
        "CapabilityStatement, or one with everything in it.",
        WAITS,
        "Open /metadata with a browser and compare; a proxy may answer in its place.",
        "Please check what stands at /metadata: the answer unpacks to more than 8 MB.",
        CAPABILITIES,
    ),
    "answer-cut": failed(
        "The connection breaks in the middle of the answer: a proxy's limit, or a "
        "server that fails.",
        WAITS,
        "Try again; if it stays, send the text below.",
        "Please look into your logs at the time above for a request to /metadata that "
        "broke off.",
        CAPABILITIES,
    ),
    "redirected": failed(
        "The base is not the server's own address: a moved base, http to https, or a "
        "login page. Redirects are not followed, because a token must not be.",
        WAITS,
        "If {base} is the FHIR server, put it into fhir_base.",
        "Please confirm whether {base} is the FHIR base to use.",
        CAPABILITIES,
    ),
    "base-elsewhere": failed(
        "The base is one level off.",
        WAITS,
        'Set fhir_base = "{base}", run `carecue endpoint add` and check again.',
    ),
    "base-not-found": failed(
        "There is no FHIR server at this path.",
        WAITS,
        "Compare the path of fhir_base with what the EHR's team gave you.",
        "Please tell us the whole FHIR base, with version and tenant.",
        CAPABILITIES,
    ),
    "metadata-needs-token": warned(
        "The server shows its CapabilityStatement only with a token.",
        "The check goes on with a token.",
        "Nothing, if the later steps hold.",
        "Please open /metadata without a token, as FHIR asks for.",
        CAPABILITIES,
    ),
    "html": failed(
        "A web page answers: a login or portal in front of the FHIR server, or a base "
        "that is the user interface.",
        WAITS,
        "Ask for the API's base; a portal's address is another.",
        "Please tell us the FHIR base that answers without a login page.",
        CAPABILITIES,
    ),
    "xml-only": failed(
        "The server does not answer in JSON, only in XML.",
        WAITS,
        "Ask whether JSON can be switched on; CareCue reads JSON only.",
        "Please enable application/fhir+json.",
        CAPABILITIES,
    ),
    "not-json": failed(
        "What answers is not JSON: another service, or a proxy's page.",
        WAITS,
        "Open /metadata with a browser and compare with the base that you were given.",
        "Please confirm the FHIR base.",
        CAPABILITIES,
    ),
    "not-capabilities": failed(
        "A service answers in JSON, and it is not a FHIR server's base.",
        WAITS,
        "Compare fhir_base with what the EHR's team gave you.",
        "Please confirm the FHIR base.",
        CAPABILITIES,
    ),
    "version-old": failed(
        "The base is that of FHIR DSTU2 or STU3; most EHRs have one for R4 beside it.",
        WAITS,
        "Ask for the R4 base, and for our client to be enabled there.",
        "Please give us your FHIR R4 (4.0.1) base.",
        "FHIR R4 (4.0.1)",
    ),
    "version-new": failed(
        "The base is that of FHIR R5 or newer, whose charts CareCue does not read.",
        WAITS,
        "Ask for the R4 base; R5 notifications from it are understood.",
        "Please give us your FHIR R4 (4.0.1) base.",
        "FHIR R4 (4.0.1)",
    ),
    "server-error": failed(
        "The server fails by itself.",
        WAITS,
        "Try again in some minutes; then send the text below.",
        "Please look into your logs at the time above.",
        CAPABILITIES,
    ),
    "throttled": failed(
        "The server limits how often we may ask.",
        WAITS,
        "Wait a few minutes; ask for our limit.",
        "Please tell us the limit for our client and address.",
        CAPABILITIES,
    ),
    "clock-skew": failed(
        "One of the two clocks is wrong by more than a minute, so tokens are refused.",
        "While tokens are refused, nothing is read and nothing is sent; nothing is lost.",
        "Compare this machine's clock with NTP; if it is right, send the text below.",
        "Please check your server's clock (NTP).",
        "clocks that agree within seconds (RFC 7519: exp, iat)",
    ),
    "clock-drift": warned(
        "The clocks drift apart; from a minute on, tokens are refused.",
        ON,
        "Check NTP on this machine.",
        "Please check NTP on your server.",
        "clocks that agree within seconds (RFC 7519: exp, iat)",
    ),
    "smart-missing": failed(
        "The server publishes no SMART configuration: SMART is not enabled at this "
        "base, or it stands at another.",
        "The backend goes on with the token URL that is set; the SMART app cannot be "
        "launched.",
        "Ask for SMART to be enabled.",
        "Please publish .well-known/smart-configuration under the FHIR base.",
        DISCOVERY,
    ),
    "smart-old": warned(
        "Only the older oauth-uris in the CapabilityStatement name the endpoints.",
        "They are used, and keys are looked for where OpenID Connect puts them.",
        "Nothing, if the token step holds.",
        "Please publish .well-known/smart-configuration under the FHIR base.",
        DISCOVERY,
    ),
    "smart-unreadable": failed(
        "The SMART configuration is not one JSON object: a login page, a redirect or "
        "a fault.",
        "The backend goes on with the token URL that is set; the SMART app cannot be "
        "launched.",
        SEND,
        "Please serve .well-known/smart-configuration as JSON, without a login.",
        DISCOVERY,
    ),
    "token-endpoint-missing": failed(
        "The SMART configuration names no token endpoint.",
        "The backend goes on with the token URL that is set.",
        SEND,
        "Please add token_endpoint to the SMART configuration.",
        DISCOVERY,
    ),
    "token-endpoint-http": failed(
        "The token endpoint is not https: our proof of identity would be readable.",
        "The document is not used; no launch goes there.",
        SEND,
        "Please publish an https token_endpoint.",
        TLS,
    ),
    "token-host-unreviewed": failed(
        "The token endpoint lies on a host that nobody has reviewed: usual for a "
        "hosted login, and what a forged document would look like.",
        "Nothing is sent to that host.",
        "Ask the EHR's team whether {host} is theirs; if it is, add it to "
        "authorization_hosts in [profile].",
        "Please confirm that {host} is your authorization server.",
        DISCOVERY,
    ),
    "token-url-differs": failed(
        "The token URL that is set is not the one that the server publishes: it was "
        "moved, or belongs to another tenant or environment.",
        "The URL that is set is used, never one that nobody reviewed.",
        'If {url} is right, set token_url = "{url}".',
        "Please confirm that {url} is the token endpoint for our client.",
        DISCOVERY,
    ),
    "no-key-jwt": failed(
        "The server does not offer private_key_jwt, with which a backend service "
        "proves itself.",
        WAITS,
        "Ask whether Backend Services (asymmetric) can be enabled for our client.",
        "Please enable private_key_jwt (client-confidential-asymmetric) for our client.",
        BACKEND,
    ),
    "algorithm-unsupported": failed(
        "The server does not take signatures of the algorithm that is set.",
        WAITS,
        'If the server lists {other}, set algorithm = "{other}" in [backend].',
        "Please accept {ours} signatures: SMART asks for RS384 and ES384.",
        "SMART App Launch 2.2, client-confidential-asymmetric: RS384 and ES384",
    ),
    "no-client-credentials": failed(
        "The server does not offer the client_credentials grant: Backend Services are "
        "not enabled, or not for our client.",
        WAITS,
        "Ask whether Backend Services can be enabled for our client.",
        "Please enable the grant client_credentials for our client.",
        BACKEND,
    ),
}
