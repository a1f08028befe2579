-- Aggregates of minutes and hours that nothing changes any more, many buckets a row (gateway.store.packed). What schema 1
-- wrote one bucket a row is packed afterwards, a little at a time: this migration takes no longer for a large store.
CREATE TABLE packed (
    id    INTEGER PRIMARY KEY,
    width TEXT NOT NULL,               -- minute or hour
    point INTEGER NOT NULL,
    boot  INTEGER NOT NULL,
    block INTEGER NOT NULL,            -- days of minutes, 30 days of hours, on the boot's clock
    body  BLOB NOT NULL
) STRICT;
CREATE INDEX packed_place ON packed (width, point, boot, block);
