"""What a page shows of one patient: plain values with the words already chosen.

Nothing here reads or decides. Text from the chart is text, never markup.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tag:
    """A short status: ``kind`` ok, info, warn, stop, off or quiet; an icon; words."""

    kind: str
    icon: str
    text: str


@dataclass(frozen=True)
class Identity:
    """Who the chart is about, as the chart says it."""

    reference: str
    name: str
    given: str
    age: str
    sex: str
    born: str
    mrn: str


@dataclass(frozen=True)
class Answer:
    """The five-second answer. ``hours`` is the part of the sentence kept on a line.

    ``flags`` are what has to be known before anything else, whatever the sentence;
    ``step`` is the form in which what is missing is recorded. ``sends`` is True where it
    says that a message may go.
    """

    tag: Tag
    sentence: str
    hours: str
    lede: str
    flags: tuple[Tag, ...] = ()
    step: str = ""
    sends: bool = False


@dataclass(frozen=True)
class Known:
    """How complete a section is: counts, and what is behind each of them.

    ``missing`` where something was not permitted or failed.
    """

    summary: str
    lines: tuple[str, ...]
    missing: bool


@dataclass(frozen=True)
class Words:
    """What the patient said matters, in their language, with its provenance.

    ``translation`` is as recorded with it, never made here; ``reading`` its language.
    """

    text: str
    language: str
    source: str
    translation: str = ""
    reading: str = ""


@dataclass(frozen=True)
class Fact:
    """One of the four facts; ``pips`` are filled for each message of the week."""

    label: str
    value: str
    note: str
    pips: tuple[bool, ...] = ()


@dataclass(frozen=True)
class Instant:
    """A time in the patient's zone, for people and (``iso``) for machines."""

    iso: str
    day: str
    time: str


@dataclass(frozen=True)
class Coming:
    """One message or step of staff that is planned or held, and what stops it.

    ``language`` is that of the title and sentences where the viewer reads another;
    ``here`` marks what follows from what the page was opened from.
    """

    id: str
    when: Instant
    title: str
    why: str
    stops: str
    tag: Tag
    moved: str = ""
    staff: bool = False
    language: str = ""
    here: Tag | None = None


@dataclass(frozen=True)
class Check:
    """One of the six looks before a message goes out; ``note`` is what was found."""

    passed: bool
    name: str
    note: str


@dataclass(frozen=True)
class Reading:
    """The same message in the viewer's language: to understand it, never to be sent."""

    language: str
    text: str


@dataclass(frozen=True)
class Preview:
    """The exact text of one coming message and what it rests on.

    ``held`` says that it does not go as things are: the text is what would go.
    """

    coming: Coming
    language: str
    language_name: str
    channel: str
    address: str
    subject: str
    text: str
    segments: str
    reviewer: str
    verdict: Tag
    sentence: str
    facts: tuple[str, ...]
    level: str = ""
    reading: Reading | None = None
    checks: tuple[Check, ...] = ()
    held: bool = False


@dataclass(frozen=True)
class Dot:
    """One sent message in the chart: ``at`` from 0 to 100 over the window."""

    lane: str
    at: float
    answered: bool


@dataclass(frozen=True)
class Sent:
    """One row of the history; ``language`` is the title's where the viewer's is another."""

    day: str
    iso: str
    title: str
    tag: Tag
    note: str
    language: str = ""


@dataclass(frozen=True)
class Tally:
    """One way of contact in numbers: how many went out, how many were answered."""

    word: str
    sent: int
    answered: int
    usual: str


@dataclass(frozen=True)
class History:
    """What was sent and what came back. ``months`` are (label, position 0-100)."""

    finding: str
    window: str
    label: str
    lanes: tuple[str, ...]
    months: tuple[tuple[str, float], ...]
    dots: tuple[Dot, ...]
    rows: tuple[Sent, ...]
    total: int
    tallies: tuple[Tally, ...]


@dataclass(frozen=True)
class ChannelRow:
    """One channel in the patient's order; ``off`` says why it is not used."""

    channel: str
    word: str
    address: str
    tag: Tag | None
    off: str


@dataclass(frozen=True)
class Hours:
    """The allowed hours: ``first`` to ``last`` of the local day, and when it is less."""

    text: str
    first: float
    last: float
    first_text: str
    last_text: str
    next_hour: float | None
    next_text: str
    less: str


@dataclass(frozen=True)
class TopicRow:
    """One topic with the patient's answer; ``near`` where it speaks to this patient."""

    name: str
    tag: Tag
    note: str
    topic: str = ""
    near: bool = True


@dataclass(frozen=True)
class Page:
    """Everything on the clinician's page of one patient.

    ``versions`` names the newest record of each preference, for the optimistic check
    of a save. ``gaps`` are sentences on what could not be read, ``elsewhere`` one where
    nothing that comes follows from what the page was opened from.
    """

    identity: Identity
    chart_read: str
    zone: str
    answer: Answer
    words: Words | None
    facts: tuple[Fact, ...]
    coming: tuple[Coming, ...]
    history: History
    channels: tuple[ChannelRow, ...]
    hours: Hours
    topics: tuple[TopicRow, ...]
    paused: bool
    can_pause: bool
    versions: dict[str, str]
    gaps: tuple[str, ...]
    elsewhere: str
    conflicts: tuple[str, ...]
    known: dict[str, Known]


@dataclass(frozen=True)
class Choice:
    """One option of a form."""

    value: str
    text: str


@dataclass(frozen=True)
class Actor:
    """Who is saving: a reference under the EHR's base, and a name for provenance.

    ``user`` is who it is, by every name that the EHR gave; empty where it gave none.
    """

    reference: str
    name: str
    user: str = ""
