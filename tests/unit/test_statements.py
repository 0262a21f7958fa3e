"""Is every statement found that would end its transaction, and no other?"""

import pytest

from processor.adapters.postgres.statements import ending_in


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("COMMIT", "COMMIT"),
        ("  commit work ;", "COMMIT"),
        ("COMMIT AND CHAIN", "COMMIT"),
        ("end", "END"),
        ("ABORT", "ABORT"),
        ("ROLLBACK", "ROLLBACK"),
        ("rollback transaction", "ROLLBACK"),
        ("SELECT 1; ROLLBACK; BEGIN", "ROLLBACK"),
        ("/* a /* b */ c */ -- d\n commit", "COMMIT"),
        ("PREPARE/**/TRANSACTION 'later'", "PREPARE TRANSACTION"),
        ("SELECT 'it''s'; COMMIT", "COMMIT"),
        (r"SELECT E'it\'s'; COMMIT", "COMMIT"),
        ("SELECT $$;$$, $a$ $$ $a$; COMMIT", "COMMIT"),
        ('SELECT 1 AS """"; COMMIT', "COMMIT"),
        ("ROLLBACK TO here; ROLLBACK", "ROLLBACK"),
    ],
)
def test_a_statement_that_ends_its_transaction_is_found(query: str, word: str) -> None:
    assert ending_in(query) == word


@pytest.mark.parametrize(
    "query",
    [
        "",
        "SELECT 1",
        "BEGIN",
        "SAVEPOINT here",
        "ROLLBACK TO here",
        "rollback work to savepoint here",
        "RELEASE SAVEPOINT here",
        "SELECT CASE WHEN true THEN 1 END",
        "SELECT 1 AS the, 2 AS end",
        "SELECT '; COMMIT'",
        r"SELECT E'\'; COMMIT'",
        'SELECT 1 AS "; COMMIT"',
        "SELECT $$; COMMIT$$, $a$; COMMIT$a$",
        "DO $$ BEGIN NULL; END $$",
        "SELECT 1 -- ; COMMIT",
        "/* /* ; */ ; COMMIT */ SELECT 1",
        "/* COMMIT",
        "CREATE FUNCTION one() RETURNS int BEGIN ATOMIC SELECT 1; END",
        "PREPARE commit_later AS SELECT 1",
        "INSERT INTO ends VALUES ($1, $2) ON CONFLICT DO NOTHING",
        "SET TRANSACTION READ ONLY",
    ],
)
def test_a_statement_that_ends_nothing_is_let_through(query: str) -> None:
    assert ending_in(query) is None
