"""The SMTP sink and the mailboxes, with real SMTP on loopback."""

import smtplib
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import requests

from middleware.sandbox.app import Options
from middleware.sandbox.server import Running
from tests.unit.sandbox.listening import Listener

ROSA = "rosa.delgado@example.org"


@pytest.fixture
def sandbox() -> Iterator[Running]:
    with Running(Options(base_url="", people=False)) as running:
        yield running


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


def letter(**headers: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Northside Clinic <clinic@example.org>"
    mail["To"] = ROSA
    mail["Subject"] = "Su próxima cita"
    mail["Message-ID"] = "<1@example.org>"
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content("Hola Rosa\n")
    mail.add_alternative("<p style='color:red'>Hola</p>", subtype="html")
    return mail


def send(sandbox: Running, mail: EmailMessage) -> None:
    with smtplib.SMTP("127.0.0.1", sandbox.smtp_port, timeout=10) as smtp:
        smtp.send_message(mail)


def mails(sandbox: Running) -> list[dict[str, Any]]:
    answer = requests.get(f"{sandbox.base_url}/sandbox/messages", timeout=30).json()
    return list(answer["email"])


def put(sandbox: Running, **body: Any) -> requests.Response:
    return requests.put(f"{sandbox.base_url}/sandbox/smtp", json=body, timeout=30)


def test_mail_is_kept_parsed(sandbox):
    send(sandbox, letter(X_Clinic="7"))
    kept = mails(sandbox)
    assert len(kept) == 1
    mail = kept[0]
    assert (mail["to"], mail["from"]) == (ROSA, "clinic@example.org")
    assert (mail["subject"], mail["text"]) == ("Su próxima cita", "Hola Rosa\n")
    assert mail["html"] == "<p style='color:red'>Hola</p>\n"
    assert mail["message_id"] == "<1@example.org>"
    assert mail["headers"]["X-Clinic"] == "7"


def test_each_recipient_gets_it(sandbox):
    mail = letter(Cc="b@example.org")
    send(sandbox, mail)
    assert [mail["to"] for mail in mails(sandbox)] == [ROSA, "b@example.org"]


@pytest.mark.parametrize("code", ["450", "550"])
def test_recipients_are_refused_while_told_so(sandbox, code):
    assert put(sandbox, refuse=code).json()["refuse"] == code
    with pytest.raises(smtplib.SMTPRecipientsRefused) as raised:
        send(sandbox, letter())
    assert raised.value.recipients[ROSA][0] == int(code)
    assert put(sandbox, refuse=None).status_code == 200
    send(sandbox, letter())
    assert len(mails(sandbox)) == 1


@pytest.mark.parametrize(
    "body", [{"refuse": "200"}, {"inbound_url": "http://192.0.2.1/"}, {"a": 1}]
)
def test_settings_that_cannot_be_are_refused(sandbox, body):
    assert put(sandbox, **body).status_code == 400


def test_port_is_told(sandbox):
    told = requests.get(f"{sandbox.base_url}/sandbox/smtp", timeout=30).json()["port"]
    assert told == sandbox.smtp_port
    assert told > 0


def test_mailbox_survives_a_restart(tmp_path: Path):
    options = Options(base_url="", people=False, data_dir=tmp_path)
    with Running(options) as sandbox:
        send(sandbox, letter())
        before = mails(sandbox)
    with Running(options) as sandbox:
        assert mails(sandbox) == before


def test_answer_goes_out_as_a_mail_over_http(sandbox, listener):
    put(sandbox, inbound_url=listener.url)
    send(sandbox, letter())
    url = f"{sandbox.base_url}/sandbox/mailboxes/{ROSA}/reply"
    answer = requests.post(url, json={"text": "Gracias"}, timeout=30)
    assert answer.status_code == 201
    request = listener.wait(1)[0]
    assert request.headers["content-type"] == "message/rfc822"
    mail = message_from_bytes(request.body)
    assert (mail["From"], mail["To"]) == (ROSA, "clinic@example.org")
    assert mail["In-Reply-To"] == "<1@example.org>"
    assert mail.get_payload().strip() == "Gracias"


def test_page_shows_text_and_keeps_html_apart(sandbox):
    send(sandbox, letter())
    listed = requests.get(f"{sandbox.base_url}/mailbox/", timeout=30)
    assert '<span class="badge">1' in listed.text
    page = requests.get(f"{sandbox.base_url}/mailbox/{ROSA}", timeout=30)
    assert "Hola Rosa" in page.text
    assert "style=" not in page.text
    html = requests.get(f"{sandbox.base_url}/mailbox/{ROSA}/1/html", timeout=30)
    policy = html.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    missing = requests.get(f"{sandbox.base_url}/mailbox/{ROSA}/2/html", timeout=30)
    assert missing.status_code == 404


def test_unsubscribe_button_posts_one_click(sandbox, listener):
    send(sandbox, letter(List_Unsubscribe=f"<mailto:x@example.org>, <{listener.url}>"))
    url = f"{sandbox.base_url}/mailbox/{ROSA}/1/unsubscribe"
    answer = requests.post(url, timeout=30, allow_redirects=False)
    assert answer.status_code == 303
    request = listener.wait(1)[0]
    assert (request.method, request.body) == ("POST", b"List-Unsubscribe=One-Click")


def test_unsubscribe_elsewhere_is_not_called(sandbox):
    send(sandbox, letter(List_Unsubscribe="<http://192.0.2.1/u>"))
    mailboxes = sandbox.app.extensions["mail"]
    assert mailboxes.unsubscribe(mailboxes.mails()[0]) is False
    assert mailboxes.pending() == 0
