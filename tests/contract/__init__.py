"""One behaviour suite per port, run on every adapter."""
