"""The command line and, with wiring, the composition root."""
