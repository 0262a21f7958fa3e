"""Does every promise hold in runs that chance has planned?

Which module asks for which invariant: 3, 4, 7 and 15 `watching`, while the run goes on; 8, 15 and
16 `writing`, with every write; 9 and 17 `running`, at the end; 1, 2 and 6 `committing` or whoever
wrote the handlers; all others `invariants`.
"""
