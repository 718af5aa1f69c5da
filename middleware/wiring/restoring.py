"""After a restore: ask provider and EHR what the database has forgotten.

Everything is held while the mark stands; it goes only when every source was read to
its end. Running the check again changes nothing that was settled.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mappings.endpoint import Endpoint
from middleware.channels.listing import ProviderText
from middleware.stages.context import StageContext
from middleware.stages.handover import settle_orphans
from middleware.stages.recalling_replies import recall_reply
from middleware.stages.recollecting import (
    Planned,
    leave_forgotten,
    list_planned,
    recall_communication,
    recall_text,
)
from middleware.storage import (
    audit,
    endpoints,
    marks,
    preferences,
    restoring,
    shards,
)
from middleware.storage.ids import SHARDS, shard_of
from middleware.storage.restoring import RestoreMark
from middleware.wiring.generations import check_generation, note_generation
from middleware.wiring.pipeline import stage_context
from middleware.wiring.restore_result import Findings, RestoreCheck
from middleware.wiring.restore_sources import (
    Said,
    catch_up,
    fetch_communications,
    fetch_texts,
)
from middleware.wiring.runtime import Runtime

__all__ = [
    "RestoreCheck",
    "check_generation",
    "check_restore",
    "mark_restore",
    "note_generation",
]

OVERLAP = timedelta(days=7)
PATIENCE = 30.0
QUIET = timedelta(minutes=5)
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)

People = dict[str, set[tuple[str, str]]]


def mark_restore(
    runtime: Runtime, by: str, *, since: datetime | None = None
) -> RestoreMark:
    """Hold everything from now on; ``since`` is when the backup was taken.

    Without it, a week before the newest message or reply that the database knows.
    """
    now = runtime.clock.now()
    with runtime.database.tx() as tx:
        newest = restoring.newest_known(tx)
        start = since or (newest - OVERLAP if newest else BEGINNING)
        mark = RestoreMark(now, start, f"marked by {by}")
        restoring.put_restore_mark(tx, mark)
        detail = {"since": start.isoformat()}
        audit.insert_audit(tx, by, "restore-mark", now, detail=detail)
    return mark


def check_restore(
    runtime: Runtime, by: str, *, patience: float = PATIENCE
) -> RestoreCheck:
    """Reconcile what was forgotten and end the hold when nothing is left open.

    ``patience`` is how many seconds a worker is given to decide on what the EHRs'
    histories since the backup bring.
    """
    with runtime.database.tx() as tx:
        mark = restoring.read_restore_mark(tx)
        known = {item.id: item for item in endpoints.list_endpoints(tx)}
    if mark is None:
        return RestoreCheck(complete=True, marked=False, since=None)
    check = _Check(stage_context(runtime), mark, known)
    check.run(patience)
    now = runtime.clock.now()
    woken: list[int] = []
    with runtime.database.tx() as tx:
        if restoring.count_sending(tx):
            check.findings.faults.append("A delivery is still under way.")
        result = check.result()
        if result.complete:
            marks.delete_mark(tx, marks.RESTORE_UNCHECKED)
            woken = restoring.look_again(tx, check.held, now)
        audit.insert_audit(tx, by, "restore-check", now, detail=result.as_json())
    for shard in range(SHARDS):
        runtime.wakes.wake("record", shard)
    for shard in woken:
        runtime.wakes.wake("deliver", shard)
    return result


@dataclass
class _Check:
    """One run. ``held`` are nudges whose time has come and that only this holds."""

    context: StageContext
    mark: RestoreMark
    known: Mapping[str, Endpoint]
    findings: Findings = field(default_factory=Findings)
    held: list[str] = field(default_factory=list)

    def run(self, patience: float) -> None:
        """Read every source, then make rows of what they say; denials first."""
        known = tuple(self.known.values())
        texts = fetch_texts(self.context, self.mark, self.findings)
        self._replies([text for text in texts if text.incoming])
        catch_up(self.context, known, self.findings, patience)
        said = fetch_communications(self.context, known, self.mark, self.findings)
        sent = {text.provider_id: text for text in texts if not text.incoming}
        self._each_shard(said, sent)

    def result(self) -> RestoreCheck:
        """Return what was found so far."""
        found = self.findings
        return RestoreCheck(
            complete=not found.faults,
            marked=True,
            since=self.mark.since,
            counts=dict(found.counts),
            faults=tuple(found.faults),
            notes=tuple(found.notes),
        )

    def _replies(self, incoming: Sequence[ProviderText]) -> None:
        for text in incoming:
            with self.context.database.tx() as tx:
                people = preferences.list_patients_at(tx, "sms", text.address)
                reply = recall_reply(self.context, tx, self.known, text, people)
            if reply is not None:
                self.findings.counts["replies_recalled"] += 1
                self.findings.counts["denials_recalled"] += "stop" in reply.intents

    def _each_shard(
        self, said: Sequence[Said], sent: Mapping[str, ProviderText]
    ) -> None:
        """First what is certain, over all shards; then what only the texts tell."""
        for shard in range(SHARDS):
            with self._hold(shard) as epoch:
                if epoch is not None:
                    self._take_over(shard, epoch, said, sent)
        quiet = self.context.clock.now() - QUIET
        with self.context.database.tx() as tx:
            settled = restoring.settle_lonely(tx, quiet)
        self.findings.counts["sending_settled"] += settled
        people = self._strange_texts(sent)
        for shard in range(SHARDS):
            with self._hold(shard) as epoch:
                if epoch is not None:
                    self._compare(shard, people, sent)
        strangers = sum(not known_people for known_people in people.values())
        self.findings.counts["texts_of_strangers"] = strangers

    @contextlib.contextmanager
    def _hold(self, shard: int) -> Iterator[int | None]:
        """Hold a deliver shard; a worker lets go of one within two seconds."""
        deadline, pause = time.monotonic() + 10, threading.Event()
        with contextlib.ExitStack() as stack:
            held = None
            while held is None and time.monotonic() < deadline:
                stack.close()
                held = stack.enter_context(
                    shards.hold(self.context.database, "deliver", shard)
                )
                if held is None:
                    pause.wait(0.1)
            if held is None:
                self.findings.faults.append(f"Shard {shard} of deliver is busy.")
            yield held.epoch if held else None

    def _take_over(
        self,
        shard: int,
        epoch: int,
        said: Sequence[Said],
        sent: Mapping[str, ProviderText],
    ) -> None:
        """Take over the EHR's Communications, then settle what was under way."""
        now, counts = self.context.clock.now(), self.findings.counts
        for endpoint, item in said:
            if shard_of(endpoint.id, item.patient) == shard:
                with self.context.database.tx() as tx:
                    found = recall_communication(tx, endpoint, item, sent, now)
                counts["deliveries_from_ehr"] += found.fresh
                counts["nudges_ended"] += len(found.ended)
        with self.context.database.tx() as tx:
            before = restoring.count_sending(tx)
        settle_orphans(self.context, shard, epoch, now)
        with self.context.database.tx() as tx:
            counts["sending_settled"] += before - restoring.count_sending(tx)

    def _strange_texts(self, sent: Mapping[str, ProviderText]) -> People:
        """Return who may have got each text that no delivery of ours knows."""
        found: People = {}
        with self.context.database.tx() as tx:
            for name, text in sent.items():
                if not restoring.knows_text(tx, name):
                    people = preferences.list_patients_at(tx, "sms", text.address)
                    found[name] = {one for one in people if one[0] in self.known}
        return found

    def _compare(
        self, shard: int, people: People, sent: Mapping[str, ProviderText]
    ) -> None:
        """Lay texts that we do not know beside the open nudges of one shard."""
        now = self.context.clock.now()
        with self.context.database.tx() as tx:
            planned = list_planned(
                self.context, tx, self.known, shard, self.mark.since, now
            )
        for name, known_people in people.items():
            text = sent[name]
            known_people |= {item.person for item in planned if item.goes_to(text)}
            for person in sorted(known_people):
                if shard_of(*person) == shard:
                    theirs = [item for item in planned if item.person == person]
                    ended = self._recall(text, person, theirs, now)
                    planned = [item for item in planned if item.nudge.id not in ended]
        for item in planned:
            self._leave(item, now)

    def _recall(
        self,
        text: ProviderText,
        person: tuple[str, str],
        planned: Sequence[Planned],
        now: datetime,
    ) -> set[str]:
        """Count one text against one patient; return the nudges that it ended."""
        endpoint = self.known[person[0]]
        with self.context.database.tx() as tx:
            found = recall_text(
                self.context, tx, endpoint, text, person[1], planned, now
            )
        counts = self.findings.counts
        counts["deliveries_from_provider"] += found.fresh
        counts["nudges_ended"] += len(found.ended)
        counts["left_to_people"] += len(found.doubtful)
        return {*found.ended, *found.doubtful}

    def _leave(self, item: Planned, now: datetime) -> None:
        """Leave an e-mail that may have gone to a person; note what may go now."""
        mark, nudge = self.mark, item.nudge
        could_go = item.first_due <= mark.marked_at and nudge.expires_at >= mark.since
        if item.candidate.channel == "email" and could_go:
            with self.context.database.tx() as tx:
                endpoint = self.known[nudge.endpoint_id]
                leave_forgotten(self.context, tx, endpoint, nudge, now)
            self.findings.counts["left_to_people"] += 1
        elif item.first_due <= now:
            self.held.append(nudge.id)
