"""Diagnoses of an EHR's calls of our CDS Hooks services: its keys and whose they are."""

from __future__ import annotations

from middleware.fhir.checking.texts import failed, warned

TRUST = "CDS Hooks 2.0, Trusting CDS Clients: a JWT, its iss, and the keys at its jku"
UNSEEN = "The EHR's calls are refused and its charts show no card; messages go on."
SHOWN = "Cards are shown."
ASKED = "Please call {services}, each with its own URL as aud."
CDS = {
    "cds-address-here": failed(
        "Our public address leads to our own machine only, so that the EHR cannot call.",
        UNSEEN,
        "Set CARECUE_PUBLIC_URL to the address at which the EHR reaches us; its calls "
        "have to name that very address in aud.",
    ),
    "cds-keys-unread": failed(
        "The key set that the EHR signs its calls with could not be read from here.",
        UNSEEN,
        "Compare [cds] key_urls with what the EHR names as jku; let this machine reach "
        "{url}, without a redirect.",
        "Please make the key set at {url} readable for us, or tell us where it is. "
        + ASKED,
        TRUST,
    ),
    "cds-keys-unusable": failed(
        "The key set that the EHR names holds no key that a call can be checked with.",
        UNSEEN,
        "Ask for a key of RSA, P-256 or P-384 at {url}; or correct [cds] key_urls.",
        "Please publish your public key of RSA, P-256 or P-384 at {url} and sign with "
        "RS256, RS384, ES256 or ES384. " + ASKED,
        TRUST,
    ),
    "cds-keys-secret": warned(
        "The key set publishes a private key: whoever reads it can call as this EHR.",
        "A card can be asked for by others; without a token of the EHR it is made of "
        "what our own backend may read.",
        "Take [cds] out until the EHR has a new key.",
        "Please replace the key at {url} at once and publish its public part only.",
        TRUST,
    ),
    "cds-issuer-shared": warned(
        "Another endpoint names the same issuer, and no tenant tells the two apart.",
        SHOWN + " Which of the two is meant is known by fhirServer alone, and keys are "
        "those of the jku, else of either.",
        "Set [cds] tenants at both, if the EHR's JWTs name a tenant.",
    ),
    "cds-issuer-no-url": warned(
        "An issuer in [cds] is no URL, as an EHR's iss has to be.",
        "Calls are believed whose iss is that text letter for letter.",
        "Compare [cds] issuers with the iss of a call.",
    ),
}
