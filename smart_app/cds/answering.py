"""One call answered: proven, read, and a card made, within the time that an EHR waits.

The work runs in a thread of its own. When its time is over the EHR gets the card that
could be made by then, or none, and what is found later (the keys) helps the next call.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLateError
from dataclasses import dataclass
from typing import Any

from mappings.errors import CareCueError, CdsError, CdsReason, FhirError
from middleware.desk.cards import Card
from middleware.desk.cds import Seen
from middleware.desk.viewer import viewer_of
from smart_app.cds.calls import PREFETCH, Call, read_body, read_call, read_feedback
from smart_app.cds.ports import CdsPorts
from smart_app.cds.proof import Proof, prove_claim, read_claim
from smart_app.fetched import Fetched

WORKERS = 8
FORCED_AFTER_SECONDS = 30.0
ROOT = "/cds-services"
CLINICIANS = ("Practitioner/", "PractitionerRole/")


Found = tuple[Seen, Card] | None


@dataclass(frozen=True)
class Service:
    """A service of ours; ``stay`` tells whether a call is about an Encounter's end."""

    id: str
    hook: str
    title: str
    description: str
    stay: bool = False

    @property
    def prefetch(self) -> dict[str, str]:
        """Return what the EHR is asked to send along."""
        names = ("patient", "encounter") if self.stay else ("patient",)
        return {name: PREFETCH[name] for name in names}


SERVICES = {
    item.id: item
    for item in (
        Service(
            "carecue-patient-view",
            "patient-view",
            "How to reach this patient",
            "Says whether, how and in which language this patient may be messaged, "
            "when that asks something of a person or is new to the user.",
        ),
        Service(
            "carecue-encounter-discharge",
            "encounter-discharge",
            "Follow-up after this stay",
            "Says which follow-up messages a discharge leads to and why, or why none.",
            stay=True,
        ),
    )
}


@dataclass(frozen=True)
class Asked:
    """What came over HTTP: the Authorization header, the body, the reader's language."""

    authorization: str
    body: bytes
    language: str


@dataclass
class Trace:
    """What is known of a call while it is worked on, for who stops waiting for it.

    ``endpoint_id`` is the one that the call says to speak for; ``reason`` why there
    is no card. ``found`` is the card so far, ``known`` whether it may stand: also none,
    where none is due.
    """

    service: str
    endpoint_id: str = ""
    reason: CdsReason | None = None
    found: Found = None
    known: bool = False


class CdsHooks:
    """The services over their ports."""

    def __init__(self, ports: CdsPorts) -> None:
        self._ports = ports
        self._keys = Fetched(ports.fetch_keys, pause=FORCED_AFTER_SECONDS)
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="cds")
        self._places = threading.BoundedSemaphore(WORKERS)

    def answer(self, service: Service, asked: Asked) -> dict[str, Any]:
        """Return ``cards``: one, or none. CdsError refuses the call."""
        trace = Trace(service.id)
        with self._noting(trace):
            found = self._in_time(trace, lambda: self._work(service, asked, trace))
        if found is None:
            return {"cards": []}
        seen, card = found
        card_id = self._ports.ids.new()
        self._ports.desk.note_shown(seen, card, card_id)
        return {"cards": [self._write(card, card_id)]}

    def take_feedback(self, service: Service, asked: Asked) -> None:
        """Keep what came of our cards. CdsError (404) where none of them is known."""
        url = f"{self._ports.public_url}{ROOT}/{service.id}"
        trace = Trace(service.id)
        with self._noting(trace):
            proof = self._prove(asked, (f"{url}/feedback", url), trace)
            told = read_feedback(read_body(asked.body))
            if not self._ports.desk.note_feedback(proof.endpoints, service.id, told):
                raise CdsError(
                    "None of these cards was made for this EHR by this service; "
                    "nothing was kept.",
                    status=404,
                    reason="card-unknown",
                    code="not-found",
                )

    @contextlib.contextmanager
    def _noting(self, trace: Trace) -> Iterator[None]:
        """Note why a call got no card: what was raised, or what ``trace`` says."""
        try:
            yield
        except CareCueError as error:
            trace.reason = error.reason if isinstance(error, CdsError) else "broken"
            raise
        finally:
            if trace.reason is not None:
                self._ports.desk.note_refused(
                    trace.reason, trace.service, trace.endpoint_id
                )

    def _work(self, service: Service, asked: Asked, trace: Trace) -> Found:
        url = f"{self._ports.public_url}{ROOT}/{service.id}"
        proof = self._prove(asked, (url,), trace)
        body = read_body(asked.body)
        call = read_call(body, service.hook, proof.endpoints, stay=service.stay)
        trace.endpoint_id = call.endpoint.id
        if not call.user.startswith(CLINICIANS):
            return None
        seen = Seen(call.endpoint, call.patient, call.user, service.id)
        self._read(call, seen, asked.language, trace)
        return trace.found

    def _prove(self, asked: Asked, audiences: tuple[str, ...], trace: Trace) -> Proof:
        ports = self._ports
        claimed = read_claim(asked.authorization, ports.endpoints())
        trace.endpoint_id = claimed.endpoint_id
        proof = prove_claim(
            claimed,
            lambda endpoint, url, fresh: self._keys.find(endpoint, url, fresh=fresh),
            audiences=audiences,
            now=ports.clock.now(),
        )
        if not ports.desk.take_token(proof.mark, proof.expires_at):
            raise CdsError(
                "The call's JWT was used before; each call needs a jti of its own. No "
                "card was made and nothing was read.",
                status=401,
                reason="jwt-replayed",
                code="login",
            )
        return proof

    def _read(self, call: Call, seen: Seen, language: str, trace: Trace) -> None:
        """Keep the card in ``trace`` as the chart comes. CdsError refuses the call."""
        ports = self._ports
        api = ports.fhir(call.endpoint, call.token) if call.token else None
        try:
            for card in ports.desk.read_cards(
                seen, api, call.encounter, viewer_of(language), call.told
            ):
                trace.found = None if card is None else (seen, card)
                trace.known = True
        except FhirError as error:
            if error.status is None or error.status >= 500:
                if not trace.known:
                    trace.reason = "chart-unread"
                return
            raise CdsError(
                "The chart could not be read with what the EHR permits us, so no card "
                "was made.",
                status=412,
                reason="not-permitted",
                code="security" if error.status in (401, 403) else "not-found",
            ) from None

    def _in_time(self, trace: Trace, work: Callable[[], Found]) -> Found:
        """Return what the work gives, or had found when the time was over."""
        if not self._places.acquire(blocking=False):
            trace.reason = "too-busy"
            return None
        running: Future[Found] = self._pool.submit(work)
        running.add_done_callback(lambda _: self._places.release())
        try:
            return running.result(timeout=self._ports.seconds)
        except TooLateError:
            if not trace.known:
                trace.reason = "too-late"
            return trace.found

    def _write(self, card: Card, card_id: str) -> dict[str, Any]:
        launch = f"{self._ports.public_url}/smart/launch"
        return {
            "uuid": card_id,
            "summary": card.summary,
            "detail": card.detail,
            "indicator": card.indicator,
            "source": {"label": "CareCue"},
            "links": [{"label": "Open CareCue", "url": launch, "type": "smart"}],
        }
