"""One launch, one cookie: who may see ``/l/<lid>/`` and until when.

The cookie's secret is kept as a hash only; what the launch needs again (token,
verifier, nonce) is sealed together with the launch's id, so that no row can stand in
for another. Nothing here asks the EHR.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from flask import Request

from mappings.endpoint import Endpoint
from mappings.errors import AuthorizationError, LaunchError
from mappings.scopes import read_grant
from middleware.desk.charting import Within
from middleware.desk.formats import write_time
from middleware.desk.launches import LOCKED, OPEN, Coming, LastAnswer, Launch, note_step
from middleware.desk.permitted import Permitted
from middleware.desk.viewer import Viewer, choose_tag, viewer_of
from middleware.ports import FhirApi, Patience
from smart_app.cookies import cookie_name, csrf_token, digest, holds_cookie
from smart_app.discovery import is_allowed
from smart_app.kept import ENDED, unseal
from smart_app.ports import Bearing, SmartPorts
from smart_app.scopes import Asking, Examined, Withheld, examine
from smart_app.users import find_read_only

START_LIFE = timedelta(minutes=10)
JUST_NOW = timedelta(minutes=1)
TOUCH_AFTER = timedelta(minutes=1)
# What a renewal comes to: refused, or an answer that may not be used.
RENEWING = ("R", "T", "U")


@dataclass(frozen=True)
class Session:
    """An open launch with its endpoint, its way to the chart, its anti-forgery mark.

    ``api`` reads with the launch's own token and renews it where that is needed.
    ``types`` tells what a page reads, so that it is found out what the granted scopes
    give, and ``permitted`` what the EHR may be asked for at all. ``read_only`` says why
    this user may change nothing, if so. ``person`` is the Patient as this launch's
    token read it, ``within`` how much may be asked before a page shows; ``last`` is
    what the page last said to this user. ``form`` names the forms of this answer, so
    that one that is sent twice is known.
    """

    launch: Launch
    endpoint: Endpoint
    api: FhirApi
    csrf: str
    form: str
    authorize_origin: str
    viewer: Viewer
    types: Callable[[], tuple[str, ...]]
    permitted: Permitted
    read_only: str = ""
    person: dict[str, Any] | None = None
    within: Within = field(default_factory=Within)
    last: LastAnswer | None = None

    @cached_property
    def _examined(self) -> Examined:
        # Not when it is opened: the first piece of a page shows nothing of it.
        launch = self.launch
        return examine(launch.scope or "", self.types(), _asking(launch))

    @property
    def features(self) -> frozenset[str]:
        """Return what is on under the granted scopes."""
        return self._examined.features

    @property
    def withheld(self) -> tuple[Withheld, ...]:
        """Return what is not, each with the scope to add."""
        return self._examined.withheld

    @property
    def patient(self) -> str:
        """Return the patient of this launch, ``Patient/id``."""
        return self.launch.patient or ""

    @property
    def chart(self) -> str:
        """Return a mark of this launch and its patient that names neither."""
        return digest(f"{self.launch.id} {self.patient}")[:16]

    @property
    def opened(self) -> str:
        """Return when the launch began, as the site's clock says it."""
        zone = ZoneInfo(self.endpoint.site.zone)
        return write_time(self.viewer, self.launch.created_at.astimezone(zone))

    @property
    def theme(self) -> str | None:
        """Return where the EHR's style is served for this launch; None without one."""
        url = style_of(self.launch, self.endpoint)
        return url and f"/l/{self.launch.id}/theme-{theme_name(url)}.css"

    @property
    def may_edit(self) -> bool:
        """Tell whether this user may change anything."""
        return not self.read_only


def style_of(launch: Launch, endpoint: Endpoint) -> str | None:
    """Return the URL of the EHR's style, where it lies on a host of the EHR's."""
    url = launch.context.get("style_url")
    return url if isinstance(url, str) and is_allowed(endpoint, url) else None


def theme_name(url: str) -> str:
    """Return the name of a style's sheet: SMART takes the URL for its version."""
    return digest(url)[:16]


def find_endpoint(ports: SmartPorts, endpoint_id: str) -> Endpoint:
    """Return the endpoint of a launch; LaunchError S4 when it was removed."""
    found = (one for one in ports.endpoints() if one.id == endpoint_id)
    return known(next(found, None))


def known(endpoint: Endpoint | None) -> Endpoint:
    """Return the endpoint of a launch; LaunchError S4 when it was removed."""
    if endpoint is not None:
        return endpoint
    raise LaunchError(
        "This EHR is no longer connected to CareCue. Nothing can be shown.",
        code="S4",
        status=403,
    )


def open_session(
    ports: SmartPorts,
    request: Request,
    launch_id: str,
    *,
    quiet: bool = False,
    looks: bool = False,
    patience: Patience | None = None,
) -> Session:
    """Return the session behind ``/l/<launch_id>/``, and remember its use.

    A ``quiet`` request does not count as use; one that ``looks`` shows who the patient
    is, which is audited. The chart is asked for as long as ``patience`` lasts. Raises
    LaunchError S1 (403) without the launch's cookie, S2 (401) after its time.
    """
    now, asked = ports.clock.now(), asked_language(request)
    secret = request.cookies.get(cookie_name(launch_id), "")
    entry = ports.launches.enter(launch_id, Coming(digest(secret), asked, now, looks))
    launch = check_cookie(request, entry.launch if entry else None)
    endpoint = known(entry.endpoint if entry else None)
    _check_lives(ports, launch, endpoint, now)
    sealed = unseal(ports, launch)
    session = Session(
        launch=launch,
        endpoint=endpoint,
        api=ports.fhir(endpoint, bearer_of(ports, launch), patience),
        csrf=csrf_token(launch, secret),
        form=ports.ids.new(),
        authorize_origin=sealed["authorize_origin"],
        viewer=viewer_of(launch.language or asked),
        types=lambda: ports.desk.resource_types(endpoint),
        permitted=permitted_by(launch),
        read_only=_read_only(launch, endpoint),
        person=sealed.get("person"),
        within=_within(launch, sealed, now),
        last=entry.last if entry else None,
    )
    if not quiet:
        note_use(ports, session)
    return session


def _check_lives(
    ports: SmartPorts, launch: Launch, endpoint: Endpoint, now: datetime
) -> None:
    if launch.stage != OPEN or launch.patient is None or launch.look is None:
        raise is_over(launch)
    if now >= min(launch.expires_at, idle_until(launch, endpoint)):
        end_session(ports, launch, LOCKED, "S2")
        raise LaunchError(ENDED, code="S2", status=401)


def is_over(launch: Launch | None) -> LaunchError:
    """Return that a launch has ended, with the code of the renewal that ended it."""
    code = (launch.error if launch else None) or ""
    return LaunchError(ENDED, code=code if code[:1] in RENEWING else "S2", status=401)


def note_use(ports: SmartPorts, session: Session) -> None:
    """Remember that the launch is used; every minute is enough."""
    launch, now = session.launch, ports.clock.now()
    if now - (launch.seen_at or launch.created_at) >= TOUCH_AFTER:
        ports.launches.touch(launch.id, now)


def _within(launch: Launch, sealed: dict[str, Any], now: datetime) -> Within:
    """Count what the callback asked, where its Patient was read a moment ago.

    A user whose name nobody knows yet is asked about beside the chart.
    """
    user = launch.user_reference if launch.user_name is None else None
    may = user and permitted_by(launch).for_users().allows(user)
    users = (user,) if user and may else ()
    person, at = sealed.get("person"), sealed.get("person_at")
    fresh = at is not None and now - datetime.fromisoformat(at) < JUST_NOW
    if not isinstance(person, dict) or not fresh:
        return Within(users=users)
    return Within(person, int(sealed.get("asked", 1)), users)


def find_launch(ports: SmartPorts, request: Request, launch_id: str) -> Launch:
    """Return the launch whose cookie the browser brought; LaunchError S1."""
    return check_cookie(request, ports.launches.get(launch_id))


def check_cookie(request: Request, launch: Launch | None) -> Launch:
    """Return a launch whose cookie the browser brought; LaunchError S1 for any other."""
    if launch is None or not holds_cookie(request, launch):
        raise LaunchError(
            "This page belongs to another window or browser. Nothing was shown or "
            "changed. Open this app again from the chart.",
            code="S1",
            status=403,
        )
    return launch


def idle_until(launch: Launch, endpoint: Endpoint) -> datetime:
    """Return when a launch is locked unless it is used before."""
    seen = launch.seen_at or launch.created_at
    return seen + timedelta(minutes=endpoint.app.idle_minutes)


def end_session(ports: SmartPorts, launch: Launch, stage: str, code: str) -> None:
    """Close a launch for good, with its way noted: locked, or closed by its user."""
    now = ports.clock.now()
    note_step(launch, now, stage, code=code)
    ports.launches.end(replace(launch, stage=stage, error=code), now)


def bearer_of(ports: SmartPorts, launch: Launch) -> Bearing:
    """Return what gives the launch's token; LaunchError S2 when there is none."""
    if ports.bearer is None:
        raise LaunchError(ENDED, code="S2", status=401)
    bearer = ports.bearer(launch)
    try:
        bearer.token()
    except AuthorizationError as error:
        raise is_over(ports.launches.get(launch.id)) from error
    return bearer


def asked_language(request: Request) -> str:
    """Return the language tag that the browser asks for, of those we have."""
    return choose_tag(request.accept_languages.values())


def _read_only(launch: Launch, endpoint: Endpoint) -> str:
    roles, granted = launch.context.get("roles"), read_grant(launch.scope or "")
    return find_read_only(endpoint.app, launch.user_reference, roles, granted)


def permitted_by(launch: Launch) -> Permitted:
    """Return what the EHR may be asked for under a launch's granted scopes."""
    how = _asking(launch)
    levels = ("patient", "user") if how.level == "patient" else ("user",)
    return Permitted(read_grant(launch.scope or ""), levels, how.style)


def _asking(launch: Launch) -> Asking:
    style, level = launch.context.get("style"), launch.context.get("level")
    return Asking(style=style or "v2", level=level or "patient")
