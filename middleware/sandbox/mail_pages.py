"""Pages `/mailbox/`: the mail that each patient got, and a way to answer it.

It may not keep anything. A mail's own HTML is shown only by itself, in a sandbox
without scripts, forms or anything from outside.
"""

from dataclasses import dataclass

import flask
from werkzeug.wrappers import Response

from middleware.sandbox.mailboxes import Mail, Mailboxes, unsubscribe_url
from middleware.sandbox.owners import Owner, contact_values
from middleware.sandbox.phone_pages import (
    close_in,
    owner_of,
    people,
    refuse_foreign_forms,
    site_now,
    write_day,
)

HTML_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True)
class Row:
    """One mailbox in the list."""

    address: str
    owner: Owner
    last: Mail | None
    unread: int


@dataclass(frozen=True)
class Letter:
    """One mail as the page shows it."""

    mail: Mail
    day: str
    can_unsubscribe: bool


def register(app: flask.Flask) -> None:
    """Add the pages."""
    pages = flask.Blueprint("mail_pages", __name__, url_prefix="/mailbox")
    pages.add_url_rule("/", view_func=show_mailboxes)
    pages.add_url_rule("/list", view_func=show_mailbox_list)
    pages.add_url_rule("/<address>", view_func=show_mailbox)
    pages.add_url_rule("/<address>", view_func=send_answer, methods=["POST"])
    pages.add_url_rule("/<address>/mails", view_func=show_mails)
    pages.add_url_rule("/<address>/<int:id_>/html", view_func=show_html)
    pages.add_url_rule(
        "/<address>/<int:id_>/unsubscribe", view_func=unsubscribe, methods=["POST"]
    )
    pages.before_request(refuse_foreign_forms)
    pages.after_request(close_in)
    app.register_blueprint(pages)


def show_mailboxes() -> str:
    """Show the list of mailboxes."""
    return flask.render_template("mailbox_list.html", rows=_rows())


def show_mailbox_list() -> str:
    """Answer the list alone, for the refresh."""
    return flask.render_template("mailbox_list_rows.html", rows=_rows())


def show_mailbox(address: str) -> tuple[str, int]:
    """Show one mailbox."""
    if "@" not in address:
        return flask.render_template("mailbox_unknown.html"), 404
    return flask.render_template("mailbox.html", **_contents(address)), 200


def show_mails(address: str) -> str:
    """Answer the mails alone, for the refresh."""
    return flask.render_template("mailbox_mails.html", **_contents(address))


def show_html(address: str, id_: int) -> Response:
    """Show the HTML of one mail, and nothing that it would fetch or run."""
    mail = _find(address, id_)
    if mail is None or mail.html is None:
        return flask.Response("There is no such mail.", 404, mimetype="text/plain")
    response = flask.Response(mail.html, mimetype="text/html")
    response.headers["Content-Security-Policy"] = HTML_POLICY
    return response


def send_answer(address: str) -> Response:
    """Answer the newest mail as the patient would, then show the mailbox."""
    text = flask.request.form.get("text", "").strip()
    if text and "@" in address:
        _mailboxes().reply(address, text)
    return _back(address)


def unsubscribe(address: str, id_: int) -> Response:
    """Press the mail program's unsubscribe button, then show the mailbox."""
    mail = _find(address, id_)
    if mail is not None:
        _mailboxes().unsubscribe(mail)
    return _back(address)


def _back(address: str) -> Response:
    url = flask.url_for("mail_pages.show_mailbox", address=address)
    return flask.redirect(url, 303)


def _mailboxes() -> Mailboxes:
    mailboxes: Mailboxes = flask.current_app.extensions["mail"]
    return mailboxes


def _find(address: str, id_: int) -> Mail | None:
    mails = _mailboxes().mailbox(address)
    return next((mail for mail in mails if mail.id == id_), None)


def _rows() -> list[Row]:
    mailboxes = _mailboxes()
    addresses = {mail.mailbox for mail in mailboxes.mails()}
    for person in people():
        addresses |= {value for value in contact_values(person) if "@" in value}
    rows = []
    for address in addresses:
        mails = mailboxes.mailbox(address)
        last = mails[-1] if mails else None
        unread = mailboxes.unread(address)
        rows.append(Row(address, owner_of(address), last, unread))
    rows.sort(key=lambda row: (row.owner.name or "~", row.address))
    rows.sort(key=lambda row: row.last.id if row.last else 0, reverse=True)
    return rows


def _contents(address: str) -> dict[str, object]:
    mailboxes = _mailboxes()
    mailboxes.see(address)
    owner = owner_of(address.casefold())
    return {
        "address": address,
        "owner": owner,
        "now": site_now().astimezone(owner.zone),
        "letters": [
            Letter(
                mail=mail,
                day=write_day(mail.received, owner.zone),
                can_unsubscribe=unsubscribe_url(mail) is not None,
            )
            for mail in reversed(mailboxes.mailbox(address))
        ],
    }
