"""The table of dialects, and which one a server is taken for."""

from __future__ import annotations

from typing import Any

import pytest

from mappings.dialects.registry import DIALECTS, choose_dialect, suggest_dialect
from mappings.errors import BadInputError


def statement(name: str) -> dict[str, Any]:
    return {"resourceType": "CapabilityStatement", "software": {"name": name}}


@pytest.mark.parametrize(
    ("name", "dialect"),
    [
        ("HAPI FHIR Server", "hapi"),
        ("Smile CDR", "hapi"),
        ("medplum", "medplum"),
        ("Aidbox", "aidbox"),
        ("athenahealth FHIR", "athena"),
        ("fhir-candle", "candle"),
        ("Firely Server", "firely"),
        ("Azure API for FHIR", "azure"),
        ("Google Cloud Healthcare", "google"),
        ("Epic", "epic"),
        ("Cerner Millennium", "oracle"),
        ("Inferno", "inferno"),
        ("Sandbox EHR", "sandbox"),
        ("Epicurus", "standard"),
        ("", "standard"),
    ],
)
def test_a_server_is_known_by_its_own_words(name: str, dialect: str) -> None:
    assert suggest_dialect(statement(name)).name == dialect


def test_the_publisher_counts_too() -> None:
    assert suggest_dialect({"publisher": "Medplum"}).name == "medplum"
    assert suggest_dialect({"software": "x", "implementation": []}).name == "standard"


def test_a_profile_decides() -> None:
    assert choose_dialect({"server": "uscore"}, statement("Epic")).name == "uscore"
    assert choose_dialect({}, statement("Epic")).name == "epic"
    with pytest.raises(BadInputError, match="aidbox"):
        choose_dialect({"server": "nobody"})


def test_what_does_not_push_says_what_there_is_instead() -> None:
    silent = {name for name, item in DIALECTS.items() if not item.pushes}
    assert silent == {"azure", "google", "epic", "oracle", "meditech", "launcher"}
    assert all(DIALECTS[name].note for name in silent)
