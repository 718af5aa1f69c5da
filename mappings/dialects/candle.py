"""fhir-candle: all forms; accepts only 200, 202 and 204 as an answer."""

from mappings.dialects.dialect import Dialect

DIALECT = Dialect(
    name="candle",
    title="fhir-candle",
    software=("fhir-candle", "fhir candle"),
    forms=("backport", "r5"),
)
