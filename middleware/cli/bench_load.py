"""The benchmark's load: a process that posts over keep-alive sockets and counts.

Each connection sends its next request when the answer to the last has come. It ends
by itself: by count, by time, and when no answer comes. It takes one JSON object on
stdin and prints one on stdout.
"""

from __future__ import annotations

import contextlib
import resource
import selectors
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial

import orjson

from middleware.cli.bench_bodies import (
    MIX,
    fill,
    full_resource_template,
    id_only_template,
)

SILENCE_SECONDS = 20.0
# Each number takes the next template of its size.
TEMPLATES: dict[str, tuple[Callable[[str], tuple[bytes, ...]], ...]] = {
    "3kb": (id_only_template,),
    "60kb": (full_resource_template,),
    "mixed": tuple(partial(id_only_template, kind=kind) for kind in MIX),
}
_SEND_BUFFER = 512 * 1024
_LENGTH = b"content-length: "


@dataclass(frozen=True)
class Load:
    """What is posted where: ``count`` requests at most, for ``seconds`` at most.

    ``first`` is the number of the first body; each has its own. With a ``rate`` (per
    second) each is sent when its turn comes, whatever became of those before.
    """

    port: int
    path: str
    secret: str
    size: str
    base: str
    first: int
    count: int
    seconds: float
    connections: int
    rate: float = 0.0


@dataclass
class Outcome:
    """What came of it: ``refused`` are the numbers that were not answered 200.

    ``latencies`` are in seconds, ``cpu_seconds`` the load's own, ``statuses`` how
    often each status came (0: the connection broke). ``turns`` are when each was to be
    sent, by the system's monotonic clock, where there is a rate.
    """

    sent: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    turns: list[float] = field(default_factory=list)


@dataclass
class _Line:
    """One connection: what it waits for and what has come of it."""

    socket: socket.socket
    number: int = -1
    since: float = 0.0
    answer: bytes = b""


class _Posting:
    """One run of a load."""

    def __init__(self, load: Load) -> None:
        self._load = load
        templates = [make(load.base) for make in TEMPLATES[load.size]]
        self._bodies = [(_head(load, template), template) for template in templates]
        self._idle: list[_Line] = []
        self._selector = selectors.DefaultSelector()
        self._busy = 0
        self._began = 0.0
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Post until the count or the time is over and all answers have come."""
        for _ in range(self._load.connections):
            self._selector.register(
                opened := self._open(), selectors.EVENT_READ, _Line(opened)
            )
        used = _cpu()
        began = time.perf_counter()
        self._began, until = began, began + self._load.seconds
        for key in list(self._selector.get_map().values()):
            self._next(key.data, until)
        while self._busy or self._idle:
            wait = self._turn() - time.perf_counter() if self._idle else SILENCE_SECONDS
            ready = self._selector.select(max(wait, 0.0))
            if not ready and not self._idle:
                raise SystemExit(f"no answer came for {SILENCE_SECONDS:.0f} s")
            for key, _ in ready:
                self._read(key.data, until)
            idle, self._idle = self._idle, []
            for line in idle:
                self._next(line, until)
        self.outcome.seconds = time.perf_counter() - began
        self.outcome.cpu_seconds = _cpu() - used
        return self.outcome

    def _open(self) -> socket.socket:
        opened = socket.create_connection(
            ("127.0.0.1", self._load.port), SILENCE_SECONDS
        )
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        return opened

    def _turn(self) -> float:
        """Return when the next one is to be sent."""
        return self._began + self.outcome.sent / self._load.rate

    def _next(self, line: _Line, until: float) -> None:
        line.since = time.perf_counter()
        if self.outcome.sent >= self._load.count or line.since >= until:
            line.number = -1
            return
        if self._load.rate:
            turn = self._turn()
            if line.since < turn:
                line.number = -1
                self._idle.append(line)
                return
            line.since = turn
            self.outcome.turns.append(turn)
        line.number = self._load.first + self.outcome.sent
        self.outcome.sent += 1
        self._busy += 1
        try:
            head, template = self._bodies[line.number % len(self._bodies)]
            line.socket.sendall(head + fill(template, line.number))
        except OSError:
            self._broken(line, until)

    def _read(self, line: _Line, until: float) -> None:
        try:
            piece = line.socket.recv(65536)
        except OSError:
            piece = b""
        if not piece:
            self._broken(line, until)
            return
        line.answer += piece
        if _is_whole(line.answer):
            self.outcome.latencies.append(time.perf_counter() - line.since)
            self._settle(line, line.answer[9:12].decode(), until)

    def _broken(self, line: _Line, until: float) -> None:
        """Take the connection's end for a refusal, and go on with another one."""
        with contextlib.suppress(KeyError):
            self._selector.unregister(line.socket)
        line.socket.close()
        if line.number < 0:
            return
        line.socket = self._open()
        self._selector.register(line.socket, selectors.EVENT_READ, line)
        self._settle(line, "0", until)

    def _settle(self, line: _Line, status: str, until: float) -> None:
        self.outcome.statuses[status] = self.outcome.statuses.get(status, 0) + 1
        if status != "200":
            self.outcome.refused.append(line.number)
        line.answer = b""
        self._busy -= 1
        self._next(line, until)


def _head(load: Load, template: tuple[bytes, ...]) -> bytes:
    size = len(fill(template, load.first))
    return (
        f"POST {load.path} HTTP/1.1\r\nHost: 127.0.0.1:{load.port}\r\n"
        f"X-CareCue-Secret: {load.secret}\r\nUser-Agent: carecue-bench\r\n"
        f"Content-Type: application/fhir+json\r\nContent-Length: {size}\r\n\r\n"
    ).encode()


def _is_whole(answer: bytes) -> bool:
    """Tell whether the headers and as many bytes as they announce are there."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    at = answer[:end].lower().find(_LENGTH)
    if at < 0:
        return True
    length = int(answer[at + len(_LENGTH) : end].split(b"\r\n", 1)[0])
    return len(answer) >= end + 4 + length


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run the load that stdin describes and print its outcome."""
    outcome = _Posting(Load(**orjson.loads(sys.stdin.buffer.read()))).run()
    sys.stdout.buffer.write(orjson.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
