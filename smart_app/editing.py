"""The routes of everything that can be changed on an open launch's page."""

from __future__ import annotations

from flask import Blueprint, Response, request

from smart_app.answers import Answers
from smart_app.groups import GroupEdits
from smart_app.messages import Messages
from smart_app.ports import SmartPorts
from smart_app.rendering import Pages
from smart_app.resuming import Drafts
from smart_app.saving import PatientEdits

BOTH = ["GET", "POST"]


def add_edits(blueprint: Blueprint, ports: SmartPorts, pages: Pages) -> None:
    """Add the forms to the app."""
    _add_patient(blueprint, PatientEdits(ports, pages))
    _add_messages(blueprint, Messages(ports, pages))
    _add_groups(blueprint, GroupEdits(ports, pages))
    _add_answers(blueprint, Answers(ports, pages))
    _add_drafts(blueprint, Drafts(ports, pages))


def _add_patient(blueprint: Blueprint, edits: PatientEdits) -> None:
    @blueprint.route("/l/<lid>/pause", methods=BOTH)
    def pause(lid: str) -> Response:
        view = edits.pause if request.method == "POST" else edits.ask_pause
        return view(request, lid)

    @blueprint.post("/l/<lid>/resume")
    def resume(lid: str) -> Response:
        return edits.resume(request, lid)


def _add_messages(blueprint: Blueprint, messages: Messages) -> None:
    @blueprint.route("/l/<lid>/messages/<nudge_id>/skip", methods=BOTH)
    def skip(lid: str, nudge_id: str) -> Response:
        view = messages.skip if request.method == "POST" else messages.ask_skip
        return view(request, lid, nudge_id)

    @blueprint.route("/l/<lid>/messages/<nudge_id>/move", methods=BOTH)
    def move(lid: str, nudge_id: str) -> Response:
        view = messages.move if request.method == "POST" else messages.ask_move
        return view(request, lid, nudge_id)


def _add_groups(blueprint: Blueprint, groups: GroupEdits) -> None:
    @blueprint.route("/l/<lid>/preferences/<name>", methods=BOTH)
    def preference(lid: str, name: str) -> Response:
        view = groups.save if request.method == "POST" else groups.ask
        return view(request, lid, name)

    @blueprint.post("/l/<lid>/preferences/<name>/undo")
    def undo(lid: str, name: str) -> Response:
        return groups.undo(request, lid, name)

    @blueprint.post("/l/<lid>/preferences/<name>/take-back")
    def take_back(lid: str, name: str) -> Response:
        return groups.take_back(request, lid, name)

    @blueprint.post("/l/<lid>/preferences/<name>/settle/<keep>")
    def settle(lid: str, name: str, keep: str) -> Response:
        return groups.settle(request, lid, name, keep)


def _add_answers(blueprint: Blueprint, answers: Answers) -> None:
    @blueprint.route("/l/<lid>/answers", methods=BOTH)
    def answer(lid: str) -> Response:
        view = answers.save if request.method == "POST" else answers.ask
        return view(request, lid)


def _add_drafts(blueprint: Blueprint, drafts: Drafts) -> None:
    @blueprint.get("/l/<lid>/draft")
    def draft(lid: str) -> Response:
        return drafts.resume(request, lid)

    @blueprint.post("/l/<lid>/draft/discard")
    def discard(lid: str) -> Response:
        return drafts.discard(request, lid)
