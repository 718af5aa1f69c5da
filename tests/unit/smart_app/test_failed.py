"""A sign-in that failed has a page of its own: its address says nothing of it."""

from flask.testing import FlaskClient

from smart_app.failed import PLACE
from smart_app.kept import unseal
from tests.unit.smart_app.acts import words


def the_launch(rig):
    """Return the one launch that there is."""
    with rig.database.tx() as tx:
        (row,) = tx.execute("SELECT id FROM launch").fetchall()
    return rig.ports.launches.get(row["id"])


def refuse(rig, description="<img>"):
    """Let the EHR refuse; return the callback's own answer, not followed."""
    state = begin(rig)
    query = {"error": "access_denied", "error_description": description}
    return FlaskClient.open(
        rig.http, "/smart/callback", query_string={**query, "state": state}
    )


def begin(rig):
    first = rig.http.get(
        "/smart/launch", query_string={"iss": rig.ehr.base, "launch": "opaque-1"}
    )
    return rig.ehr.state(first.location)


def fail_token(rig):
    """Let the exchange fail, with a code that is spent; return the callback's answer."""
    rig.ehr.token_status = 500
    first = rig.http.get(
        "/smart/launch", query_string={"iss": rig.ehr.base, "launch": "opaque-1"}
    )
    code = rig.ehr.approve(first.location)
    state = rig.ehr.state(first.location)
    url = f"/smart/callback?code={code}&state={state}"
    return FlaskClient.open(rig.http, url)


def test_no_code_stays_in_the_history(rig):
    answer = fail_token(rig)
    launch = the_launch(rig)
    assert (answer.status_code, answer.location) == (303, f"{PLACE}/{launch.id}")
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    page = rig.http.get(answer.location)
    assert "T1" in page.text
    assert launch.id[:8] in page.text
    assert rig.http.get(answer.location).text == page.text


def test_the_page_says_what_the_ehr_said(rig):
    answer = refuse(rig, "Ask <b>IT</b> for access")
    page = rig.http.get(answer.location)
    assert page.status_code == 403
    assert "access_denied: Ask &lt;b&gt;IT&lt;/b&gt; for access" in page.text
    assert "The EHR did not let this app in." in words(page.text)
    assert "Coming back from the EHR's sign-in" in words(page.text).replace(
        "&#39;", "'"
    )


def test_another_browser_reads_nothing_of_it(rig):
    answer = refuse(rig, "secret words")
    other = rig.http.application.test_client().get(answer.location)
    assert other.status_code == 404
    assert "secret words" not in other.text
    assert "access_denied" not in other.text


def test_only_a_failure_has_such_a_page(rig):
    with_page = rig.open()
    lid = with_page.strip("/").split("/")[1]
    assert rig.http.get(f"{PLACE}/{lid}").status_code == 404
    assert rig.http.get(f"{PLACE}/nothing").status_code == 404


def test_what_is_kept_is_what_is_shown_and_no_secret(rig):
    fail_token(rig)
    launch = the_launch(rig)
    kept = unseal(rig.ports, launch)
    shown = {"code", "status", "said", "link", "found", "message"}
    assert set(kept) == {*shown, "lid"}
    assert (launch.stage, launch.state_hash) == ("failed", None)


def test_a_browser_that_was_not_asked_is_answered_where_it_stands(rig):
    """Without the cookie no page could be read again: nothing was exchanged there."""
    state = begin(rig)
    other = rig.http.application.test_client()
    answer = FlaskClient.open(other, f"/smart/callback?code=c&state={state}")
    assert answer.status_code == 403
    assert "C3" in answer.text
