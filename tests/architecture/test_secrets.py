"""Secrets are revealed where they are sent, sealed or checked, and nowhere else."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("mappings", "subscriptions", "middleware", "smart_app")
# Each with what it does with them.
REVEALED = {
    "middleware/channels/registry.py": "a channel's password, to its provider",
    "middleware/cli/bench_deliver.py": "the texts' token, to the sandbox of the bench",
    "middleware/cli/demo_run.py": "the texts' token, to the sandbox of the demo",
    "middleware/fhir/checking/exchange.py": "an access token, to the EHR that is checked",
    "middleware/fhir/transport.py": "an access token, to the EHR that gave it",
    "middleware/settings.py": "to a child process and its settings file",
    "middleware/wiring/apps.py": "the texts' token, which signs what a provider sends",
    "smart_app/kept.py": "what a launch keeps, to be sealed",
    "smart_app/oauth.py": "to the token endpoint: verifier, refresh token, client secret",
    "smart_app/tokens.py": "an id_token, to be verified",
}
# Whoever writes a key with its private part.
PRIVATE = {"middleware/fhir/keys.py": "all keys, to be sealed; a new pair"}


def find_calls():
    """Yield each file of the product with the calls in it; the sandbox is a stranger."""
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith("middleware/sandbox/"):
                tree = ast.parse(path.read_text("utf-8"))
                yield name, [one for one in ast.walk(tree) if isinstance(one, ast.Call)]


def reveals(call):
    return isinstance(call.func, ast.Attribute) and call.func.attr == "reveal"


def is_private(call):
    return any(
        word.arg == "private"
        and isinstance(word.value, ast.Constant)
        and word.value.value is True
        for word in call.keywords
    )


@pytest.mark.parametrize(
    ("found", "named"), [(reveals, REVEALED), (is_private, PRIVATE)]
)
def test_secrets_come_out_in_the_named_places_alone(found, named):
    places = {name for name, calls in find_calls() if any(map(found, calls))}
    assert places == named.keys()


def test_no_field_or_argument_holds_a_token_as_text():
    """``token: str`` of a person, a backend or a client, wherever one is declared."""
    words = {"access_token", "refresh_token", "id_token", "client_secret", "token"}
    texts = {"str", "str | None", "Callable[[str], str | None]"}
    rooms = [
        ROOT / room for room in ("middleware/fhir", "middleware/wiring", "smart_app")
    ]
    found = set()
    for path in (path for room in rooms for path in room.rglob("*.py")):
        for name, annotation in list_declared(ast.parse(path.read_text("utf-8"))):
            if name in words and annotation in texts:
                found.add(f"{path.relative_to(ROOT)}: {name}")
    assert found == set()


def list_declared(tree):
    """Yield what is declared with a type: arguments, fields and variables."""
    for one in ast.walk(tree):
        if isinstance(one, ast.arg) and one.annotation:
            yield one.arg.lstrip("_"), ast.unparse(one.annotation)
        elif isinstance(one, ast.AnnAssign):
            name = ast.unparse(one.target).rpartition(".")[2]
            yield name.lstrip("_"), ast.unparse(one.annotation)
