"""What FHIR things mean to us: pure values with their readers and writers."""
