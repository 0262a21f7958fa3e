"""How are ports and adapters, write side and read side joined into what runs?

The only place that knows them all; one module for each thing that is started, so that a producer
does not load what only a worker needs.
"""
