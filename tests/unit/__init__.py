"""One room at a time, without broker or database."""
