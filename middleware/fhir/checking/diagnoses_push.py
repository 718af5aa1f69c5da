"""Diagnoses of being notified."""

from __future__ import annotations

from middleware.fhir.checking.texts import (
    POLLS,
    SUBSCRIPTION,
    failed,
    warned,
)

PUSH = {
    "subscriptions-unknown": warned(
        "Without a CapabilityStatement it cannot be told which Subscriptions there are.",
        POLLS,
        "Ask the EHR's team, then try `carecue endpoint subscribe`.",
        "Please tell us whether you offer FHIR Subscriptions, and which topics.",
        SUBSCRIPTION,
    ),
    "subscriptions-none": warned(
        "The server offers no Subscriptions.",
        POLLS,
        "Nothing: leave out `carecue endpoint subscribe`.",
    ),
    "subscriptions-read-only": warned(
        "Subscriptions are made by the EHR's team, not by clients.",
        POLLS,
        "Ask them to make one; they need an address and a secret of ours.",
        "Please allow our client to create Subscription.",
        SUBSCRIPTION,
    ),
    "topics-none": warned(
        "The backport form is declared and no topic is published; some servers accept "
        "such a Subscription and never send.",
        POLLS,
        "Use --form criteria, or ask which topics there are.",
        "Please tell us the canonical URLs of your topics for Encounter, Appointment "
        "and CarePlan.",
        SUBSCRIPTION,
    ),
    "hook-loopback": failed(
        "CARECUE_PUBLIC_URL leads to this machine, which the EHR cannot reach.",
        POLLS,
        "Set CARECUE_PUBLIC_URL to the https address of your reverse proxy, or use the "
        "channel websocket where the EHR has it.",
    ),
    "hook-http": failed(
        "CARECUE_PUBLIC_URL is not https: notifications and their secret would go "
        "over the network in the open.",
        POLLS,
        "Put a reverse proxy with TLS in front, and set CARECUE_PUBLIC_URL to https.",
    ),
    "hook-silent": failed(
        "Our own listener does not answer at CARECUE_PUBLIC_URL.",
        POLLS,
        "Start `carecue serve`, and see that the reverse proxy leads to it from {url}.",
    ),
    "subscription-refused": failed(
        "The server did not take the Subscription.",
        POLLS,
        "Check the scope system/Subscription.cruds and which forms the server takes.",
        "Please tell us why a Subscription of our client is refused.",
        SUBSCRIPTION,
    ),
    "subscription-error": failed(
        "The server took the Subscription and could not reach us, or got an answer "
        "that it does not accept: a firewall, or our certificate.",
        POLLS,
        "Let the EHR's addresses through to {url}; see that the certificate there is "
        "whole.",
        "Please tell us from which addresses you send, and what your log says of the "
        "handshake with {url}.",
        SUBSCRIPTION,
    ),
    "handshake-missing": failed(
        "No handshake came: the server cannot reach us (firewall, certificate), or "
        "makes a Subscription active only later.",
        POLLS,
        "Let the EHR's addresses through to {url}, and check again; some servers take "
        "minutes.",
        "Please tell us from which addresses you send, and whether a handshake with "
        "{url} was tried at the time above.",
        SUBSCRIPTION,
    ),
}
