"""The launch: one opening of the app from one chart by one person.

It holds hashes and sealed bytes, never a secret in clear. It may not talk to an EHR
or decide who gets in; the SMART app does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from middleware.desk import auditing
from middleware.desk.last import KEPT
from middleware.storage import entering, last_answers, later_launches, launches
from middleware.storage.database import Database

STARTED = "started"
PICKING = "picking"
OPEN = "open"
FAILED = "failed"
LOCKED = "locked"
CLOSED = "closed"
# Somebody is signed in, and the token may be used and renewed.
ALIVE = (PICKING, OPEN)
# A name that was read is taken to hold for so long.
NAME_KNOWN_FOR = timedelta(days=30)

Launch = launches.LaunchRow
Entry = entering.Entry
Coming = entering.Coming
LastAnswer = last_answers.LastAnswer


def new_launch(
    *,
    id: str,  # noqa: A002 -- the column's name
    endpoint_id: str,
    state_hash: str,
    cookie_hash: str,
    sealed: bytes,
    created_at: datetime,
    expires_at: datetime,
    context: dict[str, Any] | None = None,
) -> Launch:
    """Return a launch that has just begun: nobody and no patient known yet."""
    return Launch(
        id=id,
        endpoint_id=endpoint_id,
        state_hash=state_hash,
        cookie_hash=cookie_hash,
        sealed=sealed,
        patient=None,
        encounter=None,
        user_reference=None,
        user_name=None,
        scope=None,
        need_patient_banner=None,
        stage=STARTED,
        created_at=created_at,
        expires_at=expires_at,
        context=context or {},
    )


def note_step(launch: Launch, now: datetime, step: str, **detail: Any) -> None:
    """Add a step to the launch's way, ids and codes only; None is left out."""
    told = {name: value for name, value in detail.items() if value is not None}
    launch.steps.append({"at": now.isoformat(), "step": step, **told})


class LaunchBook:
    """The launches in the database, each call one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, launch: Launch) -> None:
        """Keep a new launch."""
        with self._database.tx() as tx:
            launches.insert_launch(tx, launch)

    def get(self, launch_id: str) -> Launch | None:
        """Return the launch with this id."""
        with self._database.single() as tx:
            return launches.get_launch(tx, launch_id)

    def enter(self, launch_id: str, coming: Coming) -> Entry | None:
        """Return the launch and what its page begins with, in one round trip.

        Where whoever comes looks at the first piece, that is audited with it.
        """
        with self._database.single() as tx:
            return entering.read_entry(tx, launch_id, coming, KEPT)

    def find(self, state_hash: str) -> Entry | None:
        """Return the launch whose ``state``, unused as yet, has this hash."""
        with self._database.single() as tx:
            return entering.find_begun(tx, state_hash)

    def take(self, state_hash: str) -> bool:
        """Use up the ``state``: a second call with it returns False."""
        with self._database.single() as tx:
            return launches.take_launch_state(tx, state_hash)

    def update(self, launch: Launch) -> None:
        """Write every column of the launch."""
        values = asdict(launch)
        with self._database.tx() as tx:
            launches.update_launch(tx, values.pop("id"), **values)

    def open(self, launch: Launch, now: datetime) -> None:
        """Write a launch that was opened with its Patient read; audited."""
        look = auditing.describe_opening(launch, named=True)
        values = {**asdict(launch), "look": look}
        with self._database.tx() as tx:
            launches.update_launch(tx, values.pop("id"), **values)
            launches.take_known_name(tx, launch, now - NAME_KNOWN_FOR)
            auditing.note_launch(tx, launch, now)

    def update_steps(self, launch: Launch) -> None:
        """Write how far the launch came, and nothing else of it."""
        with self._database.tx() as tx:
            launches.update_launch(tx, launch.id, steps=launch.steps)

    def note_fault(self, launch: Launch, now: datetime, code: str, said: str) -> None:
        """Keep with an open launch what did not work last: a code and the EHR's own."""
        told = {"at": now.isoformat(), "code": code, "said": said or "no answer"}
        with self._database.single() as tx:
            launches.set_last_fault(tx, launch.id, told)

    def claim_renewal(self, launch: Launch, now: datetime) -> bool:
        """Say that this process renews the token; False when another does or did."""
        with self._database.tx() as tx:
            return launches.claim_renewal(tx, launch, now)

    def settle_renewal(self, launch: Launch) -> None:
        """Keep what came of a renewal, and let the next one begin."""
        with self._database.tx() as tx:
            launches.settle_renewal(tx, launch)

    def end(self, launch: Launch, now: datetime) -> None:
        """Close a launch: its stage, why, and nothing sealed; audited."""
        with self._database.tx() as tx:
            if launches.end_launch(tx, launch):
                auditing.note_end(tx, launch, now)

    def insert_failure(
        self,
        failure_id: str,
        code: str,
        endpoint_id: str | None,
        found: str,
        now: datetime,
    ) -> str:
        """Keep that a launch failed before there was one; return the id.

        ``found`` is what did not fit of an EHR's own documents.
        """
        row = launches.FailureRow(failure_id, now, code, endpoint_id, found)
        with self._database.tx() as tx:
            launches.insert_failure(tx, row)
        return failure_id

    def touch(self, launch_id: str, now: datetime) -> None:
        """Remember that the launch was used at ``now``."""
        with self._database.tx() as tx:
            launches.update_launch(tx, launch_id, seen_at=now)

    def has_left_for_another(self, launch: Launch) -> bool:
        """Tell whether its user opened another chart since the launch was used."""
        with self._database.single() as tx:
            return later_launches.has_left_for_another(tx, launch)

    def bind_patient(
        self, launch: Launch, patient: str, now: datetime
    ) -> Launch | None:
        """Give a launch its patient, once; None when it has one already."""
        bound = replace(
            launch,
            patient=patient,
            stage=OPEN,
            seen_at=now,
            need_patient_banner=True,
        )
        bound = replace(bound, look=auditing.describe_opening(bound, named=False))
        with self._database.tx() as tx:
            if not launches.bind_patient(tx, bound):
                return None
            launches.take_known_name(tx, bound, now - NAME_KNOWN_FOR)
            auditing.note_launch(tx, bound, now)
        return bound

    def offer_handoff(self, launch_id: str, code_hash: str, until: datetime) -> None:
        """Let a window of its own take the launch over, with a code, until then."""
        with self._database.tx() as tx:
            launches.update_launch(
                tx, launch_id, handoff_hash=code_hash, handoff_until=until
            )

    def hand_over(
        self,
        code_hash: str,
        now: datetime,
        split: Callable[[Launch], tuple[Launch, Launch]],
    ) -> Launch | None:
        """Use the code up and keep both launches; None for no good code.

        ``split`` makes of the launch what stays of it and the new one.
        """
        with self._database.tx() as tx:
            old = launches.lock_handoff(tx, code_hash, now)
            if old is None:
                return None
            stays, new = split(old)
            launches.update_launch(
                tx,
                old.id,
                sealed=stays.sealed,
                steps=stays.steps,
                handoff_hash=None,
                handoff_until=None,
            )
            launches.insert_launch(tx, new)
            auditing.note_launch(tx, new, now)
        return new

    def set_user_name(self, launch: Launch, name: str, now: datetime) -> None:
        """Keep how the user of this launch is called; empty where nobody says it."""
        with self._database.tx() as tx:
            launches.set_user_name(tx, launch.id, name, now)

    def set_language(self, launch_id: str, language: str) -> None:
        """Remember the tag of the language in which this launch is read."""
        with self._database.tx() as tx:
            launches.update_launch(tx, launch_id, language=language)
