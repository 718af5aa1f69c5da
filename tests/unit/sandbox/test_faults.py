"""Faults on request: the dice, the plan, and the hook for reads."""

from collections.abc import Iterator

import pytest
import requests

from middleware.sandbox.app import Options
from middleware.sandbox.faults import FaultPlan, Faults, chance, read_plan
from middleware.sandbox.journal import Journal
from middleware.sandbox.server import Running


@pytest.fixture
def sandbox() -> Iterator[Running]:
    with Running(Options(base_url="", people=False)) as running:
        yield running


def authorized(sandbox: Running) -> dict[str, str]:
    token = requests.post(f"{sandbox.base_url}/sandbox/token", timeout=30).json()
    return {"Authorization": f"Bearer {token['access_token']}"}


def test_chance_depends_on_its_inputs_alone():
    assert chance(7, "drop", "a") == chance(7, "drop", "a")
    assert len({chance(s, f, "a") for s in (7, 8) for f in ("drop", "reorder")}) == 4


def test_chance_is_even():
    drawn = [chance(7, "drop", str(index)) for index in range(4000)]
    assert 0.04 < sum(value < 0.05 for value in drawn) / 4000 < 0.06
    assert 0 <= min(drawn) < max(drawn) < 1


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"drop": 1.5},
        {"drop": True},
        {"drop": "1"},
        {"delay_ms": -1},
        {"delay_ms": 1.5},
        {"seed": "x"},
        {"refuse_heartbeats": 1},
        {"adjust_filters": "yes"},
        {"unknown": 1},
    ],
)
def test_plans_that_mean_nothing_are_refused(body):
    with pytest.raises(ValueError):
        read_plan(FaultPlan(), body)


def test_plan_survives_a_restart(tmp_path):
    journal = Journal(tmp_path)
    Faults(journal, 7).set(FaultPlan(drop=0.5, seed=9))
    journal.close()
    journal = Journal(tmp_path)
    assert Faults(journal, 7).plan == FaultPlan(drop=0.5, seed=9)
    journal.close()


def test_faults_are_set_and_read_over_http(sandbox):
    url = f"{sandbox.base_url}/sandbox/faults"
    assert requests.get(url, timeout=30).json()["seed"] == 7
    answer = requests.put(url, json={"drop": 0.05, "slow_ms": 1}, timeout=30)
    assert (answer.status_code, answer.json()["drop"]) == (200, 0.05)
    refused = requests.put(url, json={"drop": 2}, timeout=30)
    assert refused.status_code == 400
    assert requests.get(url, timeout=30).json()["drop"] == 0.05


def test_reads_fail_as_often_as_asked_and_the_same_in_every_run(sandbox):
    headers = authorized(sandbox)
    url = f"{sandbox.base_url}/fhir/Patient?_count=1"
    seen = []
    for _ in range(2):
        plan = {"http_500": 0.5, "seed": 3}
        requests.put(f"{sandbox.base_url}/sandbox/faults", json=plan, timeout=30)
        statuses = [
            requests.get(url, headers=headers, timeout=30).status_code
            for _ in range(12)
        ]
        assert set(statuses) == {200, 500}
        seen.append(statuses)
    assert seen[0] == seen[1]


def test_failed_read_is_an_operation_outcome_and_writes_are_spared(sandbox):
    headers = authorized(sandbox)
    plan = {"http_500": 1.0}
    requests.put(f"{sandbox.base_url}/sandbox/faults", json=plan, timeout=30)
    answer = requests.get(
        f"{sandbox.base_url}/fhir/Patient", headers=headers, timeout=5
    )
    assert answer.status_code == 500
    assert answer.json()["resourceType"] == "OperationOutcome"
    created = requests.post(
        f"{sandbox.base_url}/fhir/Patient",
        json={"resourceType": "Patient"},
        headers={**headers, "Content-Type": "application/fhir+json"},
        timeout=30,
    )
    assert created.status_code == 201


def test_revoked_tokens_are_refused(sandbox):
    headers = authorized(sandbox)
    url = f"{sandbox.base_url}/fhir/Patient"
    assert requests.get(url, headers=headers, timeout=30).status_code == 200
    revoked = requests.post(f"{sandbox.base_url}/sandbox/tokens/revoke", timeout=30)
    assert revoked.json() == {"revoked": True}
    assert requests.get(url, headers=headers, timeout=30).status_code == 401


def test_restart_answers_what_was_lost(sandbox):
    answer = requests.post(f"{sandbox.base_url}/sandbox/restart", timeout=30)
    assert (answer.status_code, answer.json()) == (200, {"lost": 0})
