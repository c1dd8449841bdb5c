"""The tables, how they came to be, and the opening of a file: ours or not, sound or not, old or new."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from wickwire import REAL, StoreError

__all__ = ["APPLICATION_ID", "MIGRATIONS", "connect", "explained", "migrate"]

APPLICATION_ID: Final = 0x57574B31
"""The bytes "WWK1" at offset 68 of the file: a database that does not carry them is somebody else's."""

_ATTEMPTS: Final = 100
_OLDEST_SQLITE: Final = (3, 24, 0)

_COLUMNS: Final = """
    series      INTEGER NOT NULL REFERENCES series (id),
    open_ns     INTEGER NOT NULL,  -- since 1970-01-01T00:00Z
    close_ns    INTEGER NOT NULL,
    open        TEXT NOT NULL,     -- the digits received, never a float
    high        TEXT NOT NULL,
    low         TEXT NOT NULL,
    close       TEXT NOT NULL,
    volume      TEXT NOT NULL,
    trade_count INTEGER,
    vwap        TEXT,
    evidence    TEXT NOT NULL,     -- why it counts as closed
    revision    INTEGER NOT NULL,  -- 0 for the first close
    healed      INTEGER NOT NULL,  -- 1: it filled a hole
    route       TEXT NOT NULL,     -- stream, resample, build, poll
    seq         INTEGER NOT NULL,  -- order of insertion, over all series
    first_seq   INTEGER NOT NULL,  -- seq of the first close"""

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        f"PRAGMA application_id = {APPLICATION_ID}",
        """CREATE TABLE series (
    id          INTEGER PRIMARY KEY,
    venue       TEXT NOT NULL,
    variant     TEXT NOT NULL,
    symbol      TEXT NOT NULL,
    what        TEXT NOT NULL,     -- timeframe: 1m, 1d, ...
    origin_ns   INTEGER NOT NULL,  -- nothing before this was asked for
    frontier_ns INTEGER NOT NULL,  -- all before this is closed or in a hole
    UNIQUE (venue, variant, symbol, what)
)""",
        # Clustered by series and time: a range is read from neighbouring pages, and the closes of a minute
        # touch one page a series either way.
        f"CREATE TABLE closed ({_COLUMNS}\n    PRIMARY KEY (series, open_ns)\n) WITHOUT ROWID",
        "CREATE UNIQUE INDEX closed_by_seq ON closed (seq)",
        f"CREATE TABLE superseded ({_COLUMNS}\n    PRIMARY KEY (series, open_ns, revision)\n) WITHOUT ROWID",
        """CREATE TABLE holes (
    series      INTEGER NOT NULL REFERENCES series (id),
    since_ns    INTEGER NOT NULL,
    until_ns    INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    PRIMARY KEY (series, since_ns)
) WITHOUT ROWID""",
        "CREATE TABLE sequence (last_seq INTEGER NOT NULL)",  # so that no seq is ever given twice
        "INSERT INTO sequence VALUES (0)",
        """CREATE VIEW candles AS
SELECT venue, variant, symbol, what AS timeframe,
       strftime('%Y-%m-%dT%H:%M:%SZ', open_ns / 1000000000, 'unixepoch') AS open_time,
       open_ns, close_ns, open, high, low, close, volume, trade_count, vwap,
       evidence, revision, healed, route, seq, first_seq
FROM closed JOIN series ON series.id = closed.series""",
    ),
    (
        "CREATE TABLE world (name TEXT NOT NULL)",  # whose candles these are; '' while there are none
        # before this version nothing was written down: simulated candles cannot be told from real ones
        f"INSERT INTO world SELECT CASE WHEN EXISTS (SELECT 1 FROM series) THEN '{REAL}' ELSE '' END",  # noqa: S608 - constants only
    ),
    (
        """CREATE TABLE sinks (
    name        TEXT PRIMARY KEY,
    seq         INTEGER NOT NULL,  -- everything up to here was put into it, but for what is parked
    left_out    INTEGER NOT NULL   -- how many more were left out than are parked
) WITHOUT ROWID""",
        """CREATE TABLE parked (
    sink        TEXT NOT NULL REFERENCES sinks (name),
    seq         INTEGER NOT NULL,
    series      INTEGER NOT NULL REFERENCES series (id),
    open_ns     INTEGER NOT NULL,
    why         TEXT NOT NULL,     -- what the sink said
    PRIMARY KEY (sink, seq)
) WITHOUT ROWID""",
    ),
    (
        """CREATE TABLE tapes (
    id          INTEGER PRIMARY KEY,
    venue       TEXT NOT NULL,
    variant     TEXT NOT NULL,
    symbol      TEXT NOT NULL,
    UNIQUE (venue, variant, symbol)
)""",
        """CREATE TABLE trades (
    tape        INTEGER NOT NULL REFERENCES tapes (id),
    number      INTEGER NOT NULL,  -- the order in which they came
    time_ns     INTEGER NOT NULL,  -- since 1970-01-01T00:00Z, as the venue says
    id          TEXT NOT NULL,     -- the venue's; '' where it has none
    price       TEXT NOT NULL,     -- the digits received, never a float
    size        TEXT NOT NULL,
    side        TEXT,              -- the taker's: buy, sell
    action      TEXT NOT NULL,     -- new, corrected, canceled
    replaces    TEXT,              -- the id of the trade that this is about
    PRIMARY KEY (tape, number)
) WITHOUT ROWID""",
        "CREATE UNIQUE INDEX trades_once ON trades (tape, id, time_ns, action) WHERE id <> ''",
        "CREATE INDEX trades_by_time ON trades (tape, time_ns)",
        """CREATE TABLE stretches (
    tape        INTEGER NOT NULL REFERENCES tapes (id),
    since_ns    INTEGER NOT NULL,
    until_ns    INTEGER NOT NULL,
    PRIMARY KEY (tape, since_ns)
) WITHOUT ROWID""",
    ),
    (
        "ALTER TABLE series ADD COLUMN forgotten_ns INTEGER",  # all that opened before this was taken out
        "ALTER TABLE series ADD COLUMN times_forgotten INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE tapes ADD COLUMN forgotten_ns INTEGER",
        "ALTER TABLE tapes ADD COLUMN last_number INTEGER NOT NULL DEFAULT 0",  # when it was forgotten last
    ),
)
"""What brings a file from schema version n to n + 1, one tuple of statements each. Only ever appended to."""

_NEXT_STEP: Final = {
    sqlite3.SQLITE_ERROR: "it is not as wickwire made it: `wickwire doctor --store URL` says what is wrong",
    sqlite3.SQLITE_FULL: "the disk is full: free some space; nothing of this batch was stored",
    sqlite3.SQLITE_READONLY: "it cannot be written: look at its permissions and those of its directory",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: look at its permissions and those of its directory",
    sqlite3.SQLITE_BUSY: "another process holds its write lock: end that one, or try again",
    sqlite3.SQLITE_LOCKED: "another process holds its write lock: end that one, or try again",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: restore a copy, or move it away and backfill again",
    sqlite3.SQLITE_NOTADB: "this is not a SQLite file, or it is damaged: name another one, or move it away",
    sqlite3.SQLITE_IOERR: "the disk did not do its work: look at its space, its limits and the system's log",
}


def explained(path: Path, doing: str, exc: sqlite3.Error) -> StoreError:
    """Return the error that names file, work, reason and next step."""
    code = getattr(exc, "sqlite_errorcode", None)  # absent where Python itself refused
    step = _NEXT_STEP.get(
        sqlite3.SQLITE_CORRUPT if isinstance(exc, sqlite3.DataError) else (code or 0) & 0xFF
    )
    return StoreError(f"store {str(path)!r}: cannot {doing}: {exc}" + (f"; {step}" if step else ""))


def connect(path: Path, *, readonly: bool, power_safe: bool, lock_wait_s: float) -> sqlite3.Connection:
    """Open *path*, make it ours if it is new, and bring it to the newest schema.

    A file that is not ours is refused before anything in it is changed.

    Raises:
        StoreError: It cannot be opened, is somebody else's, damaged, or newer than this version.
    """
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old: 3.24 is needed")
    _check_place(path, readonly=readonly)
    connection = None
    try:
        connection = sqlite3.connect(
            path.absolute().as_uri() + "?" + _mode(path, readonly=readonly),
            uri=True,
            timeout=lock_wait_s,
            isolation_level=None,  # transactions are written out
            check_same_thread=False,  # the store lets one thread in at a time
        )
        _prepare(connection, path, readonly=readonly, power_safe=power_safe)
    except sqlite3.Error as exc:
        raise explained(path, "open it", exc) from exc
    else:
        opened, connection = connection, None
        return opened
    finally:
        if connection is not None:
            connection.close()


def _check_place(path: Path, *, readonly: bool) -> None:
    """Refuse what is no regular file, and create a missing one for its owner alone."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        if readonly:
            raise StoreError(
                f"store {str(path)!r}: there is no such file; `wickwire collect` or `wickwire backfill` "
                "makes it, --store names another"
            ) from None
        _create(path)
        return
    except OSError as exc:
        raise StoreError(f"store {str(path)!r}: {exc.strerror or exc}") from exc
    if stat.S_ISLNK(mode):
        raise StoreError(f"store {str(path)!r}: it is a symbolic link; name the file itself")
    if not stat.S_ISREG(mode):
        raise StoreError(f"store {str(path)!r}: it is not a regular file")
    if not readonly and not _writable(path):
        raise StoreError(
            f"store {str(path)!r}: it cannot be written: look at its permissions and those of its directory, "
            "or open it with ?mode=ro"
        )


def _create(path: Path) -> None:
    # SQLite gives the files beside it (-wal, -shm) the mode of this one.
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return  # another process was first
    except FileNotFoundError as exc:
        if path.absolute().parent.is_dir():  # as in /proc, where nobody may make a file
            raise StoreError(
                f"store {str(path)!r}: no file can be made in {str(path.parent)!r}; name another place"
            ) from exc
        raise StoreError(
            f"store {str(path)!r}: there is no directory {str(path.parent)!r}; create it"
        ) from None
    except OSError as exc:
        raise StoreError(
            f"store {str(path)!r}: cannot create it: {exc.strerror or exc}; look at the permissions of "
            f"{str(path.parent)!r}, or name another place"
        ) from exc
    try:
        os.fchmod(descriptor, 0o600)  # whatever the umask
    finally:
        os.close(descriptor)


def _writable(path: Path) -> bool:
    """Whether this process may write the file, and beside it, where SQLite keeps its log."""
    return os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK)


def _mode(path: Path, *, readonly: bool) -> str:
    """Return how SQLite is to open the file; never in a way that creates it.

    A reader of a WAL database needs the files beside it. Where it may write there, SQLite makes them and
    takes them away again, as `mode=ro` would not; `query_only` then keeps it from changing anything. Where
    it may not, and they are not there, no writer is at work and the file stands still (`immutable`).
    """
    if not readonly or _writable(path):
        return "mode=rw"
    return "mode=ro" if path.with_name(path.name + "-wal").exists() else "mode=ro&immutable=1"


def _prepare(connection: sqlite3.Connection, path: Path, *, readonly: bool, power_safe: bool) -> None:
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    _check_owner(connection, path, readonly=readonly)
    if readonly:
        connection.execute("PRAGMA query_only = ON")
        return
    if _write_ahead(connection) != "wal":
        raise StoreError(
            f"store {str(path)!r}: its file system cannot hold a write-ahead log; use a local disk"
        )
    connection.execute(f"PRAGMA synchronous = {'FULL' if power_safe else 'NORMAL'}")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    migrate(connection)


def _write_ahead(connection: sqlite3.Connection) -> str:
    """Switch to a write-ahead log, which outlives this connection, and return the mode that there is then.

    SQLite does not wait for other processes here, as it does everywhere else. Those that create a store
    together therefore wait by taking the write lock, and try again.
    """
    for _ in range(_ATTEMPTS):
        try:
            return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            with connection:
                connection.execute("BEGIN IMMEDIATE")
    return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])


def _check_owner(connection: sqlite3.Connection, path: Path, *, readonly: bool) -> None:
    with connection:
        connection.execute("BEGIN")  # one view: another process may be making it at this moment
        [things] = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        [application] = connection.execute("PRAGMA application_id").fetchone()
        version = _version(connection)
    empty = (application, version, things) == (0, 0, 0)
    if application != APPLICATION_ID and (readonly or not empty):
        raise StoreError(f"store {str(path)!r}: this SQLite file is not a wickwire store; name another one")
    if version > len(MIGRATIONS):
        raise StoreError(
            f"store {str(path)!r}: its schema {version} is newer than {len(MIGRATIONS)}, which this is for; "
            "use the newer wickwire"
        )
    if readonly and version < len(MIGRATIONS):
        raise StoreError(
            f"store {str(path)!r}: its schema {version} is older than {len(MIGRATIONS)}, which this is for; "
            "open it for writing once to bring it forward"
        )


def migrate(connection: sqlite3.Connection, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
    """Apply the *migrations* that the file has not seen, all in one transaction."""
    if _version(connection) >= len(migrations):
        return
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        # asked again, now that nobody else can: two processes may have started together
        unseen = migrations[_version(connection) :]
        for statements in unseen:
            for statement in statements:
                connection.execute(statement)
        if unseen:
            connection.execute(f"PRAGMA user_version = {len(migrations)}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
