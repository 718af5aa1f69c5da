"""Faults on request, the same ones in every run with the same seed.

It may not deliver anything: it only tells who asks whether to spoil this one.
Whether an event is spoilt depends on the seed and on the event's own key, not on
what else happens.
"""

import hashlib
import threading
from collections import Counter
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

import flask
import orjson

from middleware.sandbox.journal import Journal
from middleware.sandbox.outcome import FhirFault

KIND = "faults"
Fault = Literal["drop", "duplicate", "reorder", "http_500"]
_RATES = ("drop", "duplicate", "reorder", "http_500")
_SWITCHES = ("refuse_heartbeats", "adjust_filters")
LONGEST_MS = 60_000


@dataclass(frozen=True)
class FaultPlan:
    """Rates (0 to 1), delays (milliseconds of the wall clock) and switches.

    `refuse_heartbeats`: a Subscription that asks for them is answered 400.
    `adjust_filters`: one with filters is kept without them and with status error, for
    the client to accept (US Core, patient data feed).
    """

    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    delay_ms: int = 0
    http_500: float = 0.0
    slow_ms: int = 0
    refuse_heartbeats: bool = False
    adjust_filters: bool = False
    seed: int = 7


def read_plan(current: FaultPlan, body: Any) -> FaultPlan:
    """Read a plan from JSON; what is absent stays. ValueError says what is wrong."""
    if not isinstance(body, dict):
        raise ValueError("the body is not a JSON object")  # noqa: TRY004 (bad input)
    known = {field.name for field in fields(FaultPlan)}
    unknown = sorted(set(body) - known)
    if unknown:
        raise ValueError(f"unknown faults: {', '.join(unknown)}")
    for name, value in body.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        whole = isinstance(value, int) and number
        if name in _RATES and not (number and 0 <= value <= 1):
            raise ValueError(f"{name} is not a rate from 0 to 1")
        if name in _SWITCHES and not isinstance(value, bool):
            raise ValueError(f"{name} is not true or false")
        if name == "seed" and not whole:
            raise ValueError("seed is not a whole number")
        if name.endswith("_ms") and not (whole and 0 <= value <= LONGEST_MS):
            raise ValueError(f"{name} is not a number from 0 to {LONGEST_MS}")
    return replace(current, **body)


class Faults:
    """The plan in force, and the deterministic dice."""

    def __init__(self, journal: Journal, seed: int) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._plan = FaultPlan(seed=seed)
        self._asked: Counter[str] = Counter()
        self._never = threading.Event()
        for record in journal.recorded(KIND)[-1:]:
            self._plan = FaultPlan(**record)

    @property
    def plan(self) -> FaultPlan:
        """Answer the plan in force."""
        return self._plan

    def set(self, plan: FaultPlan) -> None:
        """Put a plan in force and begin counting reads anew."""
        with self._lock:
            self._plan = plan
            self._asked.clear()
            self._journal.append(KIND, asdict(plan))

    def strikes(self, fault: Fault, key: str) -> bool:
        """Tell whether a fault strikes the thing with this key."""
        plan = self._plan
        return chance(plan.seed, fault, key) < float(getattr(plan, fault))

    def strikes_read(self, key: str) -> bool:
        """Tell whether this read of the same URL fails; each one rolls anew."""
        with self._lock:
            self._asked[key] += 1
            count = self._asked[key]
        return self.strikes("http_500", f"{key}|{count}")

    def linger(self) -> None:
        """Wait as long as a slow read takes."""
        if self._plan.slow_ms:
            self._never.wait(self._plan.slow_ms / 1000)


def chance(seed: int, fault: str, key: str) -> float:
    """Answer a number from 0 to under 1 that depends on nothing but its inputs."""
    digest = hashlib.sha256(f"{seed}|{fault}|{key}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def register(app: flask.Flask) -> None:
    """Add `/sandbox/faults`, restart, token revocation, and the hook for reads."""
    faults = Faults(app.extensions["journal"], app.extensions["options"].seed)
    app.extensions["faults"] = faults
    blueprint = flask.Blueprint("faults", __name__, url_prefix="/sandbox")

    @blueprint.get("/faults")
    def read_faults() -> dict[str, Any]:
        return asdict(faults.plan)

    @blueprint.put("/faults")
    def set_faults() -> tuple[dict[str, Any], int]:
        try:
            plan = read_plan(faults.plan, orjson.loads(flask.request.get_data()))
        except ValueError as error:
            return {"error": f"{error}; the faults stay as they were"}, 400
        faults.set(plan)
        return asdict(plan), 200

    @blueprint.post("/restart")
    def restart() -> dict[str, int]:
        return {"lost": flask.current_app.extensions["notifier"].restart()}

    @blueprint.post("/tokens/revoke")
    def revoke_tokens() -> tuple[dict[str, Any], int]:
        access = flask.current_app.extensions.get("access")
        if access is None:
            return {"error": "this sandbox has no tokens; nothing was revoked"}, 404
        access.tokens.revoke_all()
        return {"revoked": True}, 200

    app.register_blueprint(blueprint)
    app.before_request(spoil_read)


def spoil_read() -> flask.Response | None:
    """Make a FHIR read slow or fail it with 500, as the plan says; a Flask hook."""
    request = flask.request
    faults: Faults = flask.current_app.extensions["faults"]
    if not (faults.plan.http_500 or faults.plan.slow_ms) or not _is_read(request):
        return None
    faults.linger()
    if not faults.strikes_read(request.full_path):
        return None
    fault = FhirFault(500, "a fault was asked for; nothing changed; try again")
    return flask.Response(
        orjson.dumps(fault.outcome()), 500, content_type="application/fhir+json"
    )


def _is_read(request: flask.Request) -> bool:
    path = request.path
    if not path.startswith("/fhir/") or path.startswith("/fhir/.well-known/"):
        return False
    return request.method == "GET" or path.endswith("/_search")
