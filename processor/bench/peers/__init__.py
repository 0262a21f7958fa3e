"""How do others do the same work, on the same database, in the same run?

What they need is imported only when they are asked for: they are no dependencies.
"""
