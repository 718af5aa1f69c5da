"""Tasks for staff: what waits for a person, and saying that it is seen to, or done."""

from __future__ import annotations

import click
import orjson

from mappings.errors import BadInputError, CareCueError
from middleware.cli.output import fail
from middleware.settings import read_settings
from middleware.stages.settled import end_task, take_task, trust_address
from middleware.storage import tasks
from middleware.wiring.pipeline import stage_context
from middleware.wiring.runtime import open_runtime


@click.group()
def task() -> None:
    """Tasks for staff: list those that are open, mark one done."""


@task.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_(as_json: bool) -> None:
    """List the open tasks, the most pressing first.

    \b
    Example:
      carecue task list
    """
    try:
        with open_runtime(read_settings()) as runtime, runtime.database.tx() as tx:
            found = tasks.list_open_tasks(tx)
    except CareCueError as error:
        fail(error)
    if as_json:
        rows = [
            {
                "id": row.id,
                "priority": row.priority,
                "reason": row.reason,
                "endpoint": row.endpoint_id,
                "patient": row.patient,
                "text": row.text,
                "created_at": row.created_at.isoformat(),
            }
            for row in found
        ]
        click.echo(orjson.dumps({"tasks": rows}))
        return
    for row in found:
        click.echo(
            f"{row.priority:8} {row.created_at:%Y-%m-%d %H:%M}  {row.patient or '-'}  "
            f"{row.text}\n         {row.id}"
        )


@task.command()
@click.argument("task_id")
@click.option("--by", required=True, help="Who sees to it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def take(task_id: str, by: str, as_json: bool) -> None:
    """Say that you see to a task; the people on call are not called for it any more.

    \b
    Example:
      carecue task take 'task-reply|12|north|Patient/4' --by "A. Mehta"
    """
    try:
        with open_runtime(read_settings()) as runtime:
            if not take_task(stage_context(runtime), task_id, by):
                raise BadInputError(f"There is no open task {task_id}.")
    except CareCueError as error:
        fail(error)
    if as_json:
        click.echo(orjson.dumps({"taken": task_id, "by": by}))
    else:
        click.echo(f"Taken by {by}: {task_id}")


@task.command()
@click.argument("task_id")
@click.option("--by", required=True, help="Who did it; it is audited.")
@click.option(
    "--number-is-right",
    is_flag=True,
    help="The number that a reply called wrong is the patient's after all.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def done(task_id: str, by: str, number_is_right: bool, as_json: bool) -> None:
    """Mark a task done; messages that were held for it are looked at again.

    The Task in the EHR, where there is one, is for its own staff to complete. With
    --number-is-right the number is used again; a STOP from it still stands.

    \b
    Example:
      carecue task done 'task-reply|12|north|Patient/4' --by "A. Mehta"
    """
    try:
        with open_runtime(read_settings()) as runtime:
            context = stage_context(runtime)
            if number_is_right and trust_address(context, task_id, by) is None:
                raise BadInputError(
                    f"{task_id} is not about a reply. Nothing was changed."
                )
            if not end_task(context, task_id, by):
                raise BadInputError(
                    f"There is no open task {task_id}. Nothing else was changed."
                )
    except CareCueError as error:
        fail(error)
    if as_json:
        click.echo(orjson.dumps({"done": task_id, "by": by}))
    else:
        click.echo(f"Done: {task_id}")
