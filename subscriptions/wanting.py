"""Which Subscriptions an endpoint should have, and in which form each is asked for.

Pure. The best form comes first: a topic that tells of every change of a type, else R4
criteria; where all are refused, polling alone remains.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from mappings.dialects.dialect import (
    Channel,
    Content,
    Dialect,
    Filters,
    Form,
    Spelling,
    TopicRule,
)
from mappings.dialects.registry import KNOWN_TOPICS
from subscriptions.definition import Pace, write_subscription
from subscriptions.proving import Proof


@dataclass(frozen=True)
class Way:
    """One way of asking: form, topic, content, filters and the server's spelling.

    ``heartbeat`` in seconds; None asks for none.
    """

    form: Form
    topic: str | None = None
    content: Content = "id-only"
    filters: Filters = ()
    heartbeat: int | None = 300
    batch: int = 20
    spelling: Spelling = "query"
    extensions: tuple[dict[str, Any], ...] = ()
    channel_extensions: tuple[dict[str, Any], ...] = ()
    secret_extension: str | None = None
    status: str = "requested"
    channel: Channel = "rest-hook"


@dataclass(frozen=True)
class Wanted:
    """One Subscription that an endpoint should have; the best way comes first.

    ``slot`` tells several for one type apart (a topic, a patient, a practice).
    ``secret_header`` names the header of the create that carries the secret, ``suffix``
    follows the FHIR base, ``patience`` is how many seconds an activation may take.
    """

    resource_type: str
    ways: tuple[Way, ...]
    slot: str = ""
    note: str = ""
    secret_header: str | None = None
    suffix: str = ""
    patience: int = 300

    @property
    def proof(self) -> Proof:
        """Return how deliveries are proved: by HMAC where the server is told a secret."""
        signed = self.secret_header or any(way.secret_extension for way in self.ways)
        return Proof.HMAC if signed else Proof.HEADER


@dataclass(frozen=True)
class Wish:
    """What a person asked for instead of what would be chosen; None leaves it open."""

    form: Form | None = None
    topic: str | None = None
    content: Content | None = None


def choose_wanted(
    dialect: Dialect,
    version: str,
    topics: Sequence[TopicRule],
    types: Sequence[str],
    profile: Mapping[str, Any],
    wish: Wish | None = None,
) -> tuple[Wanted, ...]:
    """Return the Subscriptions for some types; ``version`` is the server's FHIR.

    The profile's ``channel`` may be websocket, where the server cannot reach us.
    """
    wish = wish or Wish()
    socket = profile.get("channel") == "websocket"
    channel: Channel = "websocket" if socket else "rest-hook"
    chosen: list[Wanted] = []
    for kind in types:
        if not dialect.pushes and wish.form is None:
            chosen.append(_wanted(dialect, kind, (), note=dialect.note))
            continue
        found = _slots(dialect, version, topics, kind, profile, wish)
        note = "" if any(found.values()) else _missing_note(dialect, kind)
        for slot, ways in found.items():
            told = [replace(way, channel=channel) for way in ways]
            chosen.append(_wanted(dialect, kind, told, slot=slot, note=note))
    return tuple(chosen)


def write_way(
    way: Way, resource_type: str, url: str, secret: str, end: datetime
) -> dict[str, Any]:
    """Return the Subscription that asks in this way; raises BadInputError."""
    extensions = list(way.extensions)
    if way.secret_extension:
        extensions.append({"url": way.secret_extension, "valueString": secret})
    written = write_subscription(
        way.form,
        resource_type,
        url,
        secret,
        end,
        content=way.content,
        topic=way.topic,
        filters=way.filters,
        pace=Pace(heartbeat=way.heartbeat, batch=way.batch),
        extra_extensions=extensions,
        channel_extensions=way.channel_extensions,
        spelling=way.spelling,
        channel=way.channel,
    )
    return {**written, "status": way.status}


def dump_wanted(wanted: Wanted) -> dict[str, Any]:
    """Return a JSON object that ``load_wanted`` reads."""
    return asdict(wanted)


def load_wanted(stored: Mapping[str, Any]) -> Wanted:
    """Read what ``dump_wanted`` wrote."""
    ways = tuple(
        Way(
            **{
                **way,
                "filters": tuple((name, value) for name, value in way["filters"]),
                "extensions": tuple(way["extensions"]),
                "channel_extensions": tuple(way["channel_extensions"]),
            }
        )
        for way in stored["ways"]
    )
    return Wanted(**{**stored, "ways": ways})


def _wanted(
    dialect: Dialect, kind: str, ways: Iterable[Way], *, slot: str = "", note: str = ""
) -> Wanted:
    return Wanted(
        resource_type=kind,
        ways=tuple(ways),
        slot=slot,
        note=note,
        secret_header=dialect.secret_header,
        suffix=dialect.suffix,
        patience=dialect.patience,
    )


def _slots(
    dialect: Dialect,
    version: str,
    topics: Sequence[TopicRule],
    kind: str,
    profile: Mapping[str, Any],
    wish: Wish,
) -> dict[str, tuple[Way, ...]]:
    """Return the ways of each slot of one type."""
    criteria = _criteria_ways(dialect, version, wish)
    form = _topic_form(dialect, version, wish)
    if form is None:
        return {"": criteria}
    rules = _fitting(dialect, topics, kind, wish)
    whole = [rule for rule in rules if rule.whole]
    slots: dict[str, tuple[Way, ...]] = {}
    for rule in whole[:1] or rules:
        topic_way = _topic_way(dialect, form, rule, wish)
        for value, filters in _each(rule, profile):
            named = rule.canonical.rpartition("/")[2] if not rule.whole else ""
            slot = "|".join(part for part in (named, value) if part)
            way = replace(topic_way, filters=(*rule.filters, *filters))
            # Criteria of a whole type would tell of every patient once more each.
            slots[slot] = (way, *criteria) if not slot else (way,)
    return slots or {"": criteria}


def _missing_note(dialect: Dialect, kind: str) -> str:
    """Say what has to be named before anything can be asked for."""
    for rule in dialect.rules:
        if kind in rule.types and rule.each:
            return f"[profile] {rule.each.key} names nothing to subscribe to"
    return f"{dialect.title} publishes no topic that tells of every {kind}"


def _topic_form(dialect: Dialect, version: str, wish: Wish) -> Form | None:
    if wish.form is not None:
        return None if wish.form == "criteria" else wish.form
    short = ".".join(version.split(".")[:2])
    if short not in dialect.topic_versions:
        return None
    if short == "5.0":
        return "r5"
    return "backport" if "backport" in dialect.forms else None


def _criteria_ways(dialect: Dialect, version: str, wish: Wish) -> tuple[Way, ...]:
    """Return the way by criteria, where the server's FHIR has criteria at all."""
    wished = wish.form in (None, "criteria")
    able = "criteria" in dialect.forms or wish.form == "criteria"
    if not (wished and able) or version.startswith("5."):
        return ()
    return (
        Way(
            "criteria",
            content=wish.content or dialect.content,
            heartbeat=None,
            channel_extensions=dialect.channel_extensions,
            secret_extension=dialect.secret_extension,
            status=dialect.create_status,
        ),
    )


def _fitting(
    dialect: Dialect, topics: Sequence[TopicRule], kind: str, wish: Wish
) -> list[TopicRule]:
    if wish.topic is not None:
        known = KNOWN_TOPICS.get(wish.topic)
        return [known or TopicRule(wish.topic, (kind,))]
    rules = {rule.canonical: rule for rule in (*dialect.rules, *topics)}
    return [rule for rule in rules.values() if kind in rule.types]


def _topic_way(dialect: Dialect, form: Form, rule: TopicRule, wish: Wish) -> Way:
    return Way(
        form,
        topic=rule.canonical,
        content=wish.content or dialect.content,
        heartbeat=dialect.heartbeat,
        batch=dialect.batch,
        spelling=dialect.spelling,
        channel_extensions=dialect.channel_extensions if form == "backport" else (),
        secret_extension=dialect.secret_extension,
        status=dialect.create_status,
    )


def _each(rule: TopicRule, profile: Mapping[str, Any]) -> list[tuple[str, Filters]]:
    """Return (value, filter) for each listed value; none is listed, none is asked."""
    if rule.each is None:
        return [("", ())]
    each = rule.each
    return [
        (str(value), ((each.parameter, each.template.format(value)),))
        for value in profile.get(each.key, ())
    ]
