"""Which addresses an endpoint's requests may connect to.

Pure. A host name is only a name: whoever rules its DNS may let it mean this machine or
the cloud's metadata server. Private networks are allowed, for hospitals' EHRs live
there; what is next to us or is us is not, unless an administrator wrote it down.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from mappings.endpoint import Endpoint

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# AWS (both), Alibaba, Azure: they hand out credentials to whoever asks from inside.
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16")
)
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
# IPv6 networks with an IPv4 address in their last four bytes.
_CARRIERS = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("::/96"))


@dataclass(frozen=True)
class Reach:
    """``loopback`` lets this machine be reached, ``link_local`` its own network too."""

    loopback: bool = False
    link_local: bool = False

    def allows(self, text: str) -> bool:
        """Tell whether an IP address may be connected to."""
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        return all(self._allows(each) for each in (address, *_list_carried(address)))

    def _allows(self, address: Address) -> bool:
        if address in _METADATA or address.is_multicast or address.is_unspecified:
            return False
        if address.is_loopback:
            return self.loopback
        if address.is_link_local:
            return self.link_local
        if address.version == 4:
            return not (address.is_reserved or address in _THIS_NETWORK)
        return True


def read_reach(url: str, *, private_network: bool = False) -> Reach:
    """Return the reach of an endpoint whose URL an administrator wrote down.

    This machine may be reached where the URL names it, or the profile has
    ``private_network``; link-local addresses need the latter.
    """
    return Reach(private_network or _is_here(url), private_network)


def endpoint_reach(endpoint: Endpoint) -> Reach:
    """Return the reach of an endpoint, by its base and its profile."""
    private = endpoint.profile.get("private_network") is True
    return read_reach(endpoint.fhir_base, private_network=private)


def _is_here(url: str) -> bool:
    try:
        host = (urlsplit(url).hostname or "").lower().removesuffix(".")
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _list_carried(address: Address) -> list[Address]:
    """List the IPv4 addresses that an IPv6 address stands for."""
    if address.version == 4:
        return []
    teredo = address.teredo or ()
    found: list[Address] = [
        carried
        for carried in (address.ipv4_mapped, address.sixtofour, *teredo)
        if carried is not None
    ]
    if any(address in network for network in _CARRIERS) and int(address) > 1:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return found
