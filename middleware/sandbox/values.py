"""How one search value is held against one element, for each kind of parameter.

Pure: a text becomes a test, once per search. Source:
https://hl7.org/fhir/R4/search.html#ptypes.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from middleware.sandbox.dates import COMPARISONS, PREFIX, range_of, read_range
from middleware.sandbox.models import Parameter, Path
from middleware.sandbox.outcome import FhirFault

Test = Callable[[Any], bool]
PARTS = (
    "text",
    "family",
    "given",
    "prefix",
    "suffix",
    "line",
    "city",
    "district",
    "state",
    "postalCode",
    "country",
)
CONTACTS = {"phone", "fax", "email", "pager", "url", "sms", "other"}
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


def extract(resource: Any, path: Path) -> list[Any]:
    """Answer the values at a path inside a JSON object, lists opened."""
    if len(path) == 1 and not path[0][1]:
        only = resource.get(path[0][0])
        if isinstance(only, list):
            return only
        return [] if only is None else [only]
    nodes = [resource]
    for name, key, wanted in path:
        below: list[Any] = []
        for node in nodes:
            value = node.get(name) if isinstance(node, dict) else None
            if isinstance(value, list):
                below += value
            elif value is not None:
                below.append(value)
        if key:
            below = [item for item in below if item.get(key) == wanted]
        nodes = below
    return nodes


def split(text: str, separator: str) -> list[str]:
    """Split a search value at unescaped separators; the parts stay escaped."""
    return re.split(rf"(?<!\\){re.escape(separator)}", text)


def unescape(text: str) -> str:
    r"""Undo the escapes of a search value: `\,` `\|` `\$` and `\\`."""
    return re.sub(r"\\([,|$\\])", r"\1", text)


def fold(text: str) -> str:
    """Answer a text without case and accents, as string search compares it."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold()


def compile_test(
    parameter: Parameter, modifier: str, text: str, base: str, zone: ZoneInfo
) -> Test:
    """Answer the test for one value of a parameter; FhirFault 400 when it has no sense.

    `base` is the server's own FHIR base: its absolute references are local.
    """
    kind = parameter.kind
    if kind == "date":
        return _date(parameter.name, text, zone)
    if kind == "token":
        return _token(text)
    if kind == "string":
        return _string(unescape(text), modifier)
    if kind == "uri":
        return _uri(unescape(text), modifier)
    if kind == "reference":
        return _reference(parameter, modifier, text, base)
    return _number(parameter, text)


def _date(name: str, text: str, zone: ZoneInfo) -> Test:
    match = PREFIX.match(text)
    prefix = match.group(1) if match else "eq"
    wanted = read_range(text[2:] if match else text, zone)
    if wanted is None or prefix == "ap":
        raise FhirFault(
            400,
            f"The value of {name} is not a FHIR date with an optional prefix "
            "eq ne gt lt ge le sa eb. Is a + sign sent as %2B?",
        )
    compare = COMPARISONS[prefix]

    def test(value: Any) -> bool:
        found = range_of(value, zone)
        return found is not None and compare(wanted, found)

    return test


def _token(text: str) -> Test:
    parts = [unescape(part) for part in split(text, "|")]
    system = parts[0] if len(parts) > 1 else None
    code = parts[-1]

    def test(value: Any) -> bool:
        for found_system, found_code in tokens(value):
            if code in ("", found_code) and (
                system is None or found_system in (None, system)
            ):
                return True
        return False

    return test


def tokens(value: Any) -> list[tuple[str | None, str]]:
    """Answer (system, code) of a token element; None as system means any.

    A code, an id or a boolean has an implied system, so that any is right.
    """
    if isinstance(value, str):
        return [(None, value)]
    if isinstance(value, bool):
        return [(None, "true" if value else "false")]
    if not isinstance(value, dict):
        return []
    if "coding" in value:
        return [(c.get("system", ""), c.get("code", "")) for c in value["coding"]]
    if "code" in value:
        return [(value.get("system", ""), value["code"])]
    if "value" in value:
        contact = value.get("system") in CONTACTS
        system = value.get("use") if contact else value.get("system", "")
        return [(system, value["value"])]
    return []


def _string(text: str, modifier: str) -> Test:
    if modifier == "exact":
        return lambda value: text in texts(value)
    wanted = fold(text)
    if modifier == "contains":
        return lambda value: any(wanted in fold(found) for found in texts(value))
    return lambda value: any(fold(found).startswith(wanted) for found in texts(value))


def texts(value: Any) -> Iterator[str]:
    """Yield the strings of a string element: itself, or a name's or address's parts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in PARTS:
            found = value.get(part)
            if isinstance(found, str):
                yield found
            elif isinstance(found, list):
                yield from (item for item in found if isinstance(item, str))


def _uri(text: str, modifier: str) -> Test:
    if modifier == "below":
        return lambda value: isinstance(value, str) and value.startswith(text)
    return lambda value: bool(value == text)


def local_reference(reference: str, base: str) -> str:
    """Answer a reference relative to the server, without base and version."""
    relative = reference.removeprefix(f"{base}/")
    return relative.partition("/_history/")[0].partition("|")[0]


def _reference(parameter: Parameter, modifier: str, text: str, base: str) -> Test:
    if modifier == "identifier":
        inner = _token(text)
        return lambda value: isinstance(value, dict) and inner(value.get("identifier"))
    wanted = local_reference(unescape(text), base)
    type_ = modifier or parameter.only
    if "/" not in wanted and not wanted.startswith("urn:"):
        if not _ID.fullmatch(wanted):
            raise FhirFault(400, f"The value of {parameter.name} is not a reference.")
        return lambda value: _names_id(reference_of(value, base), wanted, type_)
    if type_ and wanted.partition("/")[0] != type_ and "://" not in wanted:
        return lambda _: False
    return lambda value: reference_of(value, base) == wanted


def reference_of(value: Any, base: str) -> str:
    """Answer the local reference of a Reference or canonical element, or ""."""
    if isinstance(value, dict):
        value = value.get("reference")
    return local_reference(value, base) if isinstance(value, str) else ""


def _names_id(reference: str, id_: str, type_: str | None) -> bool:
    found_type, _, found_id = reference.rpartition("/")
    return found_id == id_ and (type_ is None or found_type == type_)


def _number(parameter: Parameter, text: str) -> Test:
    match = PREFIX.match(text)
    prefix = match.group(1) if match else "eq"
    number, *unit = [unescape(p) for p in split(text[2:] if match else text, "|")]
    try:
        wanted = Decimal(number)
    except InvalidOperation as error:
        raise FhirFault(400, f"The value of {parameter.name} is no number.") from error
    return lambda value: _compares(value, prefix, wanted, unit)


def _compares(value: Any, prefix: str, wanted: Decimal, unit: list[str]) -> bool:
    if isinstance(value, dict):
        if unit and unit[-1] not in ("", value.get("code"), value.get("unit")):
            return False
        value = value.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    found = Decimal(str(value))
    return {
        "eq": found == wanted,
        "ne": found != wanted,
        "gt": found > wanted,
        "lt": found < wanted,
        "ge": found >= wanted,
        "le": found <= wanted,
    }.get(prefix, False)
