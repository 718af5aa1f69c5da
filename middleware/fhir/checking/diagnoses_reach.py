"""Diagnoses of the way to the server: name, port, TLS."""

from __future__ import annotations

from middleware.fhir.checking.texts import (
    ON,
    TLS,
    WAITS,
    failed,
    warned,
)

SEND = "Send them the text below."
REACH = {
    "name-unknown": failed(
        "The host name is misspelt, or this machine's DNS does not know it (a name "
        "that exists only inside the hospital's network).",
        WAITS,
        "Compare fhir_base with what the EHR's team gave you; resolve {host} on this "
        "machine; ask for the right name or for a DNS entry.",
        "Please confirm the FHIR base, and whether {host} can be resolved from outside "
        "your network.",
        "an IPv4 or IPv6 address for the host",
    ),
    "address-link-local": failed(
        "The name leads to a link-local address, which is no server of a network (a "
        "cloud's metadata service answers there).",
        WAITS,
        "Do not use this base. Ask whoever keeps the DNS entry of {host}.",
        "Please check the DNS entry of {host}: it leads to a link-local address.",
        "an address that can be reached from our network",
    ),
    "address-refused": failed(
        "The name leads to this machine, or to an address that is no server's, so "
        "nothing is connected to: a tunnel or proxy, or a wrong entry.",
        WAITS,
        "If a tunnel on this machine leads to the EHR, set private_network = true in "
        "the profile; else ask whoever keeps the DNS entry of {host}.",
        "Please check the DNS entry of {host}.",
        "an address that can be reached from our network",
    ),
    "address-loopback": warned(
        "The name of a production server leads to this machine: a tunnel or proxy, or "
        "an entry left in the hosts file.",
        ON,
        "Make sure that the tunnel behind {host} ends at the EHR.",
    ),
    "connect-refused": failed(
        "Nothing listens on this port: the port is wrong, or the server is down.",
        WAITS,
        "Check the port in fhir_base; if it is right, send them the text below.",
        "Please confirm the port and that the service runs.",
        "a TCP connection",
    ),
    "connect-timeout": failed(
        "A firewall drops our packets: our address is not on their allow-list, or this "
        "machine may not go out (CareCue uses no proxy).",
        WAITS,
        "Let this machine connect to {host}:{port}; give the EHR's team the address "
        "that you go out from.",
        "Please allow connections from our address to {host}:{port}.",
        "a TCP connection",
    ),
    "connect-unreachable": failed(
        "There is no route to the server from this machine: a VPN that is down, or a "
        "network without IPv6.",
        WAITS,
        "Check routes and VPN on this machine, then the address of {host}.",
        "Please confirm the address and which network or VPN leads there.",
        "a TCP connection",
    ),
    "ca-file-unusable": failed(
        "The file with the site's own authority cannot be read as PEM.",
        WAITS,
        "Correct ca_file ({file}) in [profile], or leave it out.",
    ),
    "tls-self-signed": failed(
        "The server's certificate is signed by itself, usual for a test server.",
        WAITS,
        "Have the certificate given to you by a trusted way, save it as PEM and set "
        "ca_file in [profile]; never switch the check off.",
        "Please use a certificate of a known authority, or send us yours by a trusted "
        "way.",
        TLS,
    ),
    "tls-unknown-authority": failed(
        "The certificate comes from the site's own authority, or the server leaves out "
        "an intermediate certificate.",
        WAITS,
        "Where the site has its own authority, save its root as PEM and set ca_file in "
        "[profile]; else the server's chain has to be completed by its team.",
        "Please send the whole chain from the server, or give us the root certificate "
        "of your authority.",
        TLS,
    ),
    "tls-expired": failed(
        "The server's certificate has expired (or this machine's clock is far ahead).",
        WAITS,
        "Check this machine's clock; then the EHR's team has to renew it.",
        "Please renew the certificate of {host}.",
        TLS,
    ),
    "tls-not-yet-valid": failed(
        "The certificate is not valid yet, or this machine's clock is behind.",
        WAITS,
        "Check this machine's clock (NTP) first.",
        "Please check from when the certificate of {host} is valid.",
        TLS,
    ),
    "tls-wrong-name": failed(
        "The certificate is for another host name: an alias, an address instead of a "
        "name, or a proxy in between.",
        WAITS,
        "Use the name that the certificate carries in fhir_base, if the EHR's team "
        "confirms it.",
        "Please add {host} to the certificate, or tell us the right name.",
        TLS,
    ),
    "tls-old": failed(
        "The server speaks only TLS versions before 1.2.",
        WAITS,
        "Do not lower our limit; the server has to be brought up to date.",
        "Please enable TLS 1.2 or 1.3 on {host}.",
        TLS,
    ),
    "tls-client-certificate": failed(
        "The server wants a certificate from the client (mutual TLS), which CareCue "
        "does not present.",
        WAITS,
        "Ask for an address without mutual TLS, or put a proxy of yours in between "
        "that presents the certificate.",
        "Please give us a base without mutual TLS, or a client certificate for our "
        "proxy.",
        TLS,
    ),
    "tls-handshake": failed(
        "Client and server have no cipher in common, or the server wants a client "
        "certificate.",
        WAITS,
        SEND,
        "Please tell us which TLS versions and ciphers {host} offers and whether it "
        "wants a client certificate.",
        TLS,
    ),
    "tls-cut": failed(
        "Something closes the connection during the handshake: a firewall that "
        "inspects TLS, an allow-list, or a server that does not know this name.",
        WAITS,
        "Check your own firewall; give the EHR's team the address that you go out from.",
        "Please check whether your firewall or load balancer cuts our connections to "
        "{host}.",
        TLS,
    ),
    "tls-silent": failed(
        "The connection is accepted and nothing is said: a load balancer without a "
        "server behind it, or a port of another protocol.",
        WAITS,
        SEND,
        "Please check the service behind {host}.",
        TLS,
    ),
    "tls-expires-soon": warned(
        "The server's certificate ends within two weeks.",
        ON,
        "Remind the EHR's team; when it ends, everything stops.",
        "Please renew the certificate of {host} in time.",
        TLS,
    ),
    "http-on-https-port": failed(
        "The base begins with https and the port speaks plain HTTP.",
        WAITS,
        "Ask for the port with TLS; do not change the base to http.",
        "Please tell us the https port of your FHIR server.",
        TLS,
    ),
    "https-on-http-port": failed(
        "The base begins with http and the port speaks TLS.",
        WAITS,
        "Write https in fhir_base and run `carecue endpoint add` again.",
    ),
    "plain-http": warned(
        "The base of a test server begins with http: tokens go over the network in "
        "the open.",
        ON,
        "Use made-up patients only, and ask for the https base.",
        "Please give us an https base: SMART does not allow plain HTTP.",
        TLS,
    ),
    "not-encrypted": failed(
        "The base begins with http: tokens and charts would go over the network in "
        "the open.",
        WAITS,
        "Ask for the https base.",
        "Please give us an https base: SMART does not allow plain HTTP.",
        TLS,
    ),
}
