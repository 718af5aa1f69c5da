"""A small reader of the Prometheus text format 0.0.4, which refuses what it does not know."""

from __future__ import annotations

import re
from typing import Any

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_HELP = re.compile(rf"# HELP ({_NAME}) (?:[^\\\n]|\\\\|\\n)*")
_TYPE = re.compile(rf"# TYPE ({_NAME}) (counter|gauge|histogram|summary|untyped)")
_PARTS = re.compile(r"_(bucket|sum|count)$")
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? ([^ ]+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,|$)')

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read_exposition(text: str) -> Series:
    """Read all series; raises ValueError for a line or an order that is not allowed."""
    if not text.endswith("\n"):
        raise ValueError("the last line does not end")
    found: Series = {}
    typed: dict[str, str] = {}
    ended: set[str] = set()
    current = ""
    for line in text.splitlines():
        if not line:
            continue
        if line.startswith("#"):
            helped, kind = _HELP.fullmatch(line), _TYPE.fullmatch(line)
            name = (helped or kind or _refuse(line)).group(1)
            if kind and name in typed:
                raise ValueError(f"typed twice: {name}")
            if kind:
                typed[name] = kind.group(2)
        else:
            sample = _SAMPLE.fullmatch(line) or _refuse(line)
            key = (sample.group(1), _labels(sample.group(2) or ""))
            name = sample.group(1)
            if typed.get(family := _PARTS.sub("", name)) == "histogram":
                name = family
            elif name not in typed:
                raise ValueError(f"no TYPE before {line}")
            if key in found:
                raise ValueError(f"twice: {line}")
            found[key] = float(sample.group(3))
        if name != current:
            if name in ended:
                raise ValueError(f"{name} is not in one piece")
            ended.add(current)
            current = name
    return found


def _labels(text: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    at = 0
    while at < len(text):
        match = _LABEL.match(text, at) or _refuse(text)
        value = re.sub(
            r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], match.group(2)
        )
        pairs.append((match.group(1), value))
        at = match.end()
    return tuple(pairs)


def _refuse(line: str) -> re.Match[str]:
    raise ValueError(f"not allowed: {line}")


def scrape(console: Any) -> Series:
    """Read /metrics as a scraper does."""
    answer = console.client.get("/metrics")
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    return read_exposition(answer.text)


def total(series: Series, name: str, **labels: str) -> float:
    """One sample by its name and labels."""
    return series[f"carecue_{name}", tuple(labels.items())]
