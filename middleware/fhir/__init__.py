"""HTTP to FHIR servers: one client, its tokens and discovery."""
