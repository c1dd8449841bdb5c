"""The tables, and how they came to be: migrations, one process at a time."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

import attrs

from wickwire import REAL, StoreError
from wickwire_postgres.driver import Connection
from wickwire_postgres.timescale import extension_schema, make_hypertable

__all__ = ["MIGRATIONS", "Layout", "layout_of", "migrate", "quoted", "refuse_newer", "things", "version_of"]

_LOCK_CLASS: Final = 0x57574B31  # "WWK1": beside advisory locks of other programs

_COLUMNS: Final = """
    series      integer NOT NULL,
    open_ns     bigint NOT NULL,   -- since 1970-01-01T00:00Z
    close_ns    bigint NOT NULL,
    open        numeric NOT NULL,  -- NaN where numeric cannot hold it: see digits
    high        numeric NOT NULL,
    low         numeric NOT NULL,
    close       numeric NOT NULL,
    volume      numeric NOT NULL,
    trade_count bigint,
    vwap        numeric,
    digits      text,              -- all six as received, where numeric does not keep one of them
    evidence    text NOT NULL,     -- why it counts as closed
    revision    integer NOT NULL,  -- 0 for the first close
    healed      boolean NOT NULL,  -- it filled a hole
    route       text NOT NULL,     -- stream, resample, build, poll
    seq         bigint NOT NULL,   -- order of insertion, over all series
    first_seq   bigint NOT NULL,   -- seq of the first close"""

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        # COLLATE "C": names are compared byte by byte, and no update of a locale breaks the index
        """CREATE TABLE series (
    id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    venue       text COLLATE "C" NOT NULL,
    variant     text COLLATE "C" NOT NULL,
    symbol      text COLLATE "C" NOT NULL,
    what        text COLLATE "C" NOT NULL,  -- timeframe: 1m, 1d, ...
    origin_ns   bigint NOT NULL,            -- nothing before this was asked for
    frontier_ns bigint NOT NULL,            -- all before this is closed or in a hole
    newest_ns   bigint,                     -- no candle opens after this
    changed     bigint NOT NULL,            -- the number of the last commit of it
    UNIQUE (venue, variant, symbol, what)
) WITH (fillfactor = 50)""",
        f"CREATE TABLE closed ({_COLUMNS}\n    PRIMARY KEY (series, open_ns)\n) {{partitioned}}",
        "CREATE INDEX closed_by_seq ON closed (seq)",  # not unique: that would have to hold open_ns too
        f"CREATE TABLE superseded ({_COLUMNS}\n    PRIMARY KEY (series, open_ns, revision)\n)",
        """CREATE TABLE holes (
    series      integer NOT NULL REFERENCES series (id),
    since_ns    bigint NOT NULL,
    until_ns    bigint NOT NULL,
    kind        text NOT NULL,
    PRIMARY KEY (series, since_ns)
)""",
        # the row that every commit locks first: so that no seq is ever given twice, or seen too late
        "CREATE TABLE sequence (last_seq bigint NOT NULL, commits bigint NOT NULL)",
        "INSERT INTO sequence VALUES (0, 0)",
        "CREATE TABLE world (name text NOT NULL)",  # whose candles these are
        f"INSERT INTO world VALUES ('{REAL}')",  # noqa: S608 - constants only
        """CREATE FUNCTION ns(timestamptz) RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
AS 'SELECT (extract(epoch FROM $1) * 1000000)::bigint * 1000'""",
        """CREATE VIEW candles AS
SELECT venue, variant, symbol, what AS timeframe,
       timestamptz 'epoch' + (open_ns / 1000) * interval '1 microsecond' AS open_time,
       open_ns, close_ns, open, high, low, close, volume, trade_count, vwap, digits,
       evidence, revision, healed, route, seq, first_seq
FROM closed JOIN series ON series.id = closed.series""",
    ),
    (
        """CREATE TABLE sinks (
    name        text COLLATE "C" PRIMARY KEY,
    seq         bigint NOT NULL,  -- everything up to here was put into it, but for what is parked
    left_out    bigint NOT NULL   -- how many more were left out than are parked
)""",
        """CREATE TABLE parked (
    sink        text COLLATE "C" NOT NULL REFERENCES sinks (name),
    seq         bigint NOT NULL,
    series      integer NOT NULL REFERENCES series (id),
    open_ns     bigint NOT NULL,
    why         text NOT NULL,    -- what the sink said
    PRIMARY KEY (sink, seq)
)""",
    ),
    (
        """CREATE TABLE tapes (
    id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    venue       text COLLATE "C" NOT NULL,
    variant     text COLLATE "C" NOT NULL,
    symbol      text COLLATE "C" NOT NULL,
    UNIQUE (venue, variant, symbol)
)""",
        """CREATE TABLE trades (
    tape        integer NOT NULL REFERENCES tapes (id),
    number      bigint NOT NULL,   -- the order in which they came
    time_ns     bigint NOT NULL,   -- since 1970-01-01T00:00Z, as the venue says
    id          text COLLATE "C" NOT NULL,  -- the venue's; '' where it has none
    price       numeric NOT NULL,  -- NaN where numeric cannot hold it: see digits
    size        numeric NOT NULL,
    digits      text,              -- both as received, where numeric does not keep one of them
    side        text,              -- the taker's: buy, sell
    action      text NOT NULL,     -- new, corrected, canceled
    replaces    text,              -- the id of the trade that this is about
    PRIMARY KEY (tape, number)
)""",
        "CREATE UNIQUE INDEX trades_once ON trades (tape, id, time_ns, action) WHERE id <> ''",
        "CREATE INDEX trades_by_time ON trades (tape, time_ns)",
        """CREATE TABLE stretches (
    tape        integer NOT NULL REFERENCES tapes (id),
    since_ns    bigint NOT NULL,
    until_ns    bigint NOT NULL,
    PRIMARY KEY (tape, since_ns)
)""",
    ),
    (
        "ALTER TABLE series ADD COLUMN forgotten_ns bigint",  # all that opened before this was taken out
        "ALTER TABLE series ADD COLUMN times_forgotten integer NOT NULL DEFAULT 0",
        "ALTER TABLE tapes ADD COLUMN forgotten_ns bigint",
        "ALTER TABLE tapes ADD COLUMN last_number bigint NOT NULL DEFAULT 0",  # when it was forgotten last
    ),
)
"""What brings a schema from version n to n + 1, one tuple of statements each. Only ever appended to."""

_THINGS: Final = """
SELECT CASE WHEN relkind = 'v' THEN 'view' WHEN relkind IN ('i', 'I') THEN 'index' ELSE 'table' END, relname
FROM pg_class
WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p', 'v', 'i', 'I') AND NOT relispartition
"""
_TABLES: Final = (
    "series",
    "closed",
    "superseded",
    "holes",
    "sequence",
    "world",
    "sinks",
    "parked",
    "tapes",
    "trades",
    "stretches",
    "wickwire_schema",
)
_WANTED: Final = (
    *(("table", name) for name in _TABLES),
    ("index", "closed_by_seq"),
    ("index", "closed_pkey"),
    ("index", "trades_by_time"),
    ("index", "trades_once"),
    ("view", "candles"),
)
# One look at the catalog itself: to_regclass() may answer from a cache of before somebody else's migration
_THERE: Final = """
SELECT bool_or(relname = 'wickwire_schema'), count(*)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE nspname = $1 AND relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT EXISTS (
    SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
"""


@attrs.frozen
class Layout:
    """How `closed` is cut by time.

    Attributes:
        timescale: The schema of the extension TimescaleDB, where it cuts; empty for native partitions.
    """

    timescale: str = ""

    @property
    def native(self) -> bool:
        """Whether this plugin makes the partitions."""
        return not self.timescale


def quoted(name: str) -> str:
    """Return a validated name as an identifier."""
    return '"' + name.replace('"', '""') + '"'


async def things(connection: Connection, schema: str) -> Sequence[str]:
    """Return what is not in *schema* that should be, a sentence each."""
    there = {tuple(row) for row in await connection.fetch(_THINGS, schema)}
    return [f"the {kind} {name!r} is missing" for kind, name in _WANTED if (kind, name) not in there]


async def version_of(connection: Connection, schema: str, shown: str) -> int:
    """Return which version *schema* has, 0 where it is not there or empty.

    Raises:
        StoreError: It holds something that is not wickwire's.
    """
    ours, count = await connection.fetchrow(_THERE, schema)
    if not ours and count:
        raise StoreError(
            f"store {shown!r}: the schema {schema!r} holds tables, and they are not wickwire's; name "
            "another one with ?schema="
        )
    if not ours:
        return 0
    version = await connection.fetchval(f"SELECT version FROM {quoted(schema)}.wickwire_schema")  # noqa: S608 - a validated name
    if version is None:
        raise StoreError(
            f"store {shown!r}: its table wickwire_schema is empty, so nothing tells how old it is; "
            "restore a copy"
        )
    return int(version)


def refuse_newer(version: int, shown: str) -> None:
    """See that *version* of a schema is one that is known here; raises StoreError otherwise."""
    if version > len(MIGRATIONS):
        raise StoreError(
            f"store {shown!r}: its schema {version} is newer than {len(MIGRATIONS)}, which this is for; use "
            "the newer wickwire"
        )


async def layout_of(connection: Connection) -> Layout:
    """Return how `closed` is cut, as it was decided when it was made."""
    if await connection.fetchval("SELECT relkind FROM pg_class WHERE oid = to_regclass('closed')") == b"p":
        return Layout()
    return Layout(await extension_schema(connection) or "public")


async def migrate(
    connection: Connection,
    schema: str,
    shown: str,
    *,
    timescale: bool,
    migrations: Sequence[Sequence[str]] = MIGRATIONS,
) -> None:
    """Apply the *migrations* that *schema* has not seen, all in one transaction.

    Two processes that start together take turns: the second finds all of it done.

    Raises:
        StoreError: The schema is somebody else's.
    """
    if await version_of(connection, schema, shown) >= len(migrations):
        return
    async with connection.transaction():
        key = zlib.crc32(schema.encode()) - 2**31
        await connection.execute("SELECT pg_advisory_xact_lock($1, $2)", _LOCK_CLASS, key)
        version = await version_of(connection, schema, shown)
        if version >= len(migrations):
            return
        if not version:
            if not await connection.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = $1", schema):
                await connection.execute(f"CREATE SCHEMA {quoted(schema)}")
            await connection.execute("CREATE TABLE wickwire_schema (version integer NOT NULL)")
            await connection.execute("INSERT INTO wickwire_schema VALUES (0)")
        else:  # no commit of an older wickwire gets in between
            await connection.execute("SELECT FROM sequence FOR UPDATE")
        layout = Layout(await extension_schema(connection) if timescale else "")
        partitioned = "PARTITION BY RANGE (open_ns)" if layout.native else ""
        for statements in migrations[version:]:
            for statement in statements:
                text = statement.replace("{partitioned}", partitioned)
                await connection.execute(text)
        if not version and not layout.native:
            await make_hypertable(connection, quoted(layout.timescale))
        await connection.execute("UPDATE wickwire_schema SET version = $1", len(migrations))
