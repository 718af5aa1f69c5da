"""The patient's page as one answer in two pieces: what is known at once, then the chart.

The first piece leaves before the EHR is asked: whose chart it is and what was last said
of it, marked as such. The second takes its place, also without script; where the chart
cannot be read, what happened takes its place. Nothing of the first looks fresh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait

from flask import Response, copy_current_request_context, current_app

from mappings.errors import CareCueError, LaunchError
from middleware.ports import Patience
from smart_app.failures import BROKEN, name_step, name_title, settle_fault
from smart_app.ports import SmartPorts
from smart_app.rendering import Pages
from smart_app.session import Session

SHELL, REST = "shell", "rest"
# Between the pieces: only by writing does a server find out that the browser left.
BEAT, BEAT_SECONDS = "\n", 0.5
HTML = "text/html; charset=utf-8"


def stream_page(
    ports: SmartPorts,
    pages: Pages,
    session: Session,
    write: Callable[[str], str],
    patience: Patience,
) -> Response:
    """Answer the shell at once, then what ``write`` makes of the chart.

    What fails later has no status any more: its page is the second piece. Where the
    browser leaves meanwhile, ``patience`` ends and the EHR is asked nothing more.
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

    response = Response(_send(shell, finish, patience), content_type=HTML)
    # A proxy that gathers answers would hold the first piece back.
    response.headers["X-Accel-Buffering"] = "no"
    return pages.address(response, session)


def _send(shell: str, finish: Callable[[], str], patience: Patience) -> Iterator[str]:
    beside = ThreadPoolExecutor(max_workers=1)
    try:
        yield shell
        rest = beside.submit(finish)
        while not wait([rest], timeout=BEAT_SECONDS).done:
            yield BEAT
        yield rest.result()
    finally:
        patience.end()
        beside.shutdown(wait=False, cancel_futures=True)


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
