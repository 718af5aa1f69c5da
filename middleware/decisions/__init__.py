"""Pure decisions: values in, verdicts out; no clock, network or database."""
