"""The same ports in dictionaries, for tests and for a first try."""
