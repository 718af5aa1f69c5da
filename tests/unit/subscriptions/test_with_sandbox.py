"""Every form and content, from the Subscription to the kept notification."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from werkzeug.serving import make_server

from middleware.clock import SystemClock
from middleware.sandbox.server import Running
from subscriptions.definition import write_subscription
from subscriptions.keys import inbox_keys
from subscriptions.notification import Notification, NotificationType
from subscriptions.receiver import Received, Registered, make_receiver

SECRET = "0123456789abcdef0123456789abcdef"
TOPIC = "http://sandbox.example.org/SubscriptionTopic/encounter-change"
SHAPE = {
    "url": "http://sandbox.example.org/StructureDefinition/notification-shape",
    "valueCode": "r5",
}
VISIT: dict[str, Any] = {
    "resourceType": "Encounter",
    "status": "in-progress",
    "class": {
        "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
        "code": "IMP",
    },
}


class Listener:
    """The receiver over a store in memory."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, Received]] = []
        self.changed = threading.Condition()
        app = make_receiver(self, SystemClock())
        self.server = make_server("127.0.0.1", 0, app, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks"

    def find(self, hook_key: str, until: float, *, fresh: bool = False) -> Registered:
        return Registered(hook_key, "e", "Encounter", (SECRET,))

    def keep(self, registered: Registered, received: Received, until: float) -> None:
        with self.changed:
            self.kept.append((registered.subscription_id, received))
            self.changed.notify_all()

    def wait(self, hook_key: str, *kinds: NotificationType) -> Received:
        def find() -> Received | None:
            for key, received in self.kept:
                told = received.notification
                if key == hook_key and told is not None and told.type in kinds:
                    return received
            return None

        with self.changed:
            found = self.changed.wait_for(find, timeout=60)
        assert found is not None
        return found


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    made = Listener()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    with Running() as running:
        yield running


def send(
    sandbox: Running, method: str, path: str, resource: dict[str, Any]
) -> dict[str, Any]:
    url = sandbox.base_url
    token = requests.post(f"{url}/sandbox/token", timeout=30).json()["access_token"]
    answer = requests.request(
        method,
        f"{url}/fhir/{path}",
        json=resource,
        headers={
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/fhir+json",
        },
        timeout=10,
    )
    assert answer.status_code in {200, 201}, answer.text
    made: dict[str, Any] = answer.json()
    return made


FORMS = [
    ("criteria", "id-only", (), "r4-criteria"),
    *(
        ("backport", content, extensions, form)
        for content in ("empty", "id-only", "full-resource")
        for extensions, form in (((), "r4-backport"), ((SHAPE,), "r5"))
    ),
]


@pytest.mark.peer("the sandbox", "R4 criteria: PUT of the resource")
@pytest.mark.peer("the sandbox", "R4 backport: empty, id-only, full-resource")
@pytest.mark.peer("the sandbox", "R5: empty, id-only, full-resource")
@pytest.mark.parametrize(("form", "content", "extensions", "wire"), FORMS)
def test_a_change_is_told(
    sandbox: Running,
    listener: Listener,
    form: Any,
    content: Any,
    extensions: tuple[dict[str, str], ...],
    wire: str,
) -> None:
    hook = f"{form}-{content}-{wire}"
    subscription = write_subscription(
        form,
        "Encounter",
        f"{listener.url}/{hook}",
        SECRET,
        datetime.now(UTC) + timedelta(days=30),
        content=content,
        topic=None if form == "criteria" else TOPIC,
        extra_extensions=extensions,
    )
    made = send(sandbox, "POST", "Subscription", subscription)
    if form == "backport":
        listener.wait(hook, NotificationType.HANDSHAKE)
    wait_until_active(sandbox, made["id"])
    visit = send(sandbox, "POST", "Encounter", VISIT)
    received = listener.wait(hook, NotificationType.EVENT, NotificationType.RESOURCE)
    told: Notification | None = received.notification
    assert told is not None
    assert (told.form, len(told.events)) == (wire, 1)
    (event,) = told.events
    if content == "empty":
        assert (event.focus, event.number) == (None, 1)
    else:
        assert (event.focus, event.version) == (f"Encounter/{visit['id']}", "1")
    with_resource = form == "criteria" or content == "full-resource"
    assert event.resource == (visit if with_resource else None)
    (key,) = inbox_keys(hook, told, body=received.body, arrival="n1")
    assert inbox_keys(hook, told, body=received.body, arrival="n2") == (key,)
    assert {r.error for k, r in listener.kept if k == hook} == {None}


def wait_until_active(sandbox: Running, identifier: str) -> None:
    """The server turns it active after it has read our answer to the handshake."""
    quiet = threading.Event()
    url = f"{sandbox.base_url}/fhir/Subscription/{identifier}"
    token = requests.post(f"{sandbox.base_url}/sandbox/token", timeout=30).json()
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    for _ in range(200):
        if requests.get(url, headers=headers, timeout=30).json()["status"] == "active":
            return
        quiet.wait(0.02)
    raise AssertionError("the subscription did not become active")
