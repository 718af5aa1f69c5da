"""Every sentence of the clinician's page, found where it is written."""

import ast
from collections.abc import Iterator
from pathlib import Path

from jinja2.ext import babel_extract

from mappings.nudge import REASONS

ROOT = Path(__file__).parents[2]
ROOMS = ("middleware/desk", "smart_app")
SAID = {"say": 1, "mark": 1, "translate": 1, "LaunchError": 1, "say_many": 2}
PLURALS = ("say_many", "ngettext")


def find_sentences() -> dict[str | tuple[str, str], str]:
    """Return each msgid (a pair where it has two forms) with where it stands."""
    found: dict[str | tuple[str, str], str] = {}
    for where, sentence in [*_in_code(), *_in_templates()]:
        found.setdefault(sentence, where)
    for reason in REASONS.values():
        found.setdefault(reason.sentence, "mappings/nudge.py")
    return found


def find_handed_sentences() -> dict[str | tuple[str, str], str]:
    """Return what the sheet for patients says: its own sentences and those of hours."""
    desk = ROOT / "middleware/desk"
    said = dict.fromkeys(_of(ast.parse((desk / "summary.py").read_text("utf-8"))))
    for node in ast.walk(ast.parse((desk / "formats.py").read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name == "write_hour":
            said |= dict.fromkeys(_of(node))
    return {sentence: SENTENCES[sentence] for sentence in said}


def _in_code() -> Iterator[tuple[str, str | tuple[str, str]]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            where = str(path.relative_to(ROOT))
            for sentence in _of(ast.parse(path.read_text("utf-8"))):
                yield where, sentence


def _of(tree: ast.AST) -> Iterator[str | tuple[str, str]]:
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return filter(None, map(_sentence, calls))


def _sentence(call: ast.Call) -> str | tuple[str, str] | None:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else None
    name = call.func.id if isinstance(call.func, ast.Name) else name
    texts = [item.value for item in call.args if isinstance(item, ast.Constant)]
    texts = [text for text in texts if isinstance(text, str) and text]
    if name not in SAID or len(texts) < SAID[name]:
        return None
    return (texts[0], texts[1]) if name in PLURALS else texts[0]


def _in_templates() -> Iterator[tuple[str, str | tuple[str, str]]]:
    for path in sorted((ROOT / "smart_app/templates").rglob("*.html")):
        with path.open("rb") as source:
            options = {"silent": "false"}
            for _, name, message, _ in babel_extract(
                source, ("_", "gettext", "ngettext"), [], options
            ):
                if isinstance(message, tuple):
                    texts = [text for text in message if text]
                    pair = name in PLURALS
                    sentence = (texts[0], texts[1]) if pair else texts[0]
                else:
                    sentence = message
                yield str(path.relative_to(ROOT)), sentence


SENTENCES = find_sentences()
HANDED_SENTENCES = find_handed_sentences()
