"""Where a patient can be reached, as values: the one place asked for, and what was said.

What was said here of a number or address stands beside what the chart says of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Designated:
    """The one place that a patient asked to be reached at (45 CFR 164.522(b)).

    ``channel`` None: there is a request and no usable place, so only staff may reach out.
    """

    channel: str | None = None
    value: str = ""
    note: str = ""


@dataclass(frozen=True)
class ContactPoints:
    """What was said here of the patient's numbers and addresses, each (channel, value).

    ``said`` are the Sourced statements that stand, by record name; ``chart`` is
    Patient.telecom as the EHR has it. ``disowned`` are not the patient's, or not any
    more, whatever the chart shows; ``shared`` were said to be somebody else's too. A yes
    from before ``renewed`` does not count: the place was not the patient's then.
    """

    said: Mapping[str, Any] = field(default_factory=dict)
    chart: tuple[Any, ...] = ()
    disowned: frozenset[tuple[str, str]] = frozenset()
    shared: frozenset[tuple[str, str]] = frozenset()
    renewed: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
