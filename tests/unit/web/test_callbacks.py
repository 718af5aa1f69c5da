"""What a provider calls: only signed calls count, and each counts once."""

import pytest

from middleware.channels.signatures import write_twilio_signature
from middleware.storage.database import Database
from tests.unit.web.conftest import PUBLIC, TOKEN

INBOUND = "/channels/sms/inbound"
STATUS = "/channels/sms/status?delivery=d1"
REPLY = {"MessageSid": "SM1", "From": "+14155550142", "Body": "1"}
RECEIPT = {"MessageSid": "SM2", "MessageStatus": "delivered"}


def call(client, path, form, *, signature=None, token=TOKEN):
    signed = write_twilio_signature(f"{PUBLIC}{path}", form, token)
    headers = {"X-Twilio-Signature": signed if signature is None else signature}
    return client.post(path, data=form, headers=headers)


def stored(database: Database) -> list[tuple[str, str, str]]:
    with database.tx() as tx:
        rows = tx.execute("SELECT source, address, body FROM inbound ORDER BY id")
        return [(row["source"], row["address"], row["body"]) for row in rows]


def test_signed_reply_is_stored_and_answered(public, database):
    answer = call(public, INBOUND, REPLY)

    assert (answer.status_code, answer.data) == (200, b"<Response/>")
    assert answer.mimetype == "text/xml"
    assert stored(database) == [("reply", "+14155550142", "1")]


def test_signed_receipt_is_stored(public, database):
    assert call(public, STATUS, RECEIPT).status_code == 204
    assert stored(database) == [("receipt", "d1", "delivered")]


@pytest.mark.parametrize(("path", "form"), [(INBOUND, REPLY), (STATUS, RECEIPT)])
def test_replayed_call_is_stored_once(public, database, path, form):
    first = call(public, path, form)
    second = call(public, path, form)

    assert first.status_code == second.status_code
    assert len(stored(database)) == 1


@pytest.mark.parametrize(("path", "form"), [(INBOUND, REPLY), (STATUS, RECEIPT)])
@pytest.mark.parametrize("signature", ["", "wrong", "ÿ", "A" * 28])
def test_bad_signature_is_refused(public, database, path, form, signature):
    assert call(public, path, form, signature=signature).status_code == 403
    assert stored(database) == []


@pytest.mark.parametrize("token", ["other-token", ""])
def test_signature_of_another_token_is_refused(public, database, token):
    assert call(public, INBOUND, REPLY, token=token).status_code == 403
    assert stored(database) == []


def test_changed_form_or_query_is_refused(public, database):
    reply = write_twilio_signature(f"{PUBLIC}{INBOUND}", REPLY, TOKEN)
    receipt = write_twilio_signature(f"{PUBLIC}{STATUS}", RECEIPT, TOKEN)

    changed = call(public, INBOUND, {**REPLY, "Body": "STOP"}, signature=reply)
    moved = call(public, "/channels/sms/status?delivery=d2", RECEIPT, signature=receipt)

    assert (changed.status_code, moved.status_code) == (403, 403)
    assert stored(database) == []


def test_reading_a_callback_does_nothing(public, database):
    assert public.get(INBOUND).status_code == 405
    assert stored(database) == []


def test_empty_signed_call_is_refused_without_a_fault(public, database):
    assert call(public, INBOUND, {}).status_code == 400
    assert call(public, "/channels/sms/status", RECEIPT).status_code == 400
    assert stored(database) == []


def test_control_characters_are_stored_harmlessly(public, database):
    answer = call(public, INBOUND, {**REPLY, "Body": "a\x00b"})

    assert answer.status_code == 200
    assert stored(database) == [("reply", "+14155550142", "ab")]
