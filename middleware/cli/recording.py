"""``carecue patient record``: what only our own store can keep, written down by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click
import orjson

from mappings.content import shipped_resources
from mappings.endpoint import Endpoint
from mappings.errors import BadInputError, CareCueError
from mappings.preference import ConsentRecord, PreferenceRecord, Who
from mappings.recipient import read_address_value
from middleware.cli.output import fail
from middleware.decisions.loss import TOLD
from middleware.settings import read_settings
from middleware.stages.context import StageContext
from middleware.stages.recording import check_people, record_consent, record_preference
from middleware.storage import endpoints
from middleware.wiring.pipeline import stage_context
from middleware.wiring.runtime import open_runtime

NOTHING = "Nothing was recorded."
_PATIENT = re.compile(r"Patient/[A-Za-z0-9.-]{1,64}")
_BESIDE = re.compile(r"RelatedPerson/[A-Za-z0-9.-]{1,64}")
Command = Callable[..., None]


@dataclass(frozen=True)
class Said:
    """Whose words about whom, how they were said, and who writes them down."""

    endpoint: str
    patient: str
    said_by: str
    how: str
    by: str
    as_json: bool

    @property
    def who(self) -> Who:
        """Return whose answer it is."""
        return Who(self.said_by)


@dataclass(frozen=True)
class Desk:
    """Where it is recorded, and when."""

    context: StageContext
    endpoint: Endpoint
    now: datetime


def _options(command: Command) -> Command:
    """Give a command the options that say who said it, how, and about whom."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        click.option("--by", required=True, help="Who writes it down; it is audited."),
        click.option("--how", required=True, help='How it was said: "by phone".'),
        click.option(
            "--said-by",
            type=click.Choice(["patient", "staff"]),
            required=True,
            help="Whose answer it is.",
        ),
        click.option("--patient", required=True, help="As in Patient/123."),
        click.option("--endpoint", required=True, help="The endpoint's id."),
    ):
        command = option(command)
    return command


@click.group()
def record() -> None:
    """Write down what a patient said about being reached: who said it, and how."""


@record.command()
@click.option("--to", help="The one place, as in sms:+13125550142 or email:a@b.org.")
@click.option("--staff-only", is_flag=True, help="No place: only staff reach out.")
@click.option("--none", "lifted", is_flag=True, help="The request is taken back.")
@_options
def confidential(to: str | None, staff_only: bool, lifted: bool, **said: Any) -> None:
    """Be reached in one way only: no other place, nobody else, no voicemail.

    \b
    Example:
      carecue patient record confidential --to sms:+13125550142 --endpoint north \\
        --patient Patient/123 --said-by patient --how "at the desk" --by "A. Mehta"
    """
    with _recording(Said(**said)) as (told, desk):
        if sum((to is not None, staff_only, lifted)) != 1:
            raise BadInputError(f"Say one of --to, --staff-only and --none. {NOTHING}")
        value: Any = None
        if to is not None:
            system, place = _point(to)
            value = {"system": system, "value": place, "note": ""}
        elif staff_only:
            value = {"system": None, "value": "", "note": ""}
        _look_at(desk, told, (), sure=lifted)
        _prefer(desk, told, "confidential", value)


@record.command()
@click.argument("people", nargs=-1)
@click.option("--none", "lifted", is_flag=True, help="The order is taken back.")
@_options
def recipients(people: tuple[str, ...], lifted: bool, **said: Any) -> None:
    """Say who gets the messages, the first to be tried first.

    \b
    Example:
      carecue patient record recipients Patient/123 RelatedPerson/9 --endpoint north \\
        --patient Patient/123 --said-by patient --how "by phone" --by "A. Mehta"
    """
    with _recording(Said(**said)) as (told, desk):
        if lifted == bool(people):
            raise BadInputError(f"Name the people in order, or --none. {NOTHING}")
        beside = [name for name in people if name != told.patient]
        _look_at(desk, told, beside, sure=True)
        _prefer(desk, told, "recipients", list(dict.fromkeys(people)) or None)


@record.command()
@click.option("--yes/--no", "permit", required=True, help="A permission or a denial.")
@click.option("--at", help="The place, as in sms:+13125550142 or email:a@b.org.")
@click.option("--topic", default="*", help="One topic; without it all of them.")
@click.option("--proxy", help="Who is told, as in RelatedPerson/9.")
@_options
def consent(
    permit: bool, at: str | None, topic: str, proxy: str | None, **said: Any
) -> None:
    """Record a yes or a no to messages, to the patient or to somebody beside them.

    With --proxy and without --at it is about whether they may be told at all; both
    answers are needed before anything goes to them.

    \b
    Examples:
      carecue patient record consent --yes --at sms:+13125550142 --endpoint north \\
        --patient Patient/123 --said-by patient --how "on paper" --by "A. Mehta"
      carecue patient record consent --yes --proxy RelatedPerson/9 --endpoint north \\
        --patient Patient/123 --said-by patient --how "on paper" --by "A. Mehta"
    """
    with _recording(Said(**said)) as (told, desk):
        if at is None and proxy is None:
            raise BadInputError(f"Name the place with --at, or --proxy. {NOTHING}")
        if topic not in ("*", *_topics()):
            known = ", ".join(_topics())
            raise BadInputError(f"There is no topic {topic!r}: {known}. {NOTHING}")
        system, value = _point(at) if at is not None else ("*", "*")
        _look_at(desk, told, [proxy] if proxy else [], sure=permit)
        answer = ConsentRecord(
            id=desk.context.ids.new(),
            endpoint_id=desk.endpoint.id,
            patient=told.patient,
            system=system,
            value=value,
            topic=topic,
            permit=permit,
            who=told.who,
            how=told.how,
            recorded_at=desk.now,
            recorded_by=told.by,
            actor=proxy,
        )
        record_consent(desk.context, desk.endpoint, told.patient, answer, told.by)


@record.command()
@click.option("--told/--none", "told_of", required=True, help="There was one, or none.")
@_options
def loss(told_of: bool, **said: Any) -> None:
    """Record that a pregnancy was lost, or that this was a mistake.

    For 12 months no greeting goes out and nothing about a birth.

    \b
    Example:
      carecue patient record loss --none --endpoint north --patient Patient/123 \\
        --said-by staff --how "misread reply" --by "A. Mehta"
    """
    with _recording(Said(**said)) as (told, desk):
        _look_at(desk, told, (), sure=not told_of)
        _prefer(desk, told, TOLD, True if told_of else None)


@contextmanager
def _recording(said: Said) -> Iterator[tuple[Said, Desk]]:
    """Open what is needed, and say at the end that it was recorded."""
    try:
        if not _PATIENT.fullmatch(said.patient):
            raise BadInputError(
                f"--patient must be a reference like Patient/123. {NOTHING}"
            )
        for name, text in (("--how", said.how), ("--by", said.by)):
            if not text.strip():
                raise BadInputError(f"{name} must not be empty. {NOTHING}")
        with open_runtime(read_settings()) as runtime:
            with runtime.database.tx() as tx:
                endpoint = endpoints.get_endpoint(tx, said.endpoint)
            if endpoint is None:
                raise BadInputError(
                    f"There is no endpoint {said.endpoint!r}; `carecue endpoint list` "
                    f"names them. {NOTHING}"
                )
            yield said, Desk(stage_context(runtime), endpoint, runtime.clock.now())
    except CareCueError as error:
        fail(error)
    if said.as_json:
        told = {"recorded": True, "endpoint": said.endpoint, "patient": said.patient}
        click.echo(orjson.dumps(told))
    else:
        click.echo(f"Recorded of {said.patient}, by {said.by}.")


def _look_at(desk: Desk, said: Said, beside: Sequence[str], *, sure: bool) -> None:
    """Make sure that the EHR knows everybody who is named."""
    for name in beside:
        if not _BESIDE.fullmatch(name):
            raise BadInputError(
                f"{name} is neither the patient nor like RelatedPerson/9. {NOTHING}"
            )
    check_people(desk.context, desk.endpoint, said.patient, beside, sure=sure)


def _prefer(desk: Desk, said: Said, name: str, value: Any) -> None:
    words = PreferenceRecord(name, value, said.who, said.how, desk.now, said.by)
    record_preference(desk.context, desk.endpoint, said.patient, words, said.by)


def _point(text: str) -> tuple[str, str]:
    system, sign, value = text.partition(":")
    found = read_address_value(system, value) if sign else None
    if found is None or system not in ("sms", "email"):
        raise BadInputError(
            f"{text!r} is no place like sms:+13125550142 or email:a@b.org. {NOTHING}"
        )
    return found


def _topics() -> list[str]:
    """Return the topics by name; a fixed answer to a reply is none to choose."""
    return [
        str(item["code"])
        for resource in shipped_resources()
        if resource.get("id") == "topic"
        for item in resource["concept"]
        if item["code"] != "reply"
    ]
