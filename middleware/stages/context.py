"""What every stage is given: the outside world as values, made once by wiring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mappings.endpoint import Endpoint
from mappings.plan import Library
from middleware.ports import Channel, Clock, FhirApi, Ids
from middleware.stages.lanes import Lanes
from middleware.storage.database import Database


@dataclass(frozen=True)
class StageContext:
    """The ports of the pipeline.

    ``wake`` says after a commit that (stage, shard) has work; it is a hint and never
    raises. ``status_base`` is the public URL under which providers report receipts.
    ``capabilities`` is what an EHR says that it takes, None where it does not say.
    ``lanes`` is what all steps of this process share about channels and EHRs.
    """

    database: Database
    clock: Clock
    ids: Ids
    wake: Callable[[str, int], None]
    fhir: Callable[[Endpoint], FhirApi]
    channels: Mapping[str, Channel]
    library: Callable[[Endpoint], Library]
    status_base: str
    capabilities: Callable[[Endpoint], Mapping[str, Any] | None] = lambda _: None
    lanes: Lanes = field(default_factory=Lanes)
