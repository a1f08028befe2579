"""config: TOML and spreadsheets → frozen model objects; every message names file, line, key, reason and fix."""

from gateway.config.kept import dump, read_copy, undump, write_copy
from gateway.config.load import load
from gateway.config.loaded import Loaded
from gateway.config.problems import Kind, Place, Problem

__all__ = ["Kind", "Loaded", "Place", "Problem", "dump", "load", "read_copy", "undump", "write_copy"]
