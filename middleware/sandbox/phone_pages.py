"""Pages `/phone/`: what each patient's phone shows, and a way to text back.

It may not keep anything. Everything is escaped by the templates; nothing inline
runs; times are those of the simulated clock, where the patient lives.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import flask
from markupsafe import Markup, escape
from werkzeug.wrappers import Response

from middleware.sandbox.carrier import Message, read_keyword, read_number
from middleware.sandbox.owners import Owner, contact_values, find_owner
from middleware.sandbox.phones import Phones

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_LINK = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?)]")
STATUS_WORDS = {
    "queued": "Sending",
    "sent": "Sent",
    "delivered": "Delivered",
    "undelivered": "Not delivered",
    "failed": "Not delivered",
    "received": "",
}


@dataclass(frozen=True)
class Row:
    """One phone in the list."""

    number: str
    owner: Owner
    last: Message | None
    unread: int


@dataclass(frozen=True)
class Bubble:
    """One text in a conversation; `day` is set on the first of each day.

    `note` is what the carrier did because of it.
    """

    message: Message
    day: str
    note: str
    is_last: bool


def register(app: flask.Flask) -> None:
    """Add the pages, and the filters `links`, `clock_time`, `telephone`."""
    pages = flask.Blueprint("phone_pages", __name__, url_prefix="/phone")
    pages.add_url_rule("/", view_func=show_phones)
    pages.add_url_rule("/list", view_func=show_phone_list)
    pages.add_url_rule("/<number>", view_func=show_phone)
    pages.add_url_rule("/<number>", view_func=send_text, methods=["POST"])
    pages.add_url_rule("/<number>/thread", view_func=show_thread)
    pages.add_url_rule("/<number>/carrier", view_func=set_carrier, methods=["POST"])
    pages.before_request(refuse_foreign_forms)
    pages.after_request(close_in)
    app.register_blueprint(pages)
    app.add_template_filter(write_links, "links")
    app.add_template_filter(write_time, "clock_time")
    app.add_template_filter(write_number, "telephone")


def close_in(response: Response) -> Response:
    """Set the policy under which every page of phones and mailboxes is shown."""
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response


def refuse_foreign_forms() -> tuple[str, int] | None:
    """Refuse a form that another site posts; a Flask hook."""
    request = flask.request
    if request.method != "POST":
        return None
    if request.headers.get("Sec-Fetch-Site", "same-origin") in {"same-origin", "none"}:
        return None
    return "This form was sent by another site. Nothing was sent.", 403


def show_phones() -> str:
    """Show the list of phones."""
    return flask.render_template("phone_list.html", rows=_rows())


def show_phone_list() -> str:
    """Answer the list alone, for the refresh."""
    return flask.render_template(
        "phone_list_rows.html", rows=_rows(), at=flask.request.args.get("at")
    )


def show_phone(number: str) -> tuple[str, int]:
    """Show one phone with its conversation."""
    e164 = read_number(number)
    if e164 is None:
        return flask.render_template("phone_unknown.html"), 404
    return flask.render_template(
        "phone.html", rows=_rows(), at=e164, number=e164, **_conversation(e164)
    ), 200


def show_thread(number: str) -> tuple[str, int]:
    """Answer one conversation alone, for the refresh."""
    e164 = read_number(number)
    if e164 is None:
        return "", 404
    values = _conversation(e164)
    return flask.render_template("phone_thread.html", number=e164, **values), 200


def send_text(number: str) -> Response:
    """Text back as the patient would, then show the phone again."""
    e164 = read_number(number)
    text = flask.request.form.get("text", "").strip()
    if e164 is not None and text:
        _phones().reply(e164, text[:1600])
    return flask.redirect(flask.url_for("phone_pages.show_phone", number=number), 303)


def set_carrier(number: str) -> Response:
    """Make a phone reachable or not, then show it again."""
    e164 = read_number(number)
    reachable = flask.request.form.get("reachable") == "yes"
    if e164 is not None:
        _phones().set_reachable(e164, reachable=reachable)
    return flask.redirect(flask.url_for("phone_pages.show_phone", number=number), 303)


def site_now() -> datetime:
    """Answer the simulated now where the clinic is."""
    parts = flask.current_app.extensions
    now: datetime = parts["clock"].now()
    return now.astimezone(parts["options"].site_zone)


def people() -> list[dict[str, object]]:
    """Answer everybody who may own a phone or a mailbox."""
    store = flask.current_app.extensions["store"]
    return [*store.candidates("Patient"), *store.candidates("RelatedPerson")]


def owner_of(value: str) -> Owner:
    """Answer who answers at a number or address."""
    zone: ZoneInfo = flask.current_app.extensions["options"].site_zone
    return find_owner(people(), value, zone)


def write_links(text: str) -> Markup:
    """Escape a text and make its http(s) addresses links that open a new page."""
    parts: list[Markup] = []
    end = 0
    for match in _LINK.finditer(text):
        parts.append(escape(text[end : match.start()]))
        url = escape(match.group())
        parts.append(
            Markup(
                '<a href="{0}" target="_blank" rel="noopener noreferrer">{0}</a>'
            ).format(url)
        )
        end = match.end()
    parts.append(escape(text[end:]))
    return Markup("").join(parts)


def write_time(instant: datetime, zone: ZoneInfo) -> str:
    """Write the time of day as 9:05 AM."""
    local = instant.astimezone(zone)
    return f"{local.hour % 12 or 12}:{local:%M %p}"


def write_day(instant: datetime, zone: ZoneInfo) -> str:
    """Write the day as Monday, November 2."""
    local = instant.astimezone(zone)
    return f"{local:%A, %B} {local.day}"


def write_number(number: str) -> str:
    """Write a North American number as (415) 555-0142, any other as it is."""
    if number.startswith("+1") and len(number) == 12:
        return f"({number[2:5]}) {number[5:8]}-{number[8:]}"
    return number


def _phones() -> Phones:
    phones: Phones = flask.current_app.extensions["phone"]
    return phones


def _rows() -> list[Row]:
    phones = _phones()
    numbers = set(phones.known())
    for person in people():
        numbers |= {v for v in contact_values(person) if v.startswith("+")}
    rows = []
    for number in numbers:
        conversation = phones.conversation(number)
        last = conversation[-1] if conversation else None
        rows.append(Row(number, owner_of(number), last, phones.unread(number)))
    rows.sort(key=lambda row: (row.owner.name or "~", row.number))
    rows.sort(key=lambda row: _age(row.last), reverse=True)
    return rows


def _age(message: Message | None) -> float:
    return message.created.timestamp() if message else 0.0


def _conversation(number: str) -> dict[str, object]:
    phones = _phones()
    phones.see(number)
    messages = phones.conversation(number)
    owner = owner_of(number)
    sender = next((m.sender for m in messages if m.direction != "inbound"), None)
    return {
        "owner": owner,
        "sender": sender or phones.account.from_number or "",
        "bubbles": _bubbles(messages, owner.zone),
        "known": phones.number(number),
        "now": site_now().astimezone(owner.zone),
        "words": STATUS_WORDS,
    }


def _bubbles(messages: list[Message], zone: ZoneInfo) -> list[Bubble]:
    bubbles = []
    before = ""
    for index, message in enumerate(messages):
        day = write_day(message.created, zone)
        is_last = index == len(messages) - 1
        bubbles.append(
            Bubble(message, day if day != before else "", _note(message), is_last)
        )
        before = day
    return bubbles


def _note(message: Message) -> str:
    keyword = read_keyword(message.body) if message.direction == "inbound" else None
    if keyword == "STOP":
        return "The carrier blocks this sender from now on. START allows it again."
    return "The carrier lets this sender through." if keyword == "START" else ""
