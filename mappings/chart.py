"""The chart: what was read of one patient at one instant, ready to look things up.

Plain FHIR dicts inside. ``incomplete`` names the resource types whose reading failed
or stopped early: a condition that needs one of them is unknown, never false; ``refused``
names those among them that the EHR did not permit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from mappings.reference import of_another, reference_of
from mappings.resource import Coding, Resource, codings_of, dict_of

ERROR = "entered-in-error"


@dataclass(frozen=True)
class Chart:
    """Resources of one patient, as read at ``read_at`` (UTC).

    ``replaced`` are records (``Patient/id``) that were merged into the patient's; what
    still names them is in the chart too. ``codes`` is where whoever reads the codes
    of its resources keeps them, by the resource itself: they are asked for again and again.
    Of one reading alone, and not stored: ``strangers`` (``Type/id``) were sent along
    though they are another patient's, and are left out; of the types in ``limited`` the
    server says that there may be more; ``pages`` is how many were read for each query.
    """

    patient: Resource
    resources: tuple[Resource, ...]
    read_at: datetime
    incomplete: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    limited: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    pages: Mapping[str, int] = field(default_factory=dict, compare=False)
    codes: dict[int, tuple[Any, tuple[Coding, ...]]] = field(
        default_factory=dict, repr=False, compare=False
    )
    _by_type: dict[str, tuple[Resource, ...]] = field(
        default_factory=dict, repr=False, compare=False
    )
    _by_name: dict[str, Resource] = field(
        default_factory=dict, repr=False, compare=False
    )
    _by_code: dict[str, tuple[tuple[Resource, frozenset[str]], ...]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def of(self, resource_type: str) -> tuple[Resource, ...]:
        """Return the resources of one type (entered-in-error ones left out).

        A focus that was moved to another patient's chart is not this patient's.
        """
        if not self._by_type:
            records = (reference_of(self.patient), *self.replaced)
            self._by_type.update(_index(self.resources, records))
        return self._by_type.get(resource_type, ())

    def in_error(self, resource_type: str) -> tuple[Resource, ...]:
        """Return the resources of one type that were entered in error."""
        return tuple(
            item
            for item in self.resources
            if item.get("resourceType") == resource_type and _is_in_error(item)
        )

    def coded(self, resource_type: str, codes: Collection[str]) -> tuple[Resource, ...]:
        """Return those of one type whose ``code`` has one of these, in any system."""
        if resource_type not in self._by_code:
            self._by_code[resource_type] = tuple(
                (item, frozenset(code for _, code in codings_of(item.get("code"))))
                for item in self.of(resource_type)
            )
        known = self._by_code[resource_type]
        return tuple(item for item, found in known if not found.isdisjoint(codes))

    def find(self, reference: str) -> Resource | None:
        """Return the resource with this ``Type/id``, whatever its status."""
        resource_type, _, identifier = reference.partition("/")
        if resource_type == "Patient" and self.patient.get("id") == identifier:
            return self.patient
        if not self._by_name:
            for resource in self.resources:
                self._by_name.setdefault(reference_of(resource), resource)
        return self._by_name.get(reference)

    def with_resources(self, resources: Iterable[Resource], **changes: Any) -> Chart:
        """Return the chart with these resources instead, which are indexed anew."""
        return replace(
            self,
            resources=tuple(resources),
            _by_type={},
            _by_name={},
            _by_code={},
            **changes,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the chart as a JSON object, to be stored with its event."""
        return {
            "patient": self.patient,
            "resources": list(self.resources),
            "read_at": self.read_at.isoformat(),
            "incomplete": list(self.incomplete),
            "replaced": list(self.replaced),
        }


def read_chart(value: Mapping[str, Any]) -> Chart:
    """Read back what :meth:`Chart.as_json` wrote."""
    return Chart(
        patient=value["patient"],
        resources=tuple(value["resources"]),
        read_at=datetime.fromisoformat(value["read_at"]),
        incomplete=tuple(value["incomplete"]),
        # Charts that were stored before records were joined have none.
        replaced=tuple(value.get("replaced", ())),
    )


def _index(
    resources: Iterable[Resource], records: tuple[str, ...]
) -> dict[str, tuple[Resource, ...]]:
    found: dict[str, list[Resource]] = {}
    for resource in resources:
        if _is_in_error(resource) or (
            _subject(resource) not in records
            and all(of_another(resource, record) for record in records)
        ):
            continue
        found.setdefault(str(resource.get("resourceType")), []).append(resource)
    return {name: tuple(items) for name, items in found.items()}


def _is_in_error(resource: Resource) -> bool:
    """Tell whether it never was: also of a Condition, which says so elsewhere."""
    if resource.get("status") == ERROR:
        return True
    verified = resource.get("verificationStatus")
    return bool(verified) and any(code == ERROR for _, code in codings_of(verified))


def _subject(resource: Resource) -> object:
    """Return what most resources name their patient by, as it stands."""
    return dict_of(resource.get("subject") or resource.get("patient")).get("reference")
