"""What a person can do in the console: hold, release, move the simulated clock."""

from __future__ import annotations

from flask import Flask, g, request
from werkzeug.wrappers import Response as BaseResponse

from middleware.storage import audit
from middleware.web.console_ports import ConsolePorts
from middleware.web.console_shell import notice, say
from middleware.web.holding import hold_target, release_target
from middleware.web.words import PlanWords

REASON_LONGEST = 200


def add_acting(app: Flask, ports: ConsolePorts) -> None:
    """Add the forms' targets; each goes back to the overview and says what it did."""
    plans = PlanWords(ports.read_plans)

    @app.post("/console/hold")
    def hold() -> BaseResponse:
        scope, _, target = request.form.get("what", "").partition(":")
        reason = request.form.get("reason", "").strip()[:REASON_LONGEST]
        return say(hold_target(ports, plans, scope, target, reason, g.person))

    @app.post("/console/release")
    def release() -> BaseResponse:
        scope, target = request.form.get("scope", ""), request.form.get("target", "")
        return say(release_target(ports, plans, scope, target, g.person))

    @app.post("/console/clock")
    def clock() -> BaseResponse | tuple[str, int]:
        if ports.forward is None:
            return notice(404, "Time is real here", "Nothing was changed.")
        leap = request.form.get("to", "")
        said = ports.forward(leap)
        with ports.database.tx() as tx:
            audit.insert_audit(
                tx,
                g.person,
                "clock-forward",
                ports.clock.now(),
                subject=leap[:REASON_LONGEST],
                detail={"said": said},
            )
        return say(said)
