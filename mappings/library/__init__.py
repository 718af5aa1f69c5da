"""Clinical content as FHIR JSON: plans, value sets, concept maps, wordings."""
