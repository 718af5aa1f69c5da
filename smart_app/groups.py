"""Preferences edited in place, one group at a time: the part of the page, or a page.

With script a group is swapped where it stands and saved as it is changed; without one
the same form is a page of its own. What is not taken comes back as it was filled in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from flask import Request, Response, abort

from mappings.errors import BadInputError
from middleware.desk.editing.clashes import Clash
from middleware.desk.editing.fields import Fields, Filled, Sent
from middleware.desk.editing.group_views import (
    GroupForm,
    is_filled_in,
    refill_group_form,
    write_clash,
    write_group,
    write_group_form,
)
from middleware.desk.editing.groups import GROUPS
from middleware.desk.editing.saving import ChangedElsewhereError, RefusedError
from middleware.desk.editing.settling import CHART, OURS
from middleware.desk.views import View
from smart_app.entering import (
    actor_of,
    enter,
    go_back,
    go_on,
    is_partial,
    read_form,
    sent_of,
)
from smart_app.pages import tell_saved
from smart_app.ports import SmartPorts
from smart_app.rendering import Pages
from smart_app.saving import CHANGED
from smart_app.session import Session

# Saving without a form to fill in, and both values where somebody else was faster.
Act = tuple[Callable[[View, Sent, str], None], Callable[[View, Sent, str], Clash]]


class GroupEdits:
    """The forms of ``/l/<lid>/preferences/<group>``."""

    def __init__(self, ports: SmartPorts, pages: Pages) -> None:
        self._ports = ports
        self._pages = pages
        self._editor = ports.desk.editor

    def ask(self, request: Request, lid: str, name: str) -> Response:
        """Answer the form of a group; with ``shown`` the group as it stands."""
        _known(name)
        session, view = enter(self._ports, request, lid, edit=True)
        if "shown" in request.args and is_partial(request):
            return self._shown(session, view, name)
        form = write_group_form(view, name)
        return self._form(request, session, view, form)

    def save(self, request: Request, lid: str, name: str) -> Response:
        """Record what the form says, or show it again with what stands in the way."""
        _known(name)
        session, view = enter(self._ports, request, lid, form=True)
        filled, editor = _fill(request.form.to_dict(flat=False)), self._editor
        chosen = is_partial(request) and "save" not in request.form
        if chosen and not is_filled_in(view, name, filled):
            form = refill_group_form(view, name, filled)
            same = go_on(session, filled.form)
            return self._form(request, same, view, form)
        try:
            editor.save_group(view, actor_of(session), name, filled)
        except ChangedElsewhereError:
            fresh = editor.refresh_view(view)
            form = refill_group_form(fresh, name, replace(filled, version=""))
            clash = write_clash(fresh, name, filled.given)
            return self._form(
                request, session, fresh, form, CHANGED, status=409, clash=clash
            )
        except (BadInputError, RefusedError) as error:
            form = refill_group_form(view, name, filled)
            return self._form(
                request,
                go_on(session, filled.form),
                view,
                form,
                error.message,
                status=422,
                wrong=error.field,
            )
        return self._saved(request, session, view, name)

    def undo(self, request: Request, lid: str, name: str) -> Response:
        """Put back what stood before the last save."""
        editor, told = self._editor, ("undo", "undo")
        act = (editor.undo_group, editor.write_undo_clash)
        return self._put_back(request, lid, name, act, told)

    def take_back(self, request: Request, lid: str, name: str) -> Response:
        """Take back what staff said, so that the other voices hold again."""
        editor, told = self._editor, ("take-back", "taken-back")
        act = (editor.take_back, editor.write_take_back_clash)
        return self._put_back(request, lid, name, act, told)

    def settle(self, request: Request, lid: str, name: str, keep: str) -> Response:
        """Let what was said here hold, or what the chart says."""
        if keep not in (OURS, CHART):
            abort(404)
        editor, told = self._editor, (f"settle/{keep}", "group")
        act = (
            partial(editor.settle, keep=keep),
            partial(editor.write_settle_clash, keep=keep),
        )
        return self._put_back(request, lid, name, act, told)

    def _put_back(
        self, request: Request, lid: str, name: str, act: Act, told: tuple[str, str]
    ) -> Response:
        """Do what has no form to fill in; ``told`` is its path, and how a page says it."""
        _known(name)
        session, view = enter(self._ports, request, lid, form=True)
        (save, write_both), (path, saved) = act, told
        sent = sent_of(request, session, path)
        try:
            save(view, sent, name)
        except ChangedElsewhereError:
            fresh = self._editor.refresh_view(view)
            clash = write_both(fresh, sent, name)
            return self._choose(request, session, fresh, (name, path), clash)
        except RefusedError as error:
            form = write_group_form(view, name)
            return self._form(request, session, view, form, error.message, status=422)
        return self._saved(request, session, view, name, saved)

    def fill(
        self, request: Request, session: Session, view: View, name: str, given: Fields
    ) -> Response:
        """Answer the form of a group, filled in as it was and in sight of what stood then."""
        _known(name)
        form = refill_group_form(view, name, _fill(given))
        return self._form(request, session, view, form)

    def _saved(
        self,
        request: Request,
        session: Session,
        view: View,
        name: str,
        saved: str = "group",
    ) -> Response:
        if not is_partial(request):
            return go_back(self._ports, request, session, saved, f"g-{name}")
        # The group says it where it stands.
        return tell_saved(self._ports, self._pages, (request, session, view), "")

    def _shown(self, session: Session, view: View, name: str) -> Response:
        group = write_group(view, name, actor_of(session))
        page = self._ports.desk.write_page(view)
        return self._pages.show("smart/group.html", session, group=group, page=page)

    def _choose(
        self,
        request: Request,
        session: Session,
        view: View,
        where: tuple[str, str],
        clash: Clash,
    ) -> Response:
        """Answer both values where there is no form to fill in: an undo, a taking back."""
        name, act = where
        template = "group_clash" if is_partial(request) else "clash"
        return self._pages.show(
            f"smart/{template}.html",
            session,
            409,
            page=self._ports.desk.write_page(view),
            name=name,
            title=write_group_form(view, name).title,
            action=f"preferences/{name}/{act}",
            error=CHANGED,
            clash=clash,
        )

    def _form(
        self,
        request: Request,
        session: Session,
        view: View,
        form: GroupForm,
        error: str = "",
        *,
        status: int = 200,
        clash: Clash | None = None,
        wrong: str = "",
    ) -> Response:
        # What is about no field that stands here is said at the top.
        wrong = wrong if wrong in {"who", *(f.name for f in form.fields)} else ""
        if is_partial(request):
            return self._pages.show(
                "smart/group_form.html",
                session,
                status,
                form=form,
                error=error,
                wrong=wrong,
                clash=clash,
            )
        return self._pages.show(
            "smart/group_page.html",
            session,
            status,
            page=self._ports.desk.write_page(view),
            form=form,
            error=error,
            wrong=wrong,
            clash=clash,
        )


def _fill(given: Fields) -> Filled:
    """Return what a form says, whatever it says."""
    who, version = ("".join(given.get(item, ())) for item in ("who", "version"))
    return Filled(given, who, version, read_form(given))


def _known(name: str) -> None:
    if name not in GROUPS:
        abort(404)
