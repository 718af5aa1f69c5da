from __future__ import annotations

import pytest

from mappings.errors import ConfigurationError, ReferenceRefusedError
from middleware.fhir.addresses import (
    bring_home,
    read_base,
    read_query,
    read_reference,
    resolve_link,
)

BASE = "https://ehr.example.org:8443/fhir/r4"


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("Patient/p1", "Patient/p1"),
        ("Patient/p1/_history/3", "Patient/p1"),
        (f"{BASE}/Encounter/e.1-x", "Encounter/e.1-x"),
        ("HTTPS://EHR.example.org:8443/fhir/r4/Encounter/e1", "Encounter/e1"),
    ],
)
def test_read_reference_under_the_base(reference: str, expected: str) -> None:
    assert str(read_reference(BASE, reference)) == expected


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "#contained",
        "urn:uuid:2b5a0b4e-0000-4000-8000-000000000000",
        "//evil.example/Patient/p1",
        "https://evil.example/fhir/r4/Patient/p1",
        "http://ehr.example.org:8443/fhir/r4/Patient/p1",
        "https://ehr.example.org/fhir/r4/Patient/p1",
        "https://ehr.example.org:8443/fhir/r4evil/Patient/p1",
        "https://ehr.example.org:8443/other/Patient/p1",
        "https://good@ehr.example.org:8443/fhir/r4/Patient/p1",
        "https://ehr.example.org:8443@evil.example/fhir/r4/Patient/p1",
        "https://ehr.example.org:8443/fhir/r4/../Patient/p1",
        "https://ehr.example.org:8443/fhir/r4/%2e%2e/Patient/p1",
        "https://ehr.example.org.evil.example:8443/fhir/r4/Patient/p1",
        "http://169.254.169.254/fhir/r4/Patient/p1",
        "Patient/..",
        "Patient/p1/../../x",
        "../Patient/p1",
        "Patient/p1\r\nX-Evil: 1",
        "Patient/p1?x=1",
        "patient/p1",
        "Patient",
        "file:///etc/passwd",
    ],
)
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@97")
def test_read_reference_elsewhere_is_refused(reference: str) -> None:
    with pytest.raises(ReferenceRefusedError) as caught:
        read_reference(BASE, reference)
    assert caught.value.permanent
    assert "evil" not in str(caught.value)


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        (f"{BASE}?_getpages=abc", f"{BASE}?_getpages=abc"),
        (f"{BASE}/Encounter?page=2", f"{BASE}/Encounter?page=2"),
        ("Encounter?page=2", f"{BASE}/Encounter?page=2"),
        ("?page=2", f"{BASE}/Encounter?page=2"),
        ("/fhir/r4?page=2", f"{BASE}?page=2"),
    ],
)
def test_resolve_link_under_the_base(link: str, expected: str) -> None:
    assert resolve_link(BASE, f"{BASE}/Encounter?patient=p1", link) == expected


@pytest.mark.parametrize(
    "link",
    [
        "//evil.example/fhir/r4?page=2",
        "https://evil.example/fhir/r4?page=2",
        "http://ehr.example.org:8443/fhir/r4?page=2",
        "https://ehr.example.org:9999/fhir/r4?page=2",
        "https://u:p@ehr.example.org:8443/fhir/r4?page=2",
        f"{BASE}/../admin?page=2",
        f"{BASE}/%2E%2e/admin?page=2",
        f"{BASE}/..%2fadmin?page=2",
        f"{BASE}/..\\admin?page=2",
        "../../admin?page=2",
        "/admin?page=2",
        "\\\\evil.example/x",
        "https://ehr.example.org:99999/fhir/r4",
        "https://[::1/fhir/r4",
        "javascript:alert(1)",
        f"{BASE}/Encounter?page=2 HTTP/1.1",
    ],
)
def test_resolve_link_elsewhere_is_none(link: str) -> None:
    assert resolve_link(BASE, f"{BASE}/Encounter?patient=p1", link) is None


@pytest.mark.parametrize(
    "query",
    [
        "Encounter?patient=Patient/p1",
        "Encounter",
        "Encounter/e1",
        "Encounter/e1/_history",
        "Encounter/_history?_since=2026-01-01T00:00:00Z",
        "Subscription/s1/$status",
    ],
)
def test_read_query_is_kept(query: str) -> None:
    assert read_query(BASE, query) == query
    assert read_query(BASE, f"{BASE}/{query}") == query


@pytest.mark.parametrize(
    "query",
    [
        "../admin",
        "/Encounter",
        "https://evil.example/Encounter",
        "Encounter/..?x=1",
        "Encounter#x",
        "encounter?patient=1",
        "",
    ],
)
def test_read_query_elsewhere_is_refused(query: str) -> None:
    with pytest.raises(ReferenceRefusedError):
        read_query(BASE, query)


@pytest.mark.parametrize(
    "base",
    ["", "ftp://x/fhir", "https://u@x/fhir", "https://x/fhir?a=1", "https:///fhir"],
)
def test_read_base_unusable_is_a_configuration_error(base: str) -> None:
    with pytest.raises(ConfigurationError):
        read_base(base)


def test_read_base_loses_its_slash() -> None:
    assert read_base(f"{BASE}/") == BASE


INSIDE = "http://ehr.internal:8080/fhir"


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        (f"{INSIDE}?_getpages=abc", f"{BASE}?_getpages=abc"),
        (f"{INSIDE}/Encounter?page=2", f"{BASE}/Encounter?page=2"),
        (f"{INSIDE}/../admin", None),
        (f"{INSIDE}s/Encounter?page=2", None),
        ("http://ehr.internal:8080/fhir.evil.example/x", None),
        ("http://ehr.internal:8080@evil.example/fhir", None),
        ("https://evil.example/fhir/Encounter", None),
    ],
)
def test_a_link_with_the_base_inside_is_asked_for_at_ours(
    link: str, expected: str | None
) -> None:
    home = bring_home(BASE, [f"{INSIDE}/"], link)
    assert resolve_link(BASE, f"{BASE}/Encounter?patient=p1", home) == expected
