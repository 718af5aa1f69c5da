"""The page that a patient takes home: one sheet of large print in their language."""

from __future__ import annotations

from flask import Request, Response

from middleware.desk.viewer import HANDED
from smart_app.entering import enter
from smart_app.ports import SmartPorts
from smart_app.rendering import Pages


class Printing:
    """The view of ``/l/<lid>/summary`` over the app's ports."""

    def __init__(self, ports: SmartPorts, pages: Pages) -> None:
        self._ports = ports
        self._pages = pages

    def show(self, request: Request, lid: str) -> Response:
        """Answer the sheet, ``in`` a language that was asked for or the patient's own.

        Of a closed record or somebody who died, the page says so.
        """
        session, view = enter(self._ports, request, lid)
        handing = self._ports.desk.write_handing(view, request.args.get("in", ""))
        if handing is None:
            return Response(status=303, headers={"Location": f"/l/{lid}/"})
        page = self._ports.desk.write_page(view)
        return self._pages.show(
            "smart/summary.html", session, page=page, handing=handing, handed=HANDED
        )
