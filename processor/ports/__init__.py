"""What do we ask of the world?

One module a question; each port has one contract suite in `tests/contract`, run on every adapter.
"""
