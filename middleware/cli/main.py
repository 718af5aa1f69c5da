"""The ``carecue`` command: one group, its commands in modules of their own.

A command's module is imported when the command is asked for: a process of ours loads
only what it does.
"""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "audit": "middleware.cli.admin:audit_list",
    "bench": "middleware.cli.bench:bench",
    "console-link": "middleware.cli.admin:console_link",
    "decide": "middleware.cli.deciding:decide",
    "demo": "middleware.cli.demo:demo",
    "endpoint": "middleware.cli.endpoints:endpoint",
    "events": "middleware.cli.events:events",
    "explain": "middleware.cli.admin:explain",
    "forecast": "middleware.cli.forecast:forecast_command",
    "hold": "middleware.cli.admin:hold",
    "hook": "middleware.cli.hooks:hook",
    "key": "middleware.cli.stewardship:key",
    "launches": "middleware.cli.launches:launches",
    "ledger": "middleware.cli.ledger:ledger",
    "migrate": "middleware.cli.service:migrate_command",
    "patient": "middleware.cli.stewardship:patient",
    "plan": "middleware.cli.plans:plan",
    "release": "middleware.cli.admin:release",
    "restore": "middleware.cli.stewardship:restore",
    "sandbox": "middleware.cli.sandbox:sandbox",
    "serve": "middleware.cli.service:serve",
    "task": "middleware.cli.tasks:task",
    "worker": "middleware.cli.worker:worker",
}


class Commands(click.Group):
    """A group that imports a command's module at its first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """Return all names in order."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- click's signature
        """Return one command; None for a name that is none."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=Commands)
@click.version_option(package_name="carecue")
def main() -> None:
    """FHIR-native engagement middleware with a SMART on FHIR app."""
