"""The pipeline: receive, resolve, decide, deliver, record, listen."""
