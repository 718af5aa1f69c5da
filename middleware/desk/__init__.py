"""The desk: what people see and change of one patient, composed for the pages."""
