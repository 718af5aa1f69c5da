"""The options of ``carecue bench``, in one form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

Option = Callable[[Callable[..., Any]], Callable[..., Any]]

as_json: Option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object, last."
)


def whole(name: str, least: int, most: int, default: int, said: str) -> Option:
    """Return an option that takes a whole number."""
    kind = click.IntRange(least, most)
    return click.option(name, type=kind, default=default, show_default=True, help=said)


def real(name: str, least: float, most: float, default: float, said: str) -> Option:
    """Return an option that takes any number."""
    kind = click.FloatRange(least, most)
    return click.option(name, type=kind, default=default, show_default=True, help=said)
