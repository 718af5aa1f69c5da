"""How who is signed in is called: read with their own token, once, and kept.

With the page, which costs no time; else before the first thing that they save.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mappings.errors import FhirError
from mappings.resource import Resource
from middleware.desk.users import read_user_name
from smart_app.ports import SmartPorts
from smart_app.session import Session


def keep_names(
    ports: SmartPorts, session: Session, people: Iterable[Resource]
) -> Session:
    """Keep how a Practitioner or PractitionerRole is called; return the session with it."""
    for person in people:
        name = read_user_name(session.api, person) or ""
        ports.launches.set_user_name(session.launch, name, ports.clock.now())
        session = replace(session, launch=replace(session.launch, user_name=name))
    return session


def name_user(ports: SmartPorts, session: Session) -> Session:
    """Return the session with its user's name, where that may be read and is not known."""
    user = session.launch.user_reference
    known = session.launch.user_name is not None
    if known or not user or not session.permitted.for_users().allows(user):
        return session
    try:
        return keep_names(ports, session, [session.api.fetch(user)])
    except FhirError:
        # It is saved all the same, under the reference.
        return session
