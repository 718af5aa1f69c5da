"""Gathered wake-ups: none is lost, and many are sent as few."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from middleware.storage.gathering import GatheredWakes


class Sent:
    """Remembers what was sent; the first sending waits until it is let go."""

    def __init__(self) -> None:
        self.calls: list[list[tuple[str, int]]] = []
        self.begun = threading.Event()
        self.go = threading.Event()

    def __call__(self, shards: Iterable[tuple[str, int]]) -> None:
        self.calls.append(list(shards))
        self.begun.set()
        assert self.go.wait(10)


def test_what_comes_while_one_is_sent_goes_out_together():
    sent = Sent()
    wakes = GatheredWakes(sent, pause_seconds=0)
    wakes.wake("resolve", 1)
    assert sent.begun.wait(10)
    for shard in (3, 2, 3, 1) * 100:
        wakes.wake("resolve", shard)
    sent.go.set()
    wakes.close()
    called = [shards for shards in sent.calls if shards]
    assert called == [
        [("resolve", 1)],
        [("resolve", 1), ("resolve", 2), ("resolve", 3)],
    ]


def test_close_without_a_wake_sends_nothing():
    sent = Sent()
    GatheredWakes(sent).close()
    assert [shards for shards in sent.calls if shards] == []


def test_close_sends_what_is_left_in_a_pause():
    sent = Sent()
    sent.go.set()
    wakes = GatheredWakes(sent, pause_seconds=60)
    wakes.wake("resolve", 1)
    assert sent.begun.wait(10)
    wakes.wake("resolve", 2)
    wakes.close()
    assert [shards for shards in sent.calls if shards][-1] == [("resolve", 2)]
