"""Who may call our CDS Hooks services: the keys are fetched, and each fault is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from mappings.endpoint import CdsCaller, Endpoint
from middleware.clock import FixedClock
from middleware.fhir.checking.exchange import Caller, Patience
from middleware.fhir.checking.finding import CDS_STEP, Finding, Outcome, conclude
from middleware.fhir.checking.steps import Step, run_steps
from middleware.fhir.checking.talk import Talk
from middleware.fhir.keys import SigningKeys
from middleware.fhir.reach import endpoint_reach
from middleware.storage import endpoints
from middleware.storage.database import Database
from middleware.wiring.cds_checking import CallsCheck
from tests.unit.fhir.checked_ehr import NEEDS, Ehr
from tests.unit.fhir.scripted import Reply, serve

PUBLIC = "https://carecue.example.org"
VIEW = f"{PUBLIC}/cds-services/carecue-patient-view"
DISCHARGE = f"{PUBLIC}/cds-services/carecue-encounter-discharge"
EC = ECKey.generate_key("P-384", {"kid": "ec"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
ISSUER = "https://ehr.example.org/cds"


@pytest.fixture
def ehr(keys: SigningKeys) -> Iterator[Ehr]:
    with serve() as script:
        yield Ehr(script, keys)


Check = Callable[..., Finding]


@pytest.fixture
def check(ehr: Ehr, database: Database, clock: FixedClock) -> Check:
    """Run the step: ``published`` is the key set, the rest changes ``[cds]``."""

    def run(published: Any = None, public_url: str = PUBLIC, **changes: Any) -> Finding:
        reply = published if isinstance(published, Reply) else Reply(200, published)
        ehr.broken = lambda asked: reply if asked.path == "/cds-keys" else None
        endpoint = caller(ehr, **changes)
        talk = Talk(
            endpoint=endpoint,
            keys=ehr.keys,
            clock=clock,
            needs=NEEDS,
            public_url=public_url,
            caller=Caller(clock, Patience(), endpoint_reach(endpoint)),
        )
        step = Step(CDS_STEP, CallsCheck(database).run)
        (found,) = run_steps(talk, lambda _: None, (step,))
        talk.caller.close()
        return found

    return run


def caller(ehr: Ehr, **changes: Any) -> Endpoint:
    given = {"issuers": (ISSUER,), "key_urls": (f"{ehr.root}/cds-keys",)}
    return ehr.endpoint(cds=CdsCaller(**{**given, **changes}))


def key_set(*found: Any) -> dict[str, Any]:
    return {"keys": [key.as_dict(private=False) for key in found]}


def test_good_keys_hold_and_the_ehrs_team_is_told_our_urls(check: Check, ehr: Ehr):
    found = check(key_set(EC, RSA))
    assert found.outcome is Outcome.OK
    assert found.saw == (
        f"services are listed at {PUBLIC}/cds-services, to be called at {VIEW} and "
        f"{DISCHARGE}; believed: iss {ISSUER}; keys at {ehr.root}/cds-keys: 2"
    )


def test_without_cds_nothing_is_tried(check: Check, ehr: Ehr):
    found = check(issuers=(), key_urls=())
    assert found.outcome is Outcome.SKIPPED
    assert ehr.lines == []


@pytest.mark.parametrize(
    ("reply", "saw"),
    [
        (Reply(404), "answered with 404"),
        (Reply(302, headers={"Location": "/elsewhere"}), "answered with 302"),
        (Reply(200, {"jwks": []}), "key set is unusable"),
        (Reply(200, ["x"]), "not one JSON object"),
    ],
)
def test_key_set_that_cannot_be_read(check: Check, ehr: Ehr, reply: Reply, saw: str):
    found = check(reply)
    assert (found.code, found.outcome) == ("cds-keys-unread", Outcome.FAILED)
    assert saw in found.saw
    url = f"{ehr.root}/cds-keys"
    assert found.saw.startswith(url)
    assert f"What we did: GET {url}" in found.letter
    assert f"Please call {VIEW} and {DISCHARGE}" in found.letter


def test_key_set_where_nobody_answers(check: Check):
    found = check(key_urls=("http://127.0.0.1:9/keys",))
    assert found.code == "cds-keys-unread"
    assert "http://127.0.0.1:9/keys" in found.todo


def test_each_key_set_is_read(check: Check, ehr: Ehr):
    urls = (f"{ehr.root}/cds-keys", f"{ehr.root}/nowhere")
    found = check(key_set(EC), key_urls=urls)
    assert found.code == "cds-keys-unread"
    assert found.saw.startswith(urls[1])


@pytest.mark.parametrize(
    "published",
    [
        {"keys": []},
        {"keys": ["x", {"kty": "RSA"}]},
        key_set(ECKey.generate_key("P-521", {"kid": "p521"})),
        {"keys": [OctKey.generate_key(256, {"kid": "shared"}).as_dict()]},
        {"keys": [{**EC.as_dict(private=False), "use": "enc"}]},
        {"keys": [{**RSA.as_dict(private=False), "alg": "PS256"}]},
    ],
)
def test_key_set_without_a_key_for_signatures(check: Check, published: Any):
    found = check(published)
    assert (found.code, found.outcome) == ("cds-keys-unusable", Outcome.FAILED)
    assert "RS256, RS384, ES256 or ES384" in found.letter


def test_private_key_in_public_is_told_and_not_repeated(check: Check):
    secret = EC.as_dict(private=True)
    found = check({"keys": [secret]})
    assert (found.code, found.outcome) == ("cds-keys-secret", Outcome.WARN)
    assert secret["d"] not in found.saw + found.letter


def test_address_that_the_ehr_cannot_call(check: Check, ehr: Ehr, database: Database):
    here = "http://127.0.0.1:8080"
    assert check(key_set(EC), public_url=here).outcome is Outcome.OK
    ehr.base = "https://fhir.example.org/r4"
    found = check(key_set(EC), public_url=here)
    assert (found.code, found.letter) == ("cds-address-here", "")
    assert "CARECUE_PUBLIC_URL" in found.todo


@pytest.mark.parametrize(
    ("ours", "theirs", "code"),
    [
        ((), (), "cds-issuer-shared"),
        (("a",), (), "cds-issuer-shared"),
        (("a",), ("a", "b"), "cds-issuer-shared"),
        (("a",), ("b",), "ok"),
    ],
)
def test_issuer_of_two_endpoints_needs_tenants(
    check: Check, ehr: Ehr, database: Database, clock: FixedClock, ours, theirs, code
):
    base = "https://south.example.org/fhir"
    other = replace(caller(ehr, tenants=theirs), id="south", fhir_base=base)
    with database.tx() as tx:
        endpoints.insert_endpoint(tx, caller(ehr, tenants=ours), clock.now())
        endpoints.insert_endpoint(tx, other, clock.now())
    assert check(key_set(EC), tenants=ours).code == code


def test_issuer_that_is_no_url(check: Check):
    found = check(key_set(EC), issuers=("my-ehr",))
    assert (found.code, found.outcome) == ("cds-issuer-no-url", Outcome.WARN)


def test_conclusion_says_what_is_lost(check: Check, ehr: Ehr):
    failed = check(Reply(404))
    push = replace(failed, step="subscriptions", cause="No push.")
    token = replace(failed, step="token", cause="No token.")
    only = conclude(ehr.endpoint(), [failed])
    assert only.startswith(
        "north can be used, but its charts show no card: The key set"
    )
    both = conclude(ehr.endpoint(), [failed, push])
    assert both == (
        "north can be used by polling, but notifications do not come: No push. Also "
        "failed: CDS Hooks."
    )
    assert "is not ready: token failed" in conclude(ehr.endpoint(), [token, failed])
