"""The time zones of a United States address: by ZIP code where its state has two.

The first three digits of a ZIP code name a sorting area. Where an area lies in two
zones, or the code is missing, both count: what is allowed in both is allowed anyhow.
The boundaries are those of 49 CFR part 71; areas as the Postal Service numbers them.
"""

from __future__ import annotations

from mappings.resource import Resource

ET, CT, MT = "America/New_York", "America/Chicago", "America/Denver"
PT, AZ = "America/Los_Angeles", "America/Phoenix"

_ONE: dict[str, str] = {
    ET: "CT DC DE GA MA MD ME NC NH NJ NY OH PA RI SC VA VT WV",
    CT: "AL AR IA IL LA MN MO MS OK WI",
    MT: "CO MT NM UT WY",
    PT: "CA WA",
    "Pacific/Honolulu": "HI",
    "America/Puerto_Rico": "PR",
    "America/St_Thomas": "VI",
    "Pacific/Guam": "GU MP",
    "Pacific/Pago_Pago": "AS",
}
STATES: dict[str, tuple[str, ...]] = {
    **{state: (zone,) for zone, states in _ONE.items() for state in states.split()},
    "AK": ("America/Anchorage", "America/Adak"),
    "AZ": (AZ, MT),
    "FL": (ET, CT),
    "ID": (MT, PT),
    "IN": (ET, CT),
    "KS": (CT, MT),
    "KY": (ET, CT),
    "MI": (ET, CT),
    "ND": (CT, MT),
    "NE": (CT, MT),
    "NV": (PT, MT),
    "OR": (PT, MT),
    "SD": (CT, MT),
    "TN": (CT, ET),
    "TX": (CT, MT),
}

# First and last sorting area, and its zones; an area that is not here has its state's.
_AREAS: tuple[tuple[int, int, str, tuple[str, ...]], ...] = (
    (320, 323, "FL", (ET,)),
    (325, 325, "FL", (CT,)),
    (326, 349, "FL", (ET,)),
    (370, 372, "TN", (CT,)),
    (374, 374, "TN", (ET,)),
    (375, 375, "TN", (CT,)),
    (376, 376, "TN", (ET,)),
    (378, 379, "TN", (ET,)),
    (380, 384, "TN", (CT,)),
    (400, 400, "KY", (ET,)),
    (402, 419, "KY", (ET,)),
    (420, 420, "KY", (CT,)),
    (422, 424, "KY", (CT,)),
    (460, 462, "IN", (ET,)),
    (463, 464, "IN", (CT,)),
    (466, 468, "IN", (ET,)),
    (470, 474, "IN", (ET,)),
    (476, 477, "IN", (CT,)),
    (478, 478, "IN", (ET,)),
    (480, 497, "MI", (ET,)),
    (570, 573, "SD", (CT,)),
    (574, 574, "SD", (CT,)),
    (577, 577, "SD", (MT,)),
    (580, 584, "ND", (CT,)),
    (587, 587, "ND", (CT,)),
    (660, 676, "KS", (CT,)),
    (680, 689, "NE", (CT,)),
    (693, 693, "NE", (MT,)),
    (733, 733, "TX", (CT,)),
    (750, 797, "TX", (CT,)),
    (799, 799, "TX", (MT,)),
    (885, 885, "TX", (MT,)),
    (832, 834, "ID", (MT,)),
    (836, 837, "ID", (MT,)),
    (838, 838, "ID", (PT,)),
    (850, 859, "AZ", (AZ,)),
    (863, 864, "AZ", (AZ,)),
    (889, 897, "NV", (PT,)),
    (970, 977, "OR", (PT,)),
    (996, 999, "AK", ("America/Anchorage",)),
)
_NAMES: dict[str, str] = {
    "ALABAMA": "AL", "ALASKA": "AK", "ARIZONA": "AZ", "ARKANSAS": "AR",
    "CALIFORNIA": "CA", "COLORADO": "CO", "CONNECTICUT": "CT", "DELAWARE": "DE",
    "DISTRICT OF COLUMBIA": "DC", "FLORIDA": "FL", "GEORGIA": "GA", "GUAM": "GU",
    "HAWAII": "HI", "IDAHO": "ID", "ILLINOIS": "IL", "INDIANA": "IN", "IOWA": "IA",
    "KANSAS": "KS", "KENTUCKY": "KY", "LOUISIANA": "LA", "MAINE": "ME",
    "MARYLAND": "MD", "MASSACHUSETTS": "MA", "MICHIGAN": "MI", "MINNESOTA": "MN",
    "MISSISSIPPI": "MS", "MISSOURI": "MO", "MONTANA": "MT", "NEBRASKA": "NE",
    "NEVADA": "NV", "NEW HAMPSHIRE": "NH", "NEW JERSEY": "NJ", "NEW MEXICO": "NM",
    "NEW YORK": "NY", "NORTH CAROLINA": "NC", "NORTH DAKOTA": "ND", "OHIO": "OH",
    "OKLAHOMA": "OK", "OREGON": "OR", "PENNSYLVANIA": "PA", "PUERTO RICO": "PR",
    "RHODE ISLAND": "RI", "SOUTH CAROLINA": "SC", "SOUTH DAKOTA": "SD",
    "TENNESSEE": "TN", "TEXAS": "TX", "UTAH": "UT", "VERMONT": "VT",
    "VIRGINIA": "VA", "WASHINGTON": "WA", "WEST VIRGINIA": "WV", "WISCONSIN": "WI",
    "WYOMING": "WY",
}  # fmt: skip


def zones_of_place(address: Resource) -> tuple[str, ...]:
    """Return every zone that a FHIR Address may lie in; none where it does not say."""
    country = str(address.get("country") or "US").strip().upper()
    if country not in ("US", "USA", "UNITED STATES", "UNITED STATES OF AMERICA"):
        return ()
    state = str(address.get("state") or "").strip().upper()
    state = _NAMES.get(state, state)
    area = _area(str(address.get("postalCode") or "").strip())
    known = STATES.get(state, ())
    if area is None:
        return known
    for first, last, of, zones in _AREAS:
        if first <= area <= last and state in (of, ""):
            return zones
    return known


def _area(code: str) -> int | None:
    """Return the sorting area of a ZIP or ZIP+4 code."""
    digits = code[:5]
    whole = len(digits) == 5 and digits.isascii() and digits.isdecimal()
    return int(digits[:3]) if whole else None
