"""The FHIR Subscription protocol and nothing else: parse, identify, receive."""
