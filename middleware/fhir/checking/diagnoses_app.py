"""Diagnoses of the SMART app's registration, and of what the app does about each."""

from __future__ import annotations

from middleware.fhir.checking.texts import DISCOVERY, failed, warned

CLOSED = "The SMART app cannot be opened; messages go on."
OPENS = "The SMART app can be opened."
APP = {
    "app-old": warned(
        "There is no usable SMART configuration, so that nothing is known of this server's "
        "ways with apps.",
        "The CapabilityStatement's oauth-uris are used, PKCE is sent all the same.",
        "Nothing, if a launch from a test chart succeeds.",
    ),
    "app-method": failed(
        "The server does not take the way in which the app is set to prove itself.",
        CLOSED,
        "Set [app] authentication to one that is offered and register the app so.",
        "Please register our app with {method}.",
        DISCOVERY,
    ),
    "app-algorithm": failed(
        "The server does not take the app's signatures of the algorithm that is set.",
        CLOSED,
        "Set [app] algorithm to RS384 or ES384, whichever is offered.",
        "Please accept signatures with {method}.",
        DISCOVERY,
    ),
    "app-no-launch": warned(
        "The server does not say that apps can be launched from its charts.",
        "A launch is tried as it comes; the app can be opened by itself too.",
        "Try a launch from a test chart.",
    ),
    "app-no-pkce": warned(
        "The server does not say that it takes PKCE; some take it and do not say so.",
        "S256 is always sent.",
        "Nothing, if a launch from a test chart succeeds.",
    ),
    "app-no-keys": failed(
        "Nothing names the keys that sign id_tokens, so that nobody can be known.",
        CLOSED,
        "Ask for the key set's URL and set jwks_uri in [profile].",
        "Please publish jwks_uri in .well-known/smart-configuration.",
        DISCOVERY,
    ),
    "app-keys-unreviewed": failed(
        "The keys that sign id_tokens lie on a host that nobody has reviewed.",
        CLOSED,
        "Review {host}; if it is right, add it to authorization_hosts in [profile].",
    ),
    "app-host-unreviewed": failed(
        "The sign-in page lies on a host that nobody has reviewed.",
        CLOSED,
        "Review {host}; if it is right, add it to authorization_hosts in [profile].",
    ),
    "app-no-issuer": failed(
        "Nothing names the issuer of id_tokens.",
        CLOSED,
        "Put the iss of an id_token from a test launch into [app] issuers.",
    ),
    "app-keys-elsewhere": warned(
        "The keys are named in the OpenID configuration only.",
        "They are looked for there, at the issuer first, then at the FHIR base.",
        "Nothing.",
    ),
    "app-scopes-old": warned(
        "The server knows scopes of version 1 only.",
        "They are asked for as .read; what is granted is compared by meaning.",
        "Nothing.",
    ),
    "app-no-refresh": warned(
        "The server offers no refresh tokens to apps.",
        "A page ends with its token and is opened again from the chart.",
        "Nothing, or ask for online_access for our app.",
    ),
    "app-no-frame": warned(
        "No site may show the app in a frame, so that a launch from one stays blank.",
        "The app opens in windows of its own; nobody else can frame it.",
        "Put the origin of the EHR's pages into [app] frame_origins, unless it opens apps "
        "in windows only.",
    ),
    "app-not-framed": warned(
        "The sign-in page forbids to be shown in the EHR's frame.",
        "A launch is tried in a frame within a page of ours, which offers a window by a "
        "click when nothing comes; once one came back, the next go there at once.",
        "Nothing; or set authorize_in_window in [profile]: false where the EHR signs in "
        "without a page, true where it never does.",
    ),
    "app-frame-unseen": warned(
        "Whether the sign-in page lets itself be shown in the EHR's frame is not known.",
        "Launches go on in the frame; where three stay blank and none comes back, they "
        "offer a window by a click.",
        "Try a launch from a test chart; where it is another host's page, review that and "
        "add it to authorization_hosts in [profile].",
    ),
    "app-server-unnamed": warned(
        "The server looks like one whose launches deviate from the standard.",
        OPENS,
        'Set server = "{server}" in [profile], so that its deviations are met.',
    ),
    "app-deviations": warned(
        "Launches of this kind of server are known to deviate from the standard.",
        "Each deviation is met as it says.",
        "Nothing.",
    ),
}
