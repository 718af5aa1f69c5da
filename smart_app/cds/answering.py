"""One call answered: proven, read, and a card made, within the time that an EHR waits.

The work runs in a thread of its own. When its time is over the EHR gets no card, and
what was found meanwhile (the keys) helps the next call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLateError
from dataclasses import dataclass
from typing import Any

from mappings.errors import CdsError, FhirError
from middleware.desk.cards import Card
from middleware.desk.cds import Seen
from middleware.desk.viewer import viewer_of
from smart_app.cds.calls import Call, read_body, read_call, read_feedback
from smart_app.cds.ports import CdsPorts
from smart_app.cds.proof import Proof, check_call
from smart_app.fetched import Fetched

WORKERS = 8
FORCED_AFTER_SECONDS = 30.0
ROOT = "/cds-services"
CLINICIANS = ("Practitioner/", "PractitionerRole/")


@dataclass(frozen=True)
class Service:
    """A service of ours; ``stay`` tells whether a call is about an Encounter's end."""

    id: str
    hook: str
    title: str
    description: str
    stay: bool = False


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


class CdsHooks:
    """The services over their ports."""

    def __init__(self, ports: CdsPorts) -> None:
        self._ports = ports
        self._keys = Fetched(ports.fetch_keys, pause=FORCED_AFTER_SECONDS)
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="cds")
        self._places = threading.BoundedSemaphore(WORKERS)

    def answer(self, service: Service, asked: Asked) -> dict[str, Any]:
        """Return ``cards``: one, or none. CdsError refuses the call."""
        found = self._in_time(lambda: self._work(service, asked))
        if found is None:
            return {"cards": []}
        seen, card = found
        card_id = self._ports.ids.new()
        self._ports.desk.note_shown(seen, card, card_id)
        return {"cards": [self._write(card, card_id)]}

    def take_feedback(self, service: Service, asked: Asked) -> None:
        """Keep what came of our cards. CdsError (404) where none of them is known."""
        url = f"{self._ports.public_url}{ROOT}/{service.id}"
        proof = self._prove(asked, (f"{url}/feedback", url))
        told = read_feedback(read_body(asked.body))
        if not self._ports.desk.note_feedback(proof.endpoints, service.id, told):
            raise CdsError(
                "None of these cards was made for this EHR by this service; nothing "
                "was kept.",
                status=404,
                code="not-found",
            )

    def _work(self, service: Service, asked: Asked) -> tuple[Seen, Card] | None:
        url = f"{self._ports.public_url}{ROOT}/{service.id}"
        proof = self._prove(asked, (url,))
        body = read_body(asked.body)
        call = read_call(body, service.hook, proof.endpoints, stay=service.stay)
        if not call.user.startswith(CLINICIANS):
            return None
        seen = Seen(call.endpoint, call.patient, call.user, service.id)
        card = self._read(call, seen, asked.language)
        return None if card is None else (seen, card)

    def _prove(self, asked: Asked, audiences: tuple[str, ...]) -> Proof:
        ports = self._ports
        proof = check_call(
            asked.authorization,
            ports.endpoints(),
            lambda endpoint, url, fresh: self._keys.find(endpoint, url, fresh=fresh),
            audiences=audiences,
            now=ports.clock.now(),
        )
        if not ports.desk.take_token(proof.mark, proof.expires_at):
            raise CdsError(
                "The call's JWT was used before; each call needs a jti of its own. No "
                "card was made and nothing was read.",
                status=401,
                code="login",
            )
        return proof

    def _read(self, call: Call, seen: Seen, language: str) -> Card | None:
        ports = self._ports
        api = ports.fhir(call.endpoint, call.token) if call.token else None
        try:
            return ports.desk.write_card(seen, api, call.encounter, viewer_of(language))
        except FhirError as error:
            if error.status is None or error.status >= 500:
                return None
            raise CdsError(
                "The chart could not be read with what the EHR permits us, so no card "
                "was made.",
                status=412,
                code="security" if error.status in (401, 403) else "not-found",
            ) from None

    def _in_time(
        self, work: Callable[[], tuple[Seen, Card] | None]
    ) -> tuple[Seen, Card] | None:
        """Return what the work gives; None when it takes too long or too much goes on."""
        if not self._places.acquire(blocking=False):
            return None
        running: Future[tuple[Seen, Card] | None] = self._pool.submit(work)
        running.add_done_callback(lambda _: self._places.release())
        try:
            return running.result(timeout=self._ports.seconds)
        except TooLateError:
            return None

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
