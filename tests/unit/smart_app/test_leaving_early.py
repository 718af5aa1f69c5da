"""A browser that leaves, and an EHR that takes its time: who is asked for what then."""

import http.client
import threading
from collections.abc import Iterator

import pytest
from werkzeug.serving import make_server

from smart_app import pages, streaming
from tests.unit.smart_app.acts import agree, words


@pytest.fixture
def port(rig) -> Iterator[int]:
    """The app behind a real server, where a browser can leave."""
    server = make_server("127.0.0.1", 0, rig.http.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


class Ended(streaming.Patience):
    """Patience that tells when it ended, and whether anybody was still waiting."""

    told = threading.Event()

    def end(self) -> None:
        super().end()
        self.told.set()


def test_nothing_more_is_asked_for_a_browser_that_left(rig, port, monkeypatch):
    monkeypatch.setattr(pages, "Patience", Ended)
    Ended.told.clear()
    agree(rig)
    rig.ehr.batches = False
    path = rig.open()
    cookie = "; ".join(f"{one.key}={one.value}" for one in rig.http._cookies.values())
    rig.ehr.held = threading.Event()
    rig.ehr.log.clear()
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    link.request("GET", path, headers={"Cookie": cookie})
    answer = link.getresponse()
    assert b"Rosa Delgado" in answer.read1()
    # The batch that the EHR does not take is held; the reads would follow it.
    assert answer.read1() == b"\n"
    answer.close()
    link.close()
    assert Ended.told.wait(20)
    rig.ehr.held.set()
    still = threading.Event()
    assert not still.wait(1)
    assert [line for line in rig.ehr.log if " /fhir" in line] == ["POST /fhir"]


def test_a_page_leaves_by_its_time_and_says_what_was_not_answered(rig, monkeypatch):
    agree(rig)
    rig.ehr.batches = False
    rig.http.get(rig.open())
    path = rig.open()
    monkeypatch.setattr(pages, "PAGE_SECONDS", 1.0)
    rig.ehr.late = {"Consent"}
    rig.ehr.slow.clear()
    try:
        text = words(rig.http.get(path).text)
    finally:
        rig.ehr.slow.set()
    assert "Could not be read just now: visits, messages, consents" in text
    assert "Could not be read: consents" in text
    assert "Chart incomplete" in text
    assert "None planned The chart was not read in full" in text
    assert "1 of 1 topics The chart’s consents were not read" in text
    assert "All agreed" not in text
    assert "None recorded: consents" not in text
