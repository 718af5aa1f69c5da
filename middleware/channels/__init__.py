"""One module per way to reach a person; translates the provider's errors."""
