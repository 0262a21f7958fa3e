"""Moved to processor.testing; stays until the last test has followed."""

from processor.testing.virtual_time import in_virtual_time, loop_of_the_test, play

__all__ = ["in_virtual_time", "loop_of_the_test", "play"]
