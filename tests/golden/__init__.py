"""Bytes and constants that a rolling upgrade depends on."""
