"""What each listener answers, what it never answers, and the headers on all of it."""

from dataclasses import replace

import orjson
import pytest

from mappings.errors import StorageError
from middleware.settings import Settings
from middleware.web.app import PublicPorts, create_public_app
from middleware.web.console import create_console_app
from middleware.wiring.runtime import database_fault, make_runtime

PUBLIC_PATHS = (
    "/.well-known/jwks.json",
    "/channels/sms/inbound",
    "/channels/sms/status",
    "/hooks/key",
    "/smart/launch",
)
CONSOLE_PATHS = (
    "/console",
    "/console/login",
    "/console/static/console.css",
    "/console/static/look.css",
    "/metrics",
)
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


def test_console_is_not_on_the_public_listener(public):
    assert [public.get(path).status_code for path in CONSOLE_PATHS] == [404] * len(
        CONSOLE_PATHS
    )


def test_public_paths_are_not_on_the_consoles_listener(console):
    console.login()

    found = [console.client.get(path).status_code for path in PUBLIC_PATHS]

    # Nobody without a session learns that there is nothing.
    assert found == [401] * len(PUBLIC_PATHS)
    assert console.client.post("/channels/sms/inbound").status_code == 401


def test_key_set_is_public_and_cached(public):
    answer = public.get("/.well-known/jwks.json")

    keys = orjson.loads(answer.data)["keys"]
    assert sorted(key["alg"] for key in keys) == ["ES384", "RS384"]
    assert [set(key) & PRIVATE_MEMBERS for key in keys] == [set(), set()]
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.content_type == "application/json"


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_both_listeners_are_alive_and_ready(public, console, path):
    for client in (public, console.client):
        answer = client.get(path)
        assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_readiness_is_lost_with_the_database_and_comes_back(console):
    faults = ["the database cannot be reached", None]
    ports = replace(console.ports, ready=lambda: faults[0])
    public = PublicPorts((), dict, lambda: faults[0])
    clients = [
        create_console_app(ports).test_client(),
        create_public_app(public).test_client(),
    ]

    for client in clients:
        answer = client.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json == {"status": "down", "why": faults[0]}
        assert client.get("/health/live").status_code == 200
    faults.reverse()
    assert [client.get("/health/ready").status_code for client in clients] == [200, 200]


def test_database_that_is_gone_is_found_at_once(database_url, tmp_path):
    runtime = make_runtime(Settings(home=tmp_path, database_url=database_url))
    try:
        assert database_fault(runtime) is None
        runtime.database.url = f"{database_url.partition('?')[0]}?host={tmp_path}"
        fault = database_fault(runtime)
    finally:
        runtime.close()

    assert fault is not None
    assert fault.startswith("the database cannot be reached")


def test_console_explains_a_database_that_fails(console):
    class Gone:
        def tx(self):
            raise StorageError("the database cannot be reached; nothing was changed")

    client = create_console_app(replace(console.ports, database=Gone())).test_client()

    for path in ("/console", "/metrics"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert "The database cannot be reached; nothing was changed" in answer.text


def test_public_listener_keeps_a_faults_words_to_itself():
    def keys():
        raise StorageError("refused at table secret_table")

    app = create_public_app(PublicPorts((), keys, lambda: None))

    answer = app.test_client().get("/.well-known/jwks.json")

    assert answer.status_code == 503
    assert answer.json == {
        "error": "StorageError",
        "message": "Nothing was lost. Please try again.",
    }


@pytest.mark.parametrize(
    "path",
    ["/.well-known/jwks.json", "/health/live", "/health/ready", "/nothing", "/hooks/x",
     "/channels/sms/inbound", "/smart/launch"],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_every_public_answer_has_the_headers(public, path, verb):
    answer = public.open(path, method=verb)

    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "default-src" in answer.headers["Content-Security-Policy"]
    assert "Cache-Control" in answer.headers


@pytest.mark.parametrize(
    "path",
    ["/console", "/console/login", "/console/events", "/console/nothing", "/metrics",
     "/console/static/console.css", "/console/static/look.css", "/health/ready", "/console/hold"],
)  # fmt: skip
@pytest.mark.parametrize("inside", [True, False])
def test_every_console_answer_has_the_headers(console, path, inside):
    if inside:
        console.login()

    answer = console.client.get(path, buffered=True)

    policy = answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    static = "static" in path
    assert answer.headers["Cache-Control"] == ("no-cache" if static else "no-store")


def test_pages_have_no_inline_style_or_script(console):
    console.world.discharge()
    console.world.run()
    console.login()

    pages = [console.get(path) for path in ("/console", "/console/events")]

    assert [page for page in pages if " style=" in page or "<script" in page] == []


@pytest.mark.parametrize("name", ["console.css", "look.css"])
def test_console_pictures_and_styles_need_no_login(console, name):
    css = console.client.get(f"/console/static/{name}", buffered=True)
    icon = console.client.get("/console/static/icon.svg", buffered=True)

    assert (css.status_code, css.mimetype) == (200, "text/css")
    assert (icon.status_code, icon.mimetype) == (200, "image/svg+xml")
    assert icon.data.startswith(b"<svg")
