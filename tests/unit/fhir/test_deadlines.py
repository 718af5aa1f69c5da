from __future__ import annotations

import threading

from middleware.fhir.deadlines import Deadlines

PATIENCE = 20.0


def test_what_is_over_is_called_the_shortest_first() -> None:
    deadlines, called, over = Deadlines(), list[str](), threading.Event()
    # Begun while the thread already waits for a longer one.
    deadlines.begin(0.2, over.set)
    deadlines.begin(0.1, lambda: called.append("second"))
    deadlines.begin(0.01, lambda: called.append("first"))
    assert over.wait(PATIENCE)
    assert called == ["first", "second"]


def test_what_was_ended_is_not_called() -> None:
    deadlines, called, over = Deadlines(), list[str](), threading.Event()
    ended = deadlines.begin(0.05, lambda: called.append("ended"))
    deadlines.begin(0.1, over.set)
    deadlines.end(ended)
    assert over.wait(PATIENCE)
    assert not called


def test_many_share_one_thread() -> None:
    deadlines, over = Deadlines(), threading.Event()
    before = threading.active_count()
    for _ in range(500):
        deadlines.end(deadlines.begin(0.01, over.clear))
    assert threading.active_count() == before + 1
    deadlines.begin(0.02, over.set)
    assert over.wait(PATIENCE)
    later = threading.Event()
    deadlines.begin(0.0, later.set)
    assert later.wait(PATIENCE)
