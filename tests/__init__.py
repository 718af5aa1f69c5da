"""Tests, by room and by kind."""
