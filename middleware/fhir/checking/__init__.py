"""Checks one connection to an EHR, step by step: what was seen, why, what to do."""
