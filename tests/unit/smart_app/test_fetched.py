"""What is fetched before anybody waits for it, and how often."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from mappings.errors import FhirError
from middleware.cli.demo_connect import sandbox_endpoint
from smart_app.fetched import Fetched

URL = "https://ehr.example.org/jwks"
NORTH = sandbox_endpoint("https://ehr.example.org", "America/New_York")


class Server:
    """Answers when it is let, and counts."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.let = threading.Event()
        self.count = 0
        self.broken = False

    def fetch(self, endpoint, url: str) -> int:
        self.count += 1
        self.asked.release()
        assert self.let.wait(10)
        if self.broken:
            raise FhirError("it is broken")
        return self.count


@pytest.fixture
def server() -> Server:
    return Server()


def test_who_comes_while_it_is_fetched_ahead_waits_for_that(server):
    fetched = Fetched(server.fetch, pause=5)
    fetched.prefetch(NORTH, URL)
    assert server.asked.acquire(timeout=10)
    with ThreadPoolExecutor(max_workers=3) as pool:
        found = [pool.submit(fetched.find, NORTH, URL, fresh=False) for _ in range(3)]
        server.let.set()
        assert [one.result(timeout=10) for one in found] == [1, 1, 1]
    assert server.count == 1


def test_a_set_that_does_not_fit_is_asked_for_anew_once(server):
    server.let.set()
    fetched = Fetched(server.fetch, pause=60)
    assert fetched.find(NORTH, URL, fresh=False) == 1
    assert fetched.find(NORTH, URL, fresh=True) == 2
    assert fetched.find(NORTH, URL, fresh=True) == 2


def test_what_was_kept_does_not_outlive_the_registration_it_was_read_for(server):
    server.let.set()
    fetched = Fetched(server.fetch, pause=60)
    assert fetched.find(NORTH, URL, fresh=False) == 1
    read_again = replace(NORTH, profile=dict(NORTH.profile))
    assert fetched.find(read_again, URL, fresh=False) == 1
    mended = replace(NORTH, profile={**NORTH.profile, "jwks_uri": URL})
    assert fetched.find(mended, URL, fresh=False) == 2
    assert fetched.find(mended, URL, fresh=False) == 2


def test_strangers_launches_do_not_make_us_ask_again_and_again(server):
    server.broken = True
    server.let.set()
    fetched = Fetched(server.fetch, pause=60)
    for _ in range(5):
        fetched.prefetch(NORTH, URL)
    assert server.asked.acquire(timeout=10)
    assert not server.asked.acquire(timeout=0.2)
    with pytest.raises(FhirError, match="broken"):
        fetched.find(NORTH, URL, fresh=False)


def test_what_is_young_is_not_fetched_ahead(server):
    server.let.set()
    fetched = Fetched(server.fetch, pause=0)
    fetched.find(NORTH, URL, fresh=False)
    fetched.prefetch(NORTH, URL)
    assert server.asked.acquire(timeout=10)
    assert not server.asked.acquire(timeout=0.2)


def test_the_callback_finds_keys_and_document_at_hand(rig):
    first = rig.http.get(
        "/smart/launch", query_string={"iss": rig.ehr.base, "launch": "opaque-1"}
    )
    code, state = rig.ehr.approve(first.location), rig.ehr.state(first.location)
    waiting, end = threading.Event(), 1000
    while not any("/jwks" in line for line in rig.ehr.log) and (end := end - 1):
        waiting.wait(0.01)
    before = len(rig.ehr.log)
    answer = rig.http.get(f"/smart/callback?code={code}&state={state}")
    assert answer.status_code == 303
    later = rig.ehr.log[before:]
    assert "/token" in later[0]
    assert not any("/jwks" in line or "configuration" in line for line in later)
