"""The router of FHIR interactions: which function answers which method and path.

HTTP and Bundle entries come through here alike. Source:
https://hl7.org/fhir/R4/http.html#summary.
"""

from collections.abc import Callable

from middleware.sandbox import reads, writes
from middleware.sandbox.calls import Answer, Call, Session
from middleware.sandbox.models import resource_types
from middleware.sandbox.outcome import FhirFault, printable
from middleware.sandbox.transaction import Transaction
from middleware.sandbox.validation import ID

Reader = Callable[[Call, Session], Answer]
Writer = Callable[[Call, Session, Transaction], Answer]

READERS: dict[str, dict[str, Reader]] = {
    "pages": {"GET": reads.page},
    "type": {"GET": reads.search},
    "search": {"POST": reads.search, "GET": reads.search},
    "instance": {"GET": reads.read},
    "history": {"GET": reads.history},
    "version": {"GET": reads.vread},
}
WRITERS: dict[str, dict[str, Writer]] = {
    "type": {
        "POST": writes.create,
        "PUT": writes.update,
        "PATCH": writes.patch,
        "DELETE": writes.delete,
    },
    "instance": {
        "PUT": writes.update,
        "PATCH": writes.patch,
        "DELETE": writes.delete,
    },
}


def place_of(call: Call) -> str:
    """Answer what a path addresses; FhirFault 404 when it is nothing here."""
    path = call.path
    if not path and any(name == "_pages" for name, _ in call.query):
        return "pages"
    if path == ("_history",):
        return "history"
    if not path or path[0] not in resource_types():
        name = printable(path[0]) if path else "the base itself"
        raise FhirFault(404, f"{name} is no resource type of FHIR R4 here.")
    rest = path[1:]
    if not rest:
        return "type"
    if rest == ("_search",):
        return "search"
    if rest == ("_history",):
        return "history"
    if not ID.fullmatch(rest[0]):
        raise FhirFault(404, f"{printable(rest[0])} is no operation or id here.")
    if len(rest) == 1:
        return "instance"
    if rest[1] == "_history" and len(rest) <= 3:
        return "version" if len(rest) == 3 else "history"
    raise FhirFault(404, "There is nothing at this path.")


def is_write(call: Call) -> bool:
    """Tell whether the call needs a transaction; FhirFault 404 or 405 if neither."""
    place = place_of(call)
    if call.method in WRITERS.get(place, {}):
        return True
    if call.method in READERS.get(place, {}):
        return False
    allowed = sorted({*WRITERS.get(place, {}), *READERS.get(place, {})})
    raise FhirFault(
        405,
        f"{call.method} is not allowed here.",
        headers={"Allow": ", ".join(allowed)},
    )


def answer_read(call: Call, session: Session) -> Answer:
    """Answer a call that changes nothing."""
    return READERS[place_of(call)][call.method](call, session)


def answer_write(
    call: Call, session: Session, transaction: Transaction, id_: str | None = None
) -> Answer:
    """Stage a call's changes; `id_` is reserved for what a POST creates."""
    if call.method == "POST":
        return writes.create(call, session, transaction, id_)
    return WRITERS[place_of(call)][call.method](call, session, transaction)
