"""Which URLs mean the same FHIR base."""

from __future__ import annotations

import pytest

from mappings.bases import read_base_key
from mappings.endpoint_file import read_endpoint_file
from mappings.errors import BadInputError

BASE = "https://ehr.example.org/fhir"
FILE = """
id = "n"
name = "N"
fhir_base = "https://ehr.example.org/fhir"
[site]
name = "S"
phone = "1"
booking_url = "b"
zone = "America/Chicago"
[profile]
"""


@pytest.mark.parametrize(
    "url",
    [
        "http://ehr.example.org/fhir",
        "https://ehr.example.org/fhir/",
        "https://ehr.example.org/fhir//",
        "https://EHR.Example.org./fhir",
        "https://ehr.example.org:443/fhir",
        "http://ehr.example.org:80/fhir",
    ],
)
def test_spellings_of_one_base(url: str) -> None:
    assert read_base_key(url) == read_base_key(BASE) is not None


@pytest.mark.parametrize(
    "url",
    [
        "https://ehr.example.org/FHIR",
        "https://ehr.example.org/fhir/x",
        "https://ehr.example.org",
        "https://ehr.example.org:8443/fhir",
        "http://ehr.example.org:443/fhir",
        "https://ehr.example.org.evil.test/fhir",
        "https://example.org/fhir",
        "https://ehr.example.org@evil.test/fhir",
        "https://evil.test/ehr.example.org/fhir",
        "https://ehr.example.org/x/../fhir",
        "https://ehr.example.org/./fhir",
        "https://ehr.example.org/%66hir",
        "https://ehr.example.org\\@evil.test/fhir",
        "https://ehr.example.org/fhir?x",
        "https://ehr.example.org/fhir#x",
        "https://ehr.example.org//fhir",
        "ftp://ehr.example.org/fhir",
        "https:///fhir",
        "https://ehr.example.org:x/fhir",
        "https://[::1/fhir",
        "ehr.example.org/fhir",
        "",
    ],
)
def test_another_base_or_none(url: str) -> None:
    assert read_base_key(url) != read_base_key(BASE)


def test_an_endpoint_may_name_other_bases() -> None:
    text = FILE + 'aliases = ["http://internal:8080/fhir"]\nprivate_network = true\n'
    profile = read_endpoint_file(text + f'focus_bases = ["{BASE}2"]\n').profile
    assert profile["focus_bases"] == [f"{BASE}2"]
    assert profile["private_network"] is True


@pytest.mark.parametrize(
    "line",
    [
        'aliases = "https://x.example/fhir"',
        'aliases = ["x.example/fhir"]',
        "focus_bases = [7]",
        'private_network = "yes"',
    ],
)
def test_a_profile_that_would_not_be_kept_is_refused(line: str) -> None:
    with pytest.raises(BadInputError):
        read_endpoint_file(FILE + line)


@pytest.mark.parametrize(
    "windows",
    ["{ sat = [10] }", "{ saturday = [10, 14] }", "{ sat = [14, 10] }", "{ sat = 9 }"],
)
def test_hours_of_a_weekday_that_mean_nothing_are_refused(windows: str) -> None:
    text = FILE.replace('zone = "America/Chicago"', 'zone = "UTC"')
    with pytest.raises(BadInputError):
        read_endpoint_file(text.replace("[site]", f"[site]\nwindows = {windows}"))


def test_hours_of_a_weekday_are_read() -> None:
    text = FILE.replace("[site]", "[site]\nwindows = { sat = [10, 14], sun = [0, 0] }")
    assert read_endpoint_file(text).site.windows == {"sat": [10, 14], "sun": [0, 0]}
