"""Control of the mail sink, and everything that reached patients, as JSON.

It may not keep anything: mailboxes and phones do.
"""

from dataclasses import asdict
from typing import Any

import flask

from middleware.sandbox.carrier import Message
from middleware.sandbox.mailboxes import Mail, Mailboxes, read_settings
from middleware.sandbox.phones import Phones
from middleware.sandbox.wire import write_instant

Json = dict[str, Any]


def register(app: flask.Flask) -> None:
    """Add `/sandbox/smtp`, `/sandbox/mailboxes` and `/sandbox/messages`."""
    api = flask.Blueprint("mail_api", __name__, url_prefix="/sandbox")
    api.add_url_rule("/smtp", view_func=read_smtp)
    api.add_url_rule("/smtp", view_func=set_smtp, methods=["PUT"])
    api.add_url_rule("/messages", view_func=list_messages)
    api.add_url_rule(
        "/mailboxes/<address>/reply", view_func=send_reply, methods=["POST"]
    )
    app.register_blueprint(api)


def read_smtp() -> Json:
    """Answer the port and the settings."""
    mailboxes = _mailboxes()
    return {"port": mailboxes.port, **asdict(mailboxes.settings)}


def set_smtp() -> tuple[Json, int]:
    """Set whether recipients are refused, and where answers go."""
    mailboxes = _mailboxes()
    try:
        settings = read_settings(mailboxes.settings, flask.request.get_data())
    except ValueError as error:
        return {"error": f"{error}; the settings stay as they were"}, 400
    mailboxes.set(settings)
    return read_smtp(), 200


def send_reply(address: str) -> tuple[Json, int]:
    """Answer the newest mail as the patient would; 201."""
    body = flask.request.get_json(silent=True)
    text = body.get("text") if isinstance(body, dict) else None
    if "@" not in address or not isinstance(text, str) or not text.strip():
        return {"error": 'give an address and {"text": ...}; nothing sent'}, 400
    mail = _mailboxes().reply(address, text)
    return {"message_id": mail.message_id, "to": mail.to}, 201


def list_messages() -> Json:
    """Answer every text and mail, oldest first; dates are FHIR instants."""
    phones: Phones = flask.current_app.extensions["phone"]
    mails = _mailboxes().mails()
    return {
        "sms": [_text(message) for message in phones.messages()],
        "email": [_mail(mail) for mail in mails if mail.direction == "received"],
    }


def _mailboxes() -> Mailboxes:
    mailboxes: Mailboxes = flask.current_app.extensions["mail"]
    return mailboxes


def _text(message: Message) -> Json:
    return {
        "sid": message.sid,
        "to": message.to,
        "from": message.sender,
        "body": message.body,
        "status": message.status,
        "error_code": message.error_code,
        "date_created": write_instant(message.created),
        "status_callback": message.callback,
        "direction": message.direction,
    }


def _mail(mail: Mail) -> Json:
    return {
        "to": mail.mailbox,
        "from": mail.sender,
        "subject": mail.subject,
        "text": mail.text,
        "html": mail.html,
        "message_id": mail.message_id,
        "headers": mail.headers,
        "received": write_instant(mail.received),
    }
