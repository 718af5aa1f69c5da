"""The clinician's SMART app: launch, session, pages."""
