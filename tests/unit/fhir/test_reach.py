"""Where a request may go: by the address that is connected to, not by a name."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from mappings.errors import AuthorizationError, FhirError
from mappings.secret import Secret
from middleware.clock import FixedClock
from middleware.fhir.bounded import RefusedAddressError, make_session
from middleware.fhir.client import FhirClient
from middleware.fhir.discovery import fetch_smart_configuration
from middleware.fhir.reach import Reach, read_reach
from tests.unit.fhir.scripted import NOW, Reply, Script

ALLOWED = ["93.184.216.34", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1"]
ALLOWED += ["2606:2800:220:1::1", "fd12:3456::1", "::ffff:10.1.2.3"]
LOOPBACK = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]
LOOPBACK += ["2002:7f00:1::1", "::127.0.0.1"]
LINK_LOCAL = ["169.254.1.1", "fe80::1", "fe80::1%eth0", "::ffff:169.254.1.1"]
NEVER = ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16"]
NEVER += ["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "0.0.0.0", "0.1.2.3", "::"]
NEVER += ["224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1", "nonsense", ""]


@pytest.mark.parametrize("address", ALLOWED)
def test_public_and_private_addresses_are_reached(address: str) -> None:
    assert Reach().allows(address)


@pytest.mark.parametrize("address", LOOPBACK)
def test_this_machine_is_reached_where_that_was_written_down(address: str) -> None:
    assert not Reach().allows(address)
    assert Reach(loopback=True).allows(address)


@pytest.mark.parametrize("address", LINK_LOCAL)
def test_link_local_addresses_need_a_private_network(address: str) -> None:
    assert not Reach(loopback=True).allows(address)
    assert Reach(loopback=True, link_local=True).allows(address)


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_reached(address: str) -> None:
    assert not Reach(loopback=True, link_local=True).allows(address)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8082/fhir", True),
        ("http://[::1]:8082/fhir", True),
        ("http://localhost/fhir", True),
        ("https://LOCALHOST./fhir", True),
        ("https://localhost.evil.example/fhir", False),
        ("https://127.0.0.1.evil.example/fhir", False),
        ("http://127.1/fhir", False),
        ("https://ehr.example.org/fhir", False),
        ("http://[/fhir", False),
    ],
)
def test_a_url_must_name_this_machine_literally(url: str, loopback: bool) -> None:
    assert read_reach(url) == Reach(loopback=loopback)
    assert read_reach(url, private_network=True) == Reach(
        loopback=True, link_local=True
    )


def aside(script: Script) -> str:
    """The script's base, by a name that is not literally this machine's."""
    return script.base.replace("127.0.0.1", "127.1")


def test_a_name_that_means_this_machine_is_not_connected_to(script: Script) -> None:
    script.then(Reply(200, {"resourceType": "Encounter", "id": "e1"}))
    client = FhirClient(aside(script), lambda: Secret("token"), clock=FixedClock(NOW))
    with pytest.raises(FhirError) as caught:
        client.fetch("Encounter/e1")
    assert caught.value.permanent
    assert "private_network" in caught.value.message
    with pytest.raises(AuthorizationError):
        fetch_smart_configuration(aside(script))
    assert script.asked == []


def test_a_private_network_is_connected_to(script: Script) -> None:
    script.then(Reply(200, b"hello"))
    reach = read_reach(aside(script), private_network=True)
    with make_session(reach) as session:
        assert session.get(aside(script), timeout=(1, 5)).text == "hello"


def test_a_name_cannot_change_its_meaning_after_it_was_looked_at(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.then(Reply(200, b"hello"))
    real, asked = socket.getaddrinfo, []

    def resolve(host: Any, *values: Any, **options: Any) -> Any:
        if host == "ehr.test":
            asked.append(host)
            host = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
        return real(host, *values, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    url = script.base.replace("127.0.0.1", "ehr.test")
    with make_session(Reach(loopback=True)) as session:
        assert session.get(url, timeout=(1, 5)).text == "hello"
    assert asked == ["ehr.test"]
    assert script.asked[0].headers["Host"].startswith("ehr.test")
    with make_session(Reach()) as session, pytest.raises(RefusedAddressError):
        session.get(url, timeout=(1, 5))


def test_an_address_within_reach_is_taken_where_another_is_not(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.then(Reply(200, b"hello"))
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *values: Any, **options: Any) -> Any:
        if host != "ehr.test":
            return real(host, port, *values, **options)
        return [
            *real("169.254.169.254", port, *values, **options),
            *real("127.0.0.1", port, *values, **options),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    url = script.base.replace("127.0.0.1", "ehr.test")
    with make_session(Reach(loopback=True)) as session:
        assert session.get(url, timeout=(1, 5)).text == "hello"
