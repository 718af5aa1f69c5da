"""Each vendor's way of describing itself and answering, through a whole launch."""

from __future__ import annotations

import pytest

from tests.conformance.clinic import Clinic, asked_of, near_the_end, renewing
from tests.conformance.hostile import HostileEhr
from tests.conformance.vendors import VENDORS, Vendor, behave


@pytest.fixture
def other(ehr: HostileEhr) -> str:
    """Return a second name of the EHR's host, on which some vendors sign in."""
    return ehr.root.replace("127.0.0.1", "localhost")


@pytest.mark.parametrize("vendor", VENDORS, ids=[one.name for one in VENDORS])
def test_a_launch_from_the_document_to_the_page(
    clinic: Clinic, ehr: HostileEhr, other: str, vendor: Vendor
) -> None:
    clinic.connect(**behave(ehr, other, vendor))
    begun = clinic.begin()
    asked = asked_of(begun)
    answer = clinic.browser.get(clinic.agree(begun))
    assert answer.status_code == 303, [(one.line, one.status) for one in ehr.heard]
    page = clinic.browser.get(answer.location)

    assert page.status_code == 200
    assert "Delgado" in page.text
    assert asked["aud"] == ehr.base
    assert asked["code_challenge_method"] == "S256"
    (row,) = clinic.rows("SELECT * FROM launch")
    assert (row["stage"], row["patient"]) == ("open", "Patient/rosa")
    assert row["need_patient_banner"] is (
        vendor.answer.get("need_patient_banner") is not False
    )
    signed_in = None if vendor.claims.get("fhirUser") is None else "Practitioner/osei"
    assert row["user_reference"] == signed_in


@pytest.mark.parametrize("vendor", VENDORS, ids=[one.name for one in VENDORS])
def test_no_deviation_is_taken_from_an_endpoint_that_did_not_list_it(
    clinic: Clinic, ehr: HostileEhr, other: str, vendor: Vendor
) -> None:
    registered = behave(ehr, other, vendor)
    bare = {"fhir_base": registered["fhir_base"], "profile": {}}
    if vendor.needed == "registered":
        bare["profile"] = vendor.profile
    clinic.connect(**bare)
    begun = clinic.begin()
    opened = begun.status_code == 303 and (
        clinic.browser.get(clinic.agree(begun)).status_code == 303
    )

    assert opened is (vendor.needed is None)


@pytest.mark.parametrize(
    ("claims", "status"), [({}, 200), ({"aud": "another-client"}, 401)]
)
def test_the_launcher_may_leave_out_whom_a_renewed_id_token_is_for(
    clinic: Clinic, ehr: HostileEhr, claims: dict[str, str], status: int
) -> None:
    clinic.connect(profile={"server": "launcher"})
    opened = renewing(clinic)
    now = int(clinic.clock.now().timestamp())
    usual = {"iss": ehr.issuer, "sub": "user-1", "iat": now + 570, "exp": now + 900}
    ehr.habits.refreshed = {"id_token": ehr.sign(usual | claims)}
    near_the_end(clinic)

    assert clinic.browser.get(opened).status_code == status
    assert len(ehr.forms("refresh_token")) == 1
