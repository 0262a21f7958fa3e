"""How do ownership, ledger and the jobs' transactions stand in PostgreSQL?"""
