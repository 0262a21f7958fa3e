"""Moved to processor.testing; stays until the last test has followed."""

from processor.testing.operated import OperatedCluster

__all__ = ["OperatedCluster"]
