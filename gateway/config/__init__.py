"""config: TOML and spreadsheets → frozen model objects; every message names file, line, key, reason and fix."""
