"""What the person who runs CareCue does about each way in which a launch fails.

The page tells a clinician; these sentences go with the same code to the command line
and stand in docs/smart-app.md. Codes that only a clinician can mend are not here.
"""

from __future__ import annotations

from collections.abc import Mapping

CHECK = "`carecue endpoint check NAME` tries each step and says what is wrong."
REMEDIES: Mapping[str, str] = {
    "L1": "No endpoint with an [app] client_id has the iss that the EHR sent as its "
    "fhir_base. `carecue endpoint list` shows them; only a slash at the end may differ.",
    "L2": "The launch parameter is missing or is not one word of at most 2048 signs. The "
    "EHR has to open /smart/launch with iss and launch; to open the app without a "
    "chart, use /smart/standalone with iss.",
    "L3": "A parameter came twice. The EHR's launch address may hold iss or launch itself.",
    "D1": "The EHR's SMART configuration could not be read or used. " + CHECK,
    "D2": "The EHR's documents do not name what is told. Keys go into jwks_uri of "
    "[profile], an issuer into issuers of [app]; the two endpoints have to stand in "
    "/.well-known/smart-configuration under its FHIR base, or in its metadata.",
    "D3": "An address of the EHR's documents is on a host that nobody reviewed. If it is "
    "right, add the host to authorization_hosts of [profile].",
    "D4": "The key set could not be read. " + CHECK,
    "C1": "The sign-in was used already, or never began here.",
    "C2": "The person took more than ten minutes to sign in.",
    "C3": "The browser sent no cookie: the app's address has to be https, and partitioned "
    "cookies allowed in the frame.",
    "C4": "The EHR refused. invalid_client: client_id. invalid_request: the redirect URI "
    "/smart/callback at CARECUE_PUBLIC_URL is not registered letter for letter. "
    "invalid_scope: allow the scopes of the step `asked`, or set scope_style. "
    "access_denied: the person, or a rule of the EHR for this app or person, said no. "
    "login_required, interaction_required: the EHR's own session was over.",
    "C5": "The answer names another issuer than the EHR's documents. If it is right, add "
    "it to issuers of [app].",
    "C6": "The EHR's sign-in server could not answer. Where it stays so, its log at the "
    "time of the step `returned` says why.",
    "T1": "The token endpoint refused. invalid_client: authentication, algorithm and the "
    "secret of `carecue endpoint secret`, or our keys at /.well-known/jwks.json, are "
    "not those that the EHR knows. A word about encoding, or a secret with signs like + "
    "or / that is refused: set secret_encoded in [profile]. A status alone: it did not "
    "answer as OAuth does.",
    "T2": "The token response lacks what is told; token_type has to be Bearer.",
    "T3": "The token response names no patient's id. The EHR has to grant launch (from a "
    "chart) or launch/patient, and a patient has to be open or chosen.",
    "T4": "The token response has no id_token. The EHR has to grant openid and fhirUser.",
    "T5": "The id_token does not hold. iss: if it is right, add it to issuers of [app]. "
    "aud: client_id is another one. nonce: if the EHR sends none, set nonce_echoed = "
    "false in [app]. exp, iat: clocks differ. signature: no key of its jwks_uri fits.",
    "T6": "The EHR granted no scope to read the Patient.",
    "U1": "fhirUser names no Practitioner or PractitionerRole of this FHIR base. The EHR "
    "links the account to one and grants fhirUser; or set unknown_users. If the base "
    "that is told is this server under another name, add it to aliases of [profile].",
    "U2": "Patients and those beside them are never let in.",
    "E1": "The FHIR server did not give the Patient. 401: it does not take the token that "
    "it issued. " + CHECK,
    "E3": "A read of the Patient was answered with another resource: a merged record, or "
    "a proxy that answers for another.",
    "E4": "The FHIR server answered 403: the app's scopes, or what this person may see "
    "there, do not reach this patient. " + CHECK,
    "R1": "The EHR refused to renew the token: the person signed out or it was revoked.",
    "R2": "The EHR renewed the token for another patient.",
    "R3": "The EHR renewed the token for another user.",
    "R4": "The EHR renewed the token with more scopes than before.",
}
