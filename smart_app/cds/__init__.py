"""The CDS Hooks services: one card in the EHR's own workflow, and a way into the app."""
