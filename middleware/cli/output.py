"""How commands speak: results on stdout, progress on stderr, one clear line on error."""

from __future__ import annotations

from typing import NoReturn

import click

from mappings.errors import BadInputError, CareCueError, ConfigurationError


def progress(text: str) -> None:
    """Tell on stderr what is going on."""
    click.echo(text, err=True)


def fail(error: CareCueError) -> NoReturn:
    """Print one clear line and exit: 2 for bad input, else 1."""
    click.echo(f"carecue: {error.message}", err=True)
    bad_input = isinstance(error, BadInputError | ConfigurationError)
    raise SystemExit(2 if bad_input else 1)
