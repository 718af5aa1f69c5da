"""Keeping deliveries that come at the same time with one statement and one commit.

Every sender waits for the commit with its own rows in it. Who comes while nobody writes
writes at once; who comes while another does waits until that is done, and the first of
those who waited writes for all of them. A statement that takes long holds nobody up:
after a moment another one is begun beside it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence

from mappings.errors import StorageError
from middleware.storage.intake import IntakeDatabase
from middleware.storage.notifications import Delivery, insert_notifications

PATIENCE_SECONDS = 0.05
MOST_WRITERS = 4
MOST_TOGETHER = 64
MOST_BYTES = 4 * 1024 * 1024


class Keeper:
    """Keeps deliveries through ``database``; any number of threads may call it."""

    def __init__(self, database: IntakeDatabase) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._writers = 0
        self._line: deque[_Waiting] = deque()

    def keep(self, delivery: Delivery, until: float) -> None:
        """Return when the delivery is committed; raises StorageError.

        At the latest at ``until`` (monotonic seconds); whether it was kept is not
        known then.
        """
        mine = _Waiting(delivery)
        with self._lock:
            if self._writers == 0:
                self._writers, mine.turn = 1, True
            else:
                self._line.append(mine)
        if not mine.turn:
            self._wait(mine, until)
        if mine.turn:
            self._write_with_others(mine, until)
        if mine.alone:
            self._write([mine], until)
        if mine.fault is not None:
            raise mine.fault

    def _wait(self, mine: _Waiting, until: float) -> None:
        """Wait until another has written this one, or it is its turn to write."""
        if mine.told.acquire(timeout=min(_left(until), PATIENCE_SECONDS)):
            return
        in_time = _left(until) > 0
        if in_time and (self._begin(mine) or mine.told.acquire(timeout=_left(until))):
            return
        with self._lock:
            if mine in self._line:
                self._line.remove(mine)
        if mine.turn:
            self._pass_on()
        raise StorageError("it could not be written in time; whether it was is unknown")

    def _begin(self, mine: _Waiting) -> bool:
        """Take a turn beside statements that take long, unless those are many."""
        with self._lock:
            if mine not in self._line or self._writers >= MOST_WRITERS:
                return False
            self._line.remove(mine)
            self._writers += 1
            mine.turn = True
            return True

    def _write_with_others(self, mine: _Waiting, until: float) -> None:
        together = self._gather(mine)
        try:
            self._write(together, until)
        finally:
            self._pass_on()
            for other in together[1:]:
                other.told.release()

    def _gather(self, mine: _Waiting) -> list[_Waiting]:
        """Take those who wait, as many as one statement is made for."""
        together, size = [mine], mine.size
        with self._lock:
            while self._line and len(together) < MOST_TOGETHER:
                size += self._line[0].size
                if size > MOST_BYTES:
                    break
                together.append(self._line.popleft())
        return together

    def _write(self, together: Sequence[_Waiting], until: float) -> None:
        """Write them; what the database will not take is tried one by one."""
        fault: StorageError | None = StorageError("the writing broke off")
        try:
            with self._database.statement(until) as cursor:
                insert_notifications(cursor, [each.delivery for each in together])
            fault = None
        except StorageError as error:
            fault = error
        finally:
            for each in together:
                each.end(fault, many=len(together) > 1)

    def _pass_on(self) -> None:
        """Let the next in line write, or leave the place free."""
        with self._lock:
            if not self._line:
                self._writers -= 1
                return
            following = self._line.popleft()
            following.turn = True
        following.told.release()


class _Waiting:
    """One delivery and what became of it; ``told`` is released when that is known.

    ``turn``: it writes, for itself and others. ``alone``: it must be written by itself.
    """

    __slots__ = ("alone", "delivery", "fault", "size", "told", "turn")

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.size = len(delivery[0].body)
        self.fault: StorageError | None = None
        self.turn = False
        self.alone = False
        self.told = threading.Lock()
        self.told.acquire()

    def end(self, fault: StorageError | None, *, many: bool) -> None:
        """Note what came of the statement that this was in, with ``many`` others."""
        refused = fault is not None and fault.permanent
        self.alone = many and refused
        # Each thread raises an error of its own.
        self.fault = fault and StorageError(fault.message, permanent=fault.permanent)


def _left(until: float) -> float:
    return max(until - time.monotonic(), 0.0)
