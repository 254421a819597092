"""Pieces of work in a database, and another worker that comes between: exercise 11.4."""

import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path

from ..answers import NotYet, shown

TABLE = "CREATE TABLE pieces (number INTEGER PRIMARY KEY, state, attempt, lease_until, result)"
RIVAL = (
    "UPDATE pieces SET state = 'running', attempt = attempt + 1, lease_until = 130.0"
    " WHERE number = 1 AND state = 'waiting' RETURNING attempt"
)


class Pieces:
    """Three that wait, numbered from 0; `db` is a connection that commits each statement."""

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._path = Path(self._folder.name) / "pieces.sqlite"
        self.db, self.rival = self._connect(), None
        self.db.execute(TABLE)
        self.db.executemany("INSERT INTO pieces VALUES (?, 'waiting', 0, 0.0, NULL)", [(0,), (1,), (2,)])
        self.db.row_factory = None
        return self

    def __exit__(self, *_):
        self.db.close()
        self._folder.cleanup()

    def row(self, number: int) -> sqlite3.Row:
        """As somebody else sees it, who reads what is committed."""
        with closing(self._connect()) as other:
            other.row_factory = sqlite3.Row
            return other.execute("SELECT * FROM pieces WHERE number = ?", (number,)).fetchone()

    def interrupted(self) -> "Interrupted":
        """A connection on which another worker claims piece 1 as soon as it was looked at."""
        return Interrupted(self.db, self._take)

    def _take(self) -> None:
        with closing(self._connect()) as other, suppress(sqlite3.OperationalError):  # locked: it has to wait
            if self.rival is None and (found := other.execute(RIVAL).fetchone()):
                self.rival = found[0]

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, isolation_level=None, timeout=0)


class Interrupted:
    """Lets somebody else do something after each SELECT."""

    def __init__(self, db: sqlite3.Connection, meanwhile) -> None:
        self._db, self._meanwhile = db, meanwhile

    def execute(self, sql: str, *parameters):
        cursor = self._db.execute(sql, *parameters)
        found = Found(cursor.fetchall(), cursor.rowcount)
        cursor.close()
        if sql.lstrip().upper().startswith("SELECT"):
            self._meanwhile()
        return found

    def cursor(self) -> "Interrupted":
        return self

    def __enter__(self):
        self._db.__enter__()
        return self

    def __exit__(self, *error):
        return self._db.__exit__(*error)

    def __getattr__(self, name):
        return getattr(self._db, name)


class Found:
    """What a cursor has found."""

    def __init__(self, rows: list, rowcount: int) -> None:
        self._rows, self.rowcount = rows, rowcount

    def fetchone(self):
        return self._rows.pop(0) if self._rows else None

    def fetchall(self) -> list:
        rows, self._rows = self._rows, []
        return rows

    def __iter__(self):
        return iter(self.fetchall())


def expect(said, expected, what: str, question: str) -> None:
    """NotYet unless it said exactly this."""
    if said != expected or type(said) is not type(expected):
        raise NotYet(f"{what} gave {shown(said)}, expected {expected}. {question}")
