"""The patient's page as one answer in two pieces: what is known at once, then the chart.

The first piece leaves before the EHR is asked: whose chart it is and what was last said
of it, marked as such. The second takes its place, also without script; where the chart
cannot be read, what happened takes its place. Nothing of the first looks fresh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from flask import Response, copy_current_request_context, current_app

from mappings.errors import CareCueError, LaunchError
from smart_app.failures import BROKEN, name_step, name_title, settle_fault
from smart_app.ports import SmartPorts
from smart_app.rendering import Pages
from smart_app.session import Session

SHELL, REST = "shell", "rest"
HTML = "text/html; charset=utf-8"


def stream_page(
    ports: SmartPorts,
    pages: Pages,
    session: Session,
    write: Callable[[str], str],
) -> Response:
    """Answer the shell at once, then what ``write`` makes of the chart.

    What fails later has no status any more: its page is the second piece.
    """
    identity = session.person and ports.desk.identify(
        session.person, session.endpoint, session.patient, session.viewer
    )
    last = session.last and ports.desk.write_last(
        session.last, session.endpoint, session.viewer
    )
    shell = pages.render(
        "smart/shell.html", session, piece=SHELL, identity=identity, last=last
    )

    @copy_current_request_context
    def finish() -> str:
        try:
            return write(REST)
        except CareCueError as error:
            return _write_fault(ports, pages, session, error)
        except Exception:  # or the first piece would stay alone
            current_app.logger.exception("a page broke off")
            fault = LaunchError(BROKEN, code="X1", status=500)
            return _write_fault(ports, pages, session, fault)

    def pieces() -> Iterator[str]:
        yield shell
        yield finish()

    response = Response(pieces(), content_type=HTML)
    # A proxy that gathers answers would hold the first piece back.
    response.headers["X-Accel-Buffering"] = "no"
    return pages.address(response, session)


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
