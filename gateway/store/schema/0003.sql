-- Where the record begins: whole years of it may be removed, and then the hash before the first row that is left stands
-- here (house section 4). `gateway.store.years` writes it; the removal is also a row of the record, and both must agree.
CREATE TABLE record_begin (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    n    INTEGER NOT NULL,             -- number of the last row that is gone, 0 while all are there
    hash BLOB NOT NULL,                -- of that row
    upto INTEGER NOT NULL,             -- a removal goes on up to this row
    said INTEGER NOT NULL              -- row of the record that says so
) STRICT;
INSERT INTO record_begin VALUES (1, 0, zeroblob(32), 0, 0);
