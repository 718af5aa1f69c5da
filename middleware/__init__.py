"""The engine: decisions, storage, FHIR client, channels, stages, console and CLI."""
