"""A server that keeps to the specifications: what is assumed of one we do not know."""

from mappings.dialects.dialect import Dialect

DIALECT = Dialect(name="standard", title="FHIR server")
