"""How each FHIR server spells what the standard leaves open: data, no behaviour."""
