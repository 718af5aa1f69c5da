"""Who gets into the console: by which name, link, session and form."""

from datetime import timedelta

import pytest

from middleware.web.console_door import SESSION_LIFE
from tests.unit.web.conftest import Console

POSTS = (
    "/console/logout",
    "/console/hold",
    "/console/release",
    "/console/clock",
    "/console/events/e1",
)
PAGES = (
    "/console",
    "/console/",
    "/console/events",
    "/console/events/e1",
    "/console/find?id=e1",
    "/console/attention",
    "/console/audit",
)


def cookie_of(answer) -> list[str]:
    return [part.strip() for part in answer.headers["Set-Cookie"].split(";")]


def test_root_leads_to_the_console(console):
    assert console.client.get("/").location == "/console"


def test_login_link_opens_the_console_once(console):
    token = console.link()

    first = console.client.post("/console/login", data={"token": token})
    console.client.delete_cookie("carecue_console", path="/console")
    second = console.client.post("/console/login", data={"token": token})

    assert (first.status_code, first.location) == (303, "/console")
    assert second.status_code == 403
    assert "Set-Cookie" not in second.headers
    assert console.audited() == [("console-login", None)]


def test_reading_the_link_does_not_use_it_up(console):
    token = console.link()

    for _ in range(3):
        console.get(f"/console/login?token={token}")

    assert console.world.one("SELECT count(*) FROM login_link WHERE used_at IS NULL")
    assert console.client.post("/console/login", data={"token": token}).status_code == (
        303
    )


@pytest.mark.parametrize("token", ["", "wrong", "ünïcode", "o" * 5000])
def test_wrong_token_is_refused(console, token):
    console.link()

    answer = console.client.post("/console/login", data={"token": token})

    assert answer.status_code == 403
    assert "carecue console-link" in answer.text


def test_link_is_too_old_after_its_time(console):
    token = console.link(minutes=10)
    console.world.wait(minutes=10)

    answer = console.client.post("/console/login", data={"token": token})

    assert answer.status_code == 403


def test_cookie_is_kept_from_scripts_other_sites_and_other_paths(console):
    answer = console.client.post("/console/login", data={"token": console.link()})

    name, *attributes = cookie_of(answer)
    assert name.startswith("carecue_console=secret-")
    assert sorted(attributes) == ["HttpOnly", "Path=/console", "SameSite=Strict"]


def test_cookie_is_secure_behind_https(console):
    answer = console.client.post(
        "/console/login", data={"token": console.link()}, base_url="https://localhost"
    )

    assert "Secure" in cookie_of(answer)


def test_database_holds_no_token_and_no_cookie(console):
    console.login()

    stored = console.world.rows(
        "SELECT token_hash AS hash FROM login_link UNION ALL "
        "SELECT cookie_hash FROM console_session"
    )

    assert [len(row["hash"]) for row in stored] == [64, 64]


@pytest.mark.parametrize("path", PAGES)
def test_page_needs_a_session(console, path):
    assert console.client.get(path).status_code == 401


@pytest.mark.parametrize("path", POSTS)
def test_form_needs_a_session(console, path):
    assert console.client.post(path, data={"csrf": ""}).status_code == 401


@pytest.mark.parametrize("csrf", [None, "", "wrong", "ünïcode", "0" * 64])
@pytest.mark.parametrize("path", POSTS)
def test_form_needs_its_sessions_token(console, path, csrf):
    console.login()
    before = console.audited()

    data = {} if csrf is None else {"csrf": csrf}
    answer = console.client.post(path, data={**data, "what": "all:*", "reason": "x"})

    assert answer.status_code == 403
    assert console.audited() == before
    assert console.world.one("SELECT count(*) FROM switch") == 0
    assert console.get()


def test_form_from_another_site_is_refused_even_with_the_token(console):
    console.login()

    answer = console.client.post(
        "/console/hold",
        data={"csrf": console.csrf(), "what": "all:*", "reason": "x"},
        headers={"Sec-Fetch-Site": "same-site"},
    )

    assert answer.status_code == 403


def test_another_sessions_token_does_not_do(console):
    console.login()
    theirs = console.csrf()
    console.client.delete_cookie("carecue_console", path="/console")
    second = console.client.post(
        "/console/login", data={"token": console.link("second")}
    )
    assert second.status_code == 303

    answer = console.client.post("/console/logout", data={"csrf": theirs})

    assert answer.status_code == 403


def test_session_ends_by_hand(console):
    console.login()
    console.post("/console/logout")

    assert console.client.get("/console").status_code == 401
    assert console.audited()[-1] == ("console-logout", None)


def test_session_ends_after_its_time_by_the_real_clock(console):
    console.login()
    console.world.wait(days=30)
    assert console.get()

    console.wall.instant += SESSION_LIFE - timedelta(seconds=1)
    assert console.get()
    console.wall.instant += timedelta(seconds=1)

    assert console.client.get("/console").status_code == 401


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8081", "127.0.0.1:8081", "[::1]:8081", "LOCALHOST:1",
     "console.example.org"],
)  # fmt: skip
def test_own_host_name_is_answered(console, host):
    answer = console.client.get("/health/live", headers={"Host": host})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example.com", "localhost.evil.example.com", "evil.example.com:8081",
     "127.0.0.1.evil.example.com", "localhost@evil.example.com", "10.0.0.1", "[::2]"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/console/login", "/metrics", "/health/live"])
def test_other_host_name_is_refused(console, host, path):
    answer = console.client.get(path, headers={"Host": host})

    assert answer.status_code in (400, 421)


def test_reading_changes_nothing(console: Console):
    console.world.discharge()
    console.world.run()
    console.login()
    event = console.world.one("SELECT id FROM event LIMIT 1")
    tables = ("event", "nudge", "decision", "switch", "audit", "staff_task", "clock")

    def snapshot():
        return [console.world.rows(f"SELECT * FROM {name}") for name in tables]

    before = snapshot()
    for path in (*PAGES, f"/console/events/{event}", f"/console/find?id={event}"):
        assert console.client.get(path).status_code in (200, 302, 404)
    for path in ("/console/hold", "/console/release", "/console/clock"):
        assert console.client.get(path).status_code == 405

    assert snapshot() == before


@pytest.mark.parametrize(
    "path",
    ["/console/events?before=99999999999999999999999", "/console/events?before=x",
     "/console/events?before=-1"],
)  # fmt: skip
def test_wild_page_number_is_left_aside(console, path):
    console.login()

    assert console.get(path)


def test_control_characters_are_refused(console):
    console.login()

    assert console.client.get("/console/events/a%00b").status_code == 400
    assert console.client.get("/console/find?id=a%00b").status_code == 400
    form = {"csrf": console.csrf(), "what": "all:*", "reason": "a\x00b"}
    assert console.client.post("/console/hold", data=form).status_code == 400


def test_body_beyond_the_limit_is_refused(console):
    console.login()

    answer = console.client.post("/console/hold", data={"reason": "x" * 100_000})

    assert answer.status_code == 413
