"""A stranger: a strict FHIR server, authorization server and phone to talk to."""
