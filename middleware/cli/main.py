"""The ``carecue`` command: one group, its commands in modules of their own."""

from __future__ import annotations

import click

from middleware.cli.admin import audit_list, console_link, explain, hold, release
from middleware.cli.content import decide, plan
from middleware.cli.demo import demo
from middleware.cli.endpoints import endpoint
from middleware.cli.events import events
from middleware.cli.service import migrate_command, sandbox, serve, worker
from middleware.cli.stewardship import key, patient, restore
from middleware.cli.tasks import task


@click.group()
@click.version_option(package_name="carecue")
def main() -> None:
    """FHIR-native engagement middleware with a SMART on FHIR app."""


for command in (
    audit_list,
    console_link,
    decide,
    demo,
    endpoint,
    events,
    explain,
    hold,
    key,
    migrate_command,
    patient,
    plan,
    release,
    restore,
    sandbox,
    serve,
    task,
    worker,
):
    main.add_command(command)
