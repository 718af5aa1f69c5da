"""What SMART App Launch asks of a client, on what our EHR has heard of the app."""

from __future__ import annotations

import re
import socket
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from mappings.endpoint import AppClient
from middleware.clock import FixedClock
from tests.certificates import issue, server_context
from tests.conformance.charts import OSEI
from tests.conformance.clinic import Clinic, asked_of, code_of, near_the_end, renewing
from tests.conformance.hostile import CONFIGURATION, HostileEhr

WORD = re.compile(
    r"launch|launch/patient|openid|fhirUser|online_access|offline_access"
    r"|(patient|user)/[A-Z][A-Za-z]+\.(?=[cruds])c?r?u?d?s?(\?[\w-]+=[^&= ]+(&[\w-]+=[^&= ]+)*)?"
)
PART = "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|survey"


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@29")
def test_the_configuration_is_asked_for_before_anything_else(clinic: Clinic) -> None:
    clinic.begin()
    first = clinic.ehr.heard[0]

    assert first.line == f"GET {CONFIGURATION}"
    assert "application/json" in first.headers["Accept"]
    assert "Authorization" not in first.headers


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@379")
@pytest.mark.parametrize("start", ["/", "../"])
def test_endpoints_may_be_relative_to_the_base(clinic: Clinic, start: str) -> None:
    clinic.connect(authentication="none")
    clinic.ehr.habits.check_client = lambda form, headers: None
    clinic.ehr.habits.document = {
        "authorization_endpoint": f"{start}authorize",
        "token_endpoint": f"{start}token",
        "jwks_uri": f"{start}jwks",
    }

    assert clinic.begin().location.startswith(f"{clinic.ehr.root}/authorize?")
    assert "Delgado" in clinic.browser.get(clinic.open()).text


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@46-148")
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@120-146")
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@150-166")
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@132")
@pytest.mark.parametrize("launch", ["opaque-1", None])
@pytest.mark.parametrize(
    "offered", [[], ["patient/*.rs"], ["patient/Patient.rs", PART]]
)
def test_scopes_are_written_as_they_should_be(
    clinic: Clinic, launch: str | None, offered: list[str]
) -> None:
    clinic.ehr.habits.document = {"scopes_supported": [*offered, "online_access"]}
    words = asked_of(clinic.begin(launch=launch))["scope"].split()

    assert [word for word in words if not WORD.fullmatch(word)] == []
    assert len(words) == len(set(words))
    assert {"openid", "fhirUser", "patient/Patient.rs"} <= set(words)
    assert ("launch" in words) is (launch is not None)
    assert ("launch/patient" in words) is (launch is None)
    assert (PART in words) is (PART in offered)
    # Nothing of all types, and nothing that writes.
    letters = [
        word.partition(".")[2].partition("?")[0] for word in words if "." in word
    ]
    assert set("".join(letters)) == {"r", "s"}


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@11-65")
def test_the_app_proves_itself_by_a_key_where_nothing_else_is_said(
    clinic: Clinic,
) -> None:
    clinic.open()
    (form,) = clinic.ehr.forms()

    assert AppClient(client_id="x").authentication == "private_key_jwt"
    assert form["client_assertion"]
    assert "client_id" not in form
    assert "client_secret" not in form


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@50-52")
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@133")
def test_a_long_request_is_posted_where_that_is_taken(clinic: Clinic) -> None:
    usual = clinic.begin(launch="x" * 2000)
    # What an EHR does not offer is not tried.
    assert usual.status_code == 303
    clinic.ehr.habits.document = {"capabilities": ["launch-ehr", "authorize-post"]}
    again = clinic.app_again()
    assert again.begin(launch="x").status_code == 303
    page = again.begin(launch="x" * 2000)

    assert page.status_code == 200
    form = page.text.partition("<form")[2].partition("</form>")[0]
    assert 'method="post"' in form
    assert f'action="{clinic.ehr.root}/authorize"' in form
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
    assert fields.keys() == asked_of(usual).keys()
    assert fields["launch"] == "x" * 2000
    assert fields["aud"] == clinic.ehr.base


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@93")
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@202")
def test_the_token_goes_to_the_chart_and_the_user_is_read_with_it(
    clinic: Clinic,
) -> None:
    clinic.ehr.charts.put(OSEI)
    assert "Delgado" in clinic.browser.get(clinic.open()).text
    reads = [
        one
        for one in clinic.ehr.heard
        if one.path.startswith("/fhir") and "/.well-known/" not in one.path
    ]

    assert "/fhir/Practitioner/osei" in {one.path for one in reads}
    for one in reads:
        assert re.fullmatch(r"Bearer at-\d+", one.headers["Authorization"])
        assert "access_token" not in one.query
    others = [one for one in clinic.ehr.heard if one not in reads]
    assert not [one for one in others if "Bearer" in str(one.headers)]


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@105-117")
@pytest.mark.parametrize("narrower", [False, True])
def test_a_renewal_asks_for_no_more_than_was_granted(
    clinic: Clinic, narrower: bool
) -> None:
    granted = "launch openid fhirUser patient/Patient.rs patient/Goal.rs"
    clinic.ehr.habits.scope = granted if narrower else None
    opened = renewing(clinic)
    near_the_end(clinic)
    assert clinic.browser.get(opened).status_code == 200
    (form,) = clinic.ehr.forms("refresh_token")

    assert set(form.get("scope", "").split()) <= set(granted.split())
    assert form["refresh_token"].startswith("rt-")


@pytest.mark.requirement("SMART App Launch 2.2: members of a token response")
def test_what_a_token_response_says_beside_is_left_alone(clinic: Clinic) -> None:
    clinic.ehr.habits.answer = {
        "https://ehr.example/extension": {"patient": "james"},
        "__epic.dstu2.patient": "james",
        "authorization_details": [{"type": "smart_on_fhir", "patient": "james"}],
        "Patient": "james",
        "profile": {"patient": "james"},
        "fhirContext": [{"reference": "Patient/james", "role": "launch"}],
        "state": "another",
    }
    page = clinic.browser.get(clinic.open()).text

    assert "Delgado" in page
    assert "Okafor" not in page
    assert not [line for line in clinic.ehr.lines() if "Patient/james" in line]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@1-318")
def test_a_server_of_an_older_tls_is_not_spoken_to(
    clinic: Clinic, clock: FixedClock, tmp_path: Path
) -> None:
    authority = issue(None)
    trusted = str(authority.save(tmp_path, "authority"))
    context = server_context(issue(authority, host="localhost"), tmp_path)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    with HostileEhr(clock, "localhost", context) as served:
        clinic.connect(served, "old", profile={"ca_file": trusted})
        older = ssl.TLSVersion.TLSv1_1
        for newest, wanted in ((ssl.TLSVersion.TLSv1_2, 303), (older, 502)):
            context.maximum_version = newest
            assert speaks(served, newest, trusted)
            served.heard.clear()
            answer = clinic.app_again().begin(served)
            assert answer.status_code == wanted, newest
    assert code_of(answer) == "D1"
    assert served.heard == []


def speaks(served: HostileEhr, version: ssl.TLSVersion, trusted: str) -> bool:
    """Tell whether who would speak an old TLS could do so with this server."""
    lax: Any = ssl.create_default_context(cafile=trusted)
    lax.set_ciphers("ALL:@SECLEVEL=0")
    lax.minimum_version = lax.maximum_version = version
    place = urlsplit(served.root)
    with (
        socket.create_connection((str(place.hostname), int(place.port or 0))) as plain,
        lax.wrap_socket(plain, server_hostname=place.hostname) as secured,
    ):
        return bool(secured.version())
