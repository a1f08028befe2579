"""The durable memory of a station: one SQLite file, one writer (house section 4)."""
