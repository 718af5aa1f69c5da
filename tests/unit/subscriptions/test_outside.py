"""Notifications collected from real servers and guides, where they are at hand."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from mappings.errors import NotificationError
from subscriptions.notification import NotificationType
from subscriptions.parsing import parse_notification

FOLDER = Path(__file__).parents[3].parent / "shared" / "fixtures" / "notifications"
FILES = sorted(FOLDER.glob("**/*.json"))
KINDS = {"Bundle", "Parameters", "SubscriptionStatus"}


SAMPLES = FOLDER.parent / "samples"
MESSAGES = sorted(
    path
    for path in [*SAMPLES.glob("**/*.json"), *FOLDER.glob("davinci-alerts/*.json")]
    if orjson.loads(path.read_bytes()).get("type") == "message"
)


def name_of(path: Path) -> str:
    return str(path.relative_to(FOLDER.parent))


def is_notification(path: Path) -> bool:
    if "invalid" in path.parts or "davinci-alerts" in path.parts:
        return False
    parsed = orjson.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    return parsed.get("resourceType") in KINDS


GOOD = [path for path in FILES if is_notification(path)]
BAD = [path for path in FILES if "invalid" in path.parts]


def expected_type(name: str) -> NotificationType:
    for word, kind in (
        ("handshake", NotificationType.HANDSHAKE),
        ("heartbeat", NotificationType.HEARTBEAT),
        ("query-status", NotificationType.QUERY_STATUS),
        ("r4b-notification-error", NotificationType.QUERY_STATUS),
    ):
        if word in name:
            return kind
    return NotificationType.EVENT


@pytest.mark.skipif(not GOOD, reason="the collection is not at hand")
@pytest.mark.parametrize("path", GOOD, ids=name_of)
def test_a_collected_notification_is_read(path: Path) -> None:
    found = parse_notification("POST", "", {}, path.read_bytes())
    assert found.type == expected_type(name_of(path))
    assert found.subscription
    if found.type is NotificationType.EVENT:
        assert len(found.events) >= 1
    if "id-only" in path.name or "full-resource" in path.name:
        assert all(event.focus for event in found.events)


@pytest.mark.skipif(not BAD, reason="the collection is not at hand")
@pytest.mark.parametrize("path", BAD, ids=name_of)
def test_a_collected_fault_is_set_aside(path: Path) -> None:
    if path.stem == "foreign-focus":
        found = parse_notification("POST", "", {}, path.read_bytes())
        assert (found.events[0].focus_base or "").startswith("http://169.254.")
        return
    with pytest.raises(NotificationError) as caught:
        parse_notification("POST", "", {}, path.read_bytes())
    assert caught.value.quarantine


def read_http(path: Path) -> tuple[str, str, dict[str, str], bytes]:
    head, _, body = path.read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")
    first, *lines = head.decode().splitlines()
    method, target, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines)
    return method, "/".join(target.split("/")[2:]), headers, body


REQUESTS = sorted((FOLDER / "synthetic-from-code").glob("*.http"))


@pytest.mark.skipif(not REQUESTS, reason="the collection is not at hand")
@pytest.mark.parametrize("path", REQUESTS, ids=name_of)
def test_a_collected_request_names_its_resource(path: Path) -> None:
    found = parse_notification(*read_http(path))
    assert found.type is NotificationType.RESOURCE
    assert [event.focus for event in found.events] == ["Encounter/e1"]
    deleted = "delete" in path.name
    assert found.events[0].interaction == ("delete" if deleted else "update")


@pytest.mark.skipif(not MESSAGES, reason="the collection is not at hand")
@pytest.mark.parametrize("path", MESSAGES, ids=name_of)
def test_a_collected_message_keeps_its_kind_and_is_not_lost(path: Path) -> None:
    found = parse_notification("POST", "$process-message", {}, path.read_bytes())
    if found.subscription is not None:
        assert found.type is NotificationType.EVENT
        return
    assert found.topic is not None
    for word in ("admit", "discharge", "transfer", "booking"):
        assert (word in path.name) <= (word in found.topic)
    assert {
        event.focus_type or event.focus.partition("/")[0]
        for event in found.events
        if event.focus_type or event.focus
    } <= {"Encounter", "Appointment"}
    assert found.events


CLOUD = sorted((FOLDER / "synthetic-from-code").glob("azure*.json"))


@pytest.mark.skipif(not CLOUD, reason="the collection is not at hand")
@pytest.mark.parametrize("path", CLOUD, ids=name_of)
def test_a_collected_cloud_event_is_read(path: Path) -> None:
    for body in (path.read_bytes(), b"[" + path.read_bytes() + b"]"):
        found = parse_notification("POST", "", {}, body)
        assert [(e.focus, e.version) for e in found.events] == [("Encounter/e1", "1")]
