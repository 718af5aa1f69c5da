"""The patient's page as one answer in pieces: what is known at once, then the chart.

The first piece leaves before the EHR is asked: whose chart it is and what was last said
of it, marked as such. The last takes its place, also without script: the page, or what
happened where the chart cannot be read. Where the chart takes more requests than a
person waits for, what can be said so far stands between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

from flask import Response, copy_current_request_context, current_app

from mappings.errors import CareCueError, LaunchError
from middleware.desk.completeness import name_kinds
from middleware.desk.last import answer_so_far
from middleware.desk.page import write_identity
from middleware.desk.values import Answer
from middleware.desk.views import View
from middleware.ports import Patience
from smart_app.failures import BROKEN, name_step, name_title, settle_fault
from smart_app.ports import SmartPorts
from smart_app.rendering import Pages
from smart_app.session import Session

SHELL, MORE, REST = "shell", "more", "rest"
# Between the pieces: only by writing does a server find out that the browser left.
BEAT, BEAT_SECONDS = "\n", 0.5
HTML = "text/html; charset=utf-8"


def stream_page(
    ports: SmartPorts,
    pages: Pages,
    session: Session,
    views: Iterator[View],
    write: Callable[[View, str], str],
    patience: Patience,
) -> Response:
    """Answer the shell at once, then what can be said so far, then the page.

    ``write`` makes it of the last of the ``views``. What fails on the way has no status
    any more: its page is the last piece. Where the browser leaves meanwhile,
    ``patience`` ends and the EHR is asked nothing more.
    """
    shell = _write_shell(ports, pages, session)

    @copy_current_request_context
    def take() -> tuple[str, bool]:
        """Return the next piece, and whether it is the last; it may be empty."""
        try:
            view = next(views)
            if view.unread:
                return _write_so_far(ports, pages, session, view), False
            return write(view, REST), True
        except CareCueError as error:
            return _write_fault(ports, pages, session, error), True
        except Exception:  # or the first piece would stay alone
            current_app.logger.exception("a page broke off")
            fault = LaunchError(BROKEN, code="X1", status=500)
            return _write_fault(ports, pages, session, fault), True

    response = Response(_send(shell, take, patience), content_type=HTML)
    # A proxy that gathers answers would hold the first piece back.
    response.headers["X-Accel-Buffering"] = "no"
    return pages.address(response, session)


def _send(
    shell: str, take: Callable[[], tuple[str, bool]], patience: Patience
) -> Iterator[str]:
    beside = ThreadPoolExecutor(max_workers=1)
    try:
        yield shell
        ended = False
        while not ended:
            coming = beside.submit(take)
            while not wait([coming], timeout=BEAT_SECONDS).done:
                yield BEAT
            piece, ended = coming.result()
            yield piece
    finally:
        patience.end()
        beside.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class Said:
    """A verdict that is not the last word: as of a time, or while types are read."""

    answer: Answer
    at: str = ""
    reading: str = ""


def _write_shell(ports: SmartPorts, pages: Pages, session: Session) -> str:
    identity = session.person and ports.desk.identify(
        session.person, session.endpoint, session.patient, session.viewer
    )
    last = session.last and ports.desk.write_last(
        session.last, session.endpoint, session.viewer
    )
    return pages.render(
        "smart/shell.html",
        session,
        piece=SHELL,
        identity=identity,
        so_far=last and Said(last.answer, at=last.at),
    )


def _write_so_far(ports: SmartPorts, pages: Pages, session: Session, view: View) -> str:
    """Write what can be said while the rest is read, and what that is."""
    ports.desk.note_view(view, session.launch, "verdict")
    return pages.render(
        "smart/shell.html",
        session,
        piece=MORE,
        identity=write_identity(view),
        so_far=Said(answer_so_far(view), reading=name_kinds(view, sorted(view.unread))),
    )


def _write_fault(
    ports: SmartPorts, pages: Pages, session: Session, error: CareCueError
) -> str:
    fault = settle_fault(ports, session.launch, error)
    return pages.render(
        "smart/notice.html",
        session,
        piece=REST,
        title=name_title(fault),
        error=fault,
        step=name_step(fault.code),
        launch_id=session.launch.id,
    )
