"""The SMS provider's API, the carrier, and the pages of the phones."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests

from middleware.sandbox.app import Options
from middleware.sandbox.carrier import count_segments, read_keyword, read_number, sign
from middleware.sandbox.phone_pages import write_links
from middleware.sandbox.server import Running
from tests.unit.sandbox.listening import Listener, Received

SID = "AC00000000000000000000000000000001"
TOKEN = "secret"
CLINIC = "+14155550100"
ROSA = "+14155550142"


class Provider:
    def __init__(self, sandbox: Running, inbound_url: str | None = None) -> None:
        self.base = sandbox.base_url
        self.url = f"{self.base}/2010-04-01/Accounts/{SID}/Messages"
        self.control(
            "PUT",
            "/sandbox/sms",
            account_sid=SID,
            auth_token=TOKEN,
            from_number=CLINIC,
            inbound_url=inbound_url,
        )

    def control(self, method: str, path: str, **body: Any) -> requests.Response:
        return requests.request(method, self.base + path, json=body, timeout=10)

    def send(self, auth: tuple[str, str] = (SID, TOKEN), **form: str) -> Any:
        form = {"To": ROSA, "From": CLINIC, "Body": "Hello", **form}
        return requests.post(f"{self.url}.json", data=form, auth=auth, timeout=10)

    def get(self, path: str = "", **query: str) -> Any:
        url = f"{self.url}{path}.json"
        return requests.get(url, params=query, auth=(SID, TOKEN), timeout=10).json()

    def quiet(self) -> None:
        url = f"{self.base}/sandbox/notifier?wait=20"
        assert requests.get(url, timeout=30).json()["pending"] == 0

    def messages(self) -> list[dict[str, Any]]:
        found = requests.get(f"{self.base}/sandbox/messages", timeout=10).json()
        return list(found["sms"])


@pytest.fixture
def sandbox() -> Iterator[Running]:
    with Running(Options(base_url="", people=False)) as running:
        yield running


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
def provider(sandbox, listener) -> Provider:
    return Provider(sandbox, listener.url)


def form_of(received: Received) -> dict[str, str]:
    return dict(parse_qsl(received.body.decode(), keep_blank_values=True))


def test_message_is_taken_delivered_and_shown(provider):
    created = provider.send(Body="Hola Rosa")
    assert created.status_code == 201
    message = created.json()
    assert (message["status"], message["direction"]) == ("queued", "outbound-api")
    assert (
        message["uri"] == f"/2010-04-01/Accounts/{SID}/Messages/{message['sid']}.json"
    )
    provider.quiet()
    read = provider.get(f"/{message['sid']}")
    assert (read["status"], read["error_code"]) == ("delivered", None)
    assert [m["body"] for m in provider.messages()] == ["Hola Rosa"]


def test_status_callbacks_come_in_order_and_signed(provider, listener):
    sid = provider.send(StatusCallback=listener.url).json()["sid"]
    received = listener.wait(3)
    forms = [form_of(r) for r in received]
    statuses = [form["MessageStatus"] for form in forms]
    assert statuses == ["queued", "sent", "delivered"]
    assert {form["MessageSid"] for form in forms} == {sid}
    for request, form in zip(received, forms, strict=True):
        signature = request.headers["x-twilio-signature"]
        assert signature == sign(listener.url, form, TOKEN)


def test_failed_callback_is_tried_three_times(provider, listener):
    listener.statuses = [500, 500]
    provider.send(StatusCallback=listener.url)
    provider.quiet()
    statuses = [form_of(r)["MessageStatus"] for r in listener.received]
    assert statuses == ["queued"] * 3 + ["sent", "delivered"]


@pytest.mark.parametrize(
    ("state", "code"), [({"reachable": False}, 30003), ({"landline": True}, 30006)]
)
def test_texts_to_dead_numbers_are_undelivered(provider, listener, state, code):
    answer = provider.control("PUT", f"/sandbox/phones/{ROSA}", **state)
    assert answer.status_code == 200
    sid = provider.send(StatusCallback=listener.url).json()["sid"]
    provider.quiet()
    last = form_of(listener.received[-1])
    assert (last["MessageStatus"], last["ErrorCode"]) == ("undelivered", str(code))
    read = provider.get(f"/{sid}")
    assert (read["status"], read["error_code"]) == ("undelivered", code)


def test_stop_is_remembered_by_the_carrier_until_start(provider, listener):
    provider.send()
    provider.quiet()
    provider.control("POST", f"/sandbox/phones/{ROSA}/reply", text=" stop ")
    refused = provider.send()
    assert refused.status_code == 400
    assert refused.json()["code"] == 21610
    provider.control("POST", f"/sandbox/phones/{ROSA}/reply", text="START")
    assert provider.send().status_code == 201
    provider.quiet()
    assert [form_of(r)["Body"] for r in listener.received] == [" stop ", "START"]


def test_reply_is_posted_to_the_webhook_signed(provider, listener):
    provider.send()
    provider.quiet()
    answer = provider.control("POST", f"/sandbox/phones/{ROSA}/reply", text="¿Sí?")
    request = listener.wait(1)[0]
    form = form_of(request)
    assert (form["From"], form["To"], form["Body"]) == (ROSA, CLINIC, "¿Sí?")
    assert form["MessageSid"] == answer.json()["sid"]
    assert request.headers["x-twilio-signature"] == sign(listener.url, form, TOKEN)


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"To": ""}, 21604),
        ({"To": "555"}, 21211),
        ({"From": ""}, 21603),
        ({"From": "+14155550199"}, 21606),
        ({"Body": ""}, 21602),
        ({"Body": "x" * 1601}, 21617),
        ({"StatusCallback": "http://192.0.2.1/x"}, 21609),
    ],
)
def test_refusals_have_the_providers_shape(provider, form, code):
    answer = provider.send(**form)
    body = answer.json()
    assert (answer.status_code, body["code"], body["status"]) == (400, code, 400)
    assert body["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert provider.messages() == []


@pytest.mark.parametrize("auth", [(SID, "wrong"), ("AC2", TOKEN), ("", "")])
def test_wrong_credentials_are_refused(provider, auth):
    answer = provider.send(auth=auth)
    assert (answer.status_code, answer.json()["code"]) == (401, 20003)


def test_unset_account_refuses_everybody(sandbox):
    url = f"{sandbox.base_url}/2010-04-01/Accounts//Messages.json"
    assert requests.post(url, auth=("", ""), timeout=30).status_code in {401, 404}


def test_unknown_message_is_not_found(provider):
    assert provider.get("/SM0")["code"] == 20404


def test_list_is_filtered_and_paged(provider):
    for index in range(3):
        provider.send(Body=f"to Rosa {index}")
    provider.send(To="+14155550143", Body="to James")
    provider.quiet()
    bodies = [m["body"] for m in provider.get(To=ROSA)["messages"]]
    assert bodies == ["to Rosa 2", "to Rosa 1", "to Rosa 0"]
    page = provider.get(PageSize="3")
    assert [len(page["messages"]), page["page_size"]] == [3, 3]
    url = provider.base + page["next_page_uri"]
    rest = requests.get(url, auth=(SID, TOKEN), timeout=30).json()
    assert [m["body"] for m in rest["messages"]] == ["to Rosa 0"]
    assert rest["next_page_uri"] is None
    assert provider.get(**{"DateSent>": "2999-01-01"})["messages"] == []
    assert len(provider.get(**{"DateSent>": "2020-01-01"})["messages"]) == 4
    assert provider.get(**{"DateSent>": "x"})["code"] == 20001


def test_everything_survives_a_restart(tmp_path: Path):
    options = Options(base_url="", people=False, data_dir=tmp_path)
    with Running(options) as sandbox:
        provider = Provider(sandbox)
        provider.send(Body="before")
        provider.control("POST", f"/sandbox/phones/{ROSA}/reply", text="STOP")
        provider.quiet()
        before = provider.messages()
    with Running(options) as sandbox:
        url = f"{sandbox.base_url}/sandbox/messages"
        assert requests.get(url, timeout=30).json()["sms"] == before
        account = sandbox.app.extensions["phone"].account
        assert (account.account_sid, account.auth_token) == (SID, TOKEN)
        assert sandbox.app.extensions["phone"].number(ROSA).stopped == {CLINIC}


@pytest.mark.parametrize(
    "body",
    [{"inbound_url": "http://192.0.2.1/"}, {"from_number": "1"}, {"unknown": 1}],
)
def test_account_that_cannot_be_is_refused(provider, body):
    assert provider.control("PUT", "/sandbox/sms", **body).status_code == 400
    account = requests.get(f"{provider.base}/sandbox/sms", timeout=30).json()
    assert account["from_number"] == CLINIC


def test_page_shows_the_conversation_escaped(provider):
    provider.send(Body="<script>alert(1)</script> see http://localhost:8080/p/a?b=1&c.")
    provider.quiet()
    listed = requests.get(f"{provider.base}/phone/", timeout=30)
    assert '<span class="badge">1' in listed.text
    page = requests.get(f"{provider.base}/phone/{ROSA}", timeout=30)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "<script>" not in page.text
    assert "style=" not in page.text
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
    assert "unsafe" not in policy
    again = requests.get(f"{provider.base}/phone/list", timeout=30)
    assert '<span class="badge">' not in again.text


def test_form_replies_and_foreign_forms_are_refused(provider):
    url = f"{provider.base}/phone/{ROSA}"
    answer = requests.post(url, data={"text": "Sí"}, timeout=30, allow_redirects=False)
    assert answer.status_code == 303
    foreign = {"Sec-Fetch-Site": "cross-site"}
    refused = requests.post(url, data={"text": "No"}, headers=foreign, timeout=30)
    assert refused.status_code == 403
    assert [m["body"] for m in provider.messages()] == ["Sí"]


def test_pages_for_nonsense_are_not_found(provider):
    assert (
        requests.get(f"{provider.base}/phone/nonsense", timeout=30).status_code == 404
    )


def test_links_are_made_of_escaped_text():
    written = write_links('a "b" https://example.org/x?a=1&b=2, <c>')
    link = "https://example.org/x?a=1&amp;b=2"
    anchor = f'<a href="{link}" target="_blank" rel="noopener noreferrer">{link}</a>'
    assert written == f"a &#34;b&#34; {anchor}, &lt;c&gt;"


@pytest.mark.parametrize(
    ("text", "number"),
    [("+1 (415) 555-0142", ROSA), ("4155550142", None), ("+0", None), ("", None)],
)
def test_numbers_are_e164(text, number):
    assert read_number(text) == number


@pytest.mark.parametrize(
    ("text", "keyword"),
    [("stop", "STOP"), ("Cancel ", "STOP"), ("yes", "START"), ("please stop", None)],
)
def test_keywords_are_whole_texts(text, keyword):
    assert read_keyword(text) == keyword


@pytest.mark.parametrize(
    ("text", "count"),
    [("a" * 160, 1), ("a" * 161, 2), ("ó" * 70, 1), ("ó" * 71, 2), ("", 1)],
)
def test_segments_are_counted(text, count):
    assert count_segments(text) == count


def test_signature_is_the_documented_one():
    url = "https://example.com/myapp.php?foo=1&bar=2"
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675310",
        "Digits": "1234",
        "From": "+14158675310",
        "To": "+18005551212",
    }
    expected = "L/OH5YylLD5NRKLltdqwSvS0BnU="
    assert sign(url, form, "12345") == expected
