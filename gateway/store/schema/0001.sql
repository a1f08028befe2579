-- First schema of the store (house section 4). STRICT: what is stored is what was meant.
-- Times are ns on the monotonic clock of a boot; wall time is computed through clock_epoch, never stored in their place.

CREATE TABLE boot (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    mono INTEGER NOT NULL              -- first moment of the boot that was written
) STRICT;

CREATE TABLE clock_epoch (
    boot        INTEGER NOT NULL,
    mono_from   INTEGER NOT NULL,
    wall_offset INTEGER NOT NULL,      -- wall = mono + wall_offset
    error       INTEGER NOT NULL,
    source      TEXT NOT NULL,
    trusted     INTEGER NOT NULL,
    PRIMARY KEY (boot, mono_from)
) STRICT, WITHOUT ROWID;

-- One row per commit, appended in order: no index beside the key.
CREATE TABLE journal (
    seq  INTEGER PRIMARY KEY,
    boot INTEGER NOT NULL,
    mono INTEGER NOT NULL,
    wall INTEGER NOT NULL,             -- as the clock said, believed or not
    kind TEXT NOT NULL,                -- live, or late: appended after the disk came back
    body BLOB NOT NULL
) STRICT;

-- What must be proved later; hash covers the row before and (n, seq, boot, mono, kind, body).
CREATE TABLE record (
    n    INTEGER PRIMARY KEY,
    seq  INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    mono INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;

-- Durable tables of the step, one row per key, rewritten in place. One generic table: which nouns are durable is the
-- step's to say, a new one is no new schema, and the few rows a commit touches lie close together.
CREATE TABLE state (
    name TEXT NOT NULL,
    key  TEXT NOT NULL,
    boot INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (name, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE point (
    id   INTEGER PRIMARY KEY,          -- rows are never deleted, so an id is never reused
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE mark (
    session TEXT PRIMARY KEY,
    body    BLOB NOT NULL              -- packet id → digest of everything unacknowledged
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshot (
    name          TEXT PRIMARY KEY,
    seq           INTEGER NOT NULL,
    code          TEXT NOT NULL,
    configuration TEXT NOT NULL,
    body          BLOB NOT NULL
) STRICT;

CREATE TABLE configuration (
    hash TEXT PRIMARY KEY,
    used INTEGER NOT NULL UNIQUE,      -- grows with each taking over
    body BLOB NOT NULL
) STRICT;

-- Readings copied out of the journal, one point a row, in the order of the journal.
CREATE TABLE chunk (
    id    INTEGER PRIMARY KEY,
    point INTEGER NOT NULL,
    boot  INTEGER NOT NULL,
    t0    INTEGER NOT NULL,            -- first and last arrival
    t1    INTEGER NOT NULL,
    s0    INTEGER NOT NULL,            -- earliest and latest time given by the source, 0 if none did
    s1    INTEGER NOT NULL,
    n     INTEGER NOT NULL,
    body  BLOB NOT NULL
) STRICT;
CREATE INDEX chunk_place ON chunk (point, boot, t0, t1, s0, s1);

-- Aggregates of everything that stands in chunks; t counts minutes or hours of the boot's clock.
CREATE TABLE minute (
    point INTEGER NOT NULL,
    boot  INTEGER NOT NULL,
    t     INTEGER NOT NULL,
    n     INTEGER NOT NULL,            -- readings that are not BAD
    bad   INTEGER NOT NULL,
    low   REAL, high REAL, total REAL, last REAL,
    PRIMARY KEY (point, boot, t)
) STRICT, WITHOUT ROWID;

CREATE TABLE hour (
    point INTEGER NOT NULL,
    boot  INTEGER NOT NULL,
    t     INTEGER NOT NULL,
    n     INTEGER NOT NULL,
    bad   INTEGER NOT NULL,
    low   REAL, high REAL, total REAL, last REAL,
    PRIMARY KEY (point, boot, t)
) STRICT, WITHOUT ROWID;

-- How far each reader of the journal has come (sinks).
CREATE TABLE cursor (
    name TEXT PRIMARY KEY,
    seq  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE progress (
    name TEXT PRIMARY KEY,             -- chunks: the journal is in chunks up to this seq
    seq  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO progress VALUES ('chunks', 0);
